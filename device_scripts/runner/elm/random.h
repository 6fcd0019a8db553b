// The random numbers of a hidden layer: a function of a seed and a place, the same on every machine (bench/compress/elm/
// random.py is its twin), so that a layer of any size is shipped as its seed.
#pragma once

#include <cstddef>
#include <cstdint>

namespace bench {

// Uniform in [-1, 1), in steps of 2^-23: the upper 24 bits of splitmix64's answer (Steele, Lea and Flood 2014) number `place`
// after `seed`.
inline float uniform_at(uint64_t seed, uint64_t place) {
    uint64_t z = seed + (place + 1) * 0x9E3779B97F4A7C15u;
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
    z = (z ^ z >> 27) * 0x94D049BB133111EBu;
    z ^= z >> 31;
    return static_cast<float>(static_cast<int32_t>(z >> 40) - (1 << 23)) * 0x1p-23f;
}

// A hidden layer of `inputs` values: the weight of input k for neuron m is number m·(inputs + 1) + k, times `gain`; the bias
// of neuron m is the number behind its weights. So fewer neurons are the first ones of more.
struct HiddenLayer {
    uint64_t seed;
    uint64_t inputs;
    float gain;

    float weight(uint64_t input, uint64_t neuron) const { return uniform_at(seed, neuron * (inputs + 1) + input) * gain; }
    float bias(uint64_t neuron) const { return uniform_at(seed, neuron * (inputs + 1) + inputs); }
};

}  // namespace bench

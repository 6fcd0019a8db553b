// The .elm package: docs/formats/elm.md.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "elm/random.h"

namespace bench {

constexpr uint32_t kMostElmInputs = 1u << 20, kMostNeurons = 1u << 17, kMostClasses = 1024;

struct ElmPackage {
    HiddenLayer hidden{};
    uint32_t neurons = 0, classes = 0;
    float mean = 0, deviation = 1;  // of what is put in
    int32_t exponent = 0;           // weights are 2^exponent times what is stored
    std::vector<uint16_t> stored;   // float16, classes × neurons

    std::vector<float> output_weights() const;
};

// Throws Failure(bad_weights) for anything but a whole package.
ElmPackage read_elm(const std::vector<uint8_t>& bytes, const std::string& path);

// `weights`: classes × neurons. Sets exponent and stored. Throws Failure(inference_failed) for values that are not finite.
void store_output_weights(ElmPackage& package, const std::vector<float>& weights);

// Returns how many bytes. Throws Failure(write_failed).
int64_t write_elm(const ElmPackage& package, const std::string& path);

}  // namespace bench

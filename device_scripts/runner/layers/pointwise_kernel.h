// A matrix product by the widest vectors that a CPU has: all channels of some pixels out of all channels of the same pixels.
// docs/resident.md, "Any low-rank network"
#pragma once

#include <cstddef>

namespace bench {

// What becomes of each value. The numbers are those of ncnn's activation_type; `slopes` is ours, with one for each channel.
enum class Activation { none = 0, relu = 1, leaky = 2, clip = 3, hard_swish = 6, slopes = 7 };

// Channels of a vector, at most kMostLanes. Weights, and blobs that need no copy, have so many channels side by side.
constexpr int kMostLanes = 16;
int vector_lanes();

// Pixels that a tile should be a multiple of.
int pixel_block();

// out[v][i] = activation(start[v] + plus[v][i] + sum over k of weights[v][k] · in(k, i)), where v is a vector of channels and i
// a pixel.
struct Pointwise {
    int terms, vectors, pixels;
    const float* in;  // value k of pixel i: in[k / pack · step + i · pack + k % pack]
    size_t in_step;
    bool packed;          // whether pack is lanes, which terms are a multiple of then; else it is 1
    const void* weights;  // [vectors][terms][lanes], a vector `weights_step` values after the other
    size_t weights_step;
    bool half;           // whether they are float16
    const float* start;  // [vectors][lanes], or null for zeros
    const float* plus;   // as `out`, or null for zeros
    size_t plus_step;
    float* out;  // [vectors][pixels][lanes], a vector `out_step` after the other
    size_t out_step;
    Activation activation;
    float a, b;           // of that
    const float* slopes;  // [vectors][lanes], or null
    bool largest;         // max(what is there, value) instead of the value
};

void pointwise(const Pointwise& work);

}  // namespace bench

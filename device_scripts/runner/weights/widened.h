// Weights that a .bin file holds in int8 and ncnn gets in float32 (docs/formats/int8.md).
#pragma once

#include <cstdint>
#include <vector>

#include "contract/files.h"

namespace bench {

// The word before such a blob, where ncnn's own files have the type of weights. As a float32 it is not a number.
constexpr uint32_t kWidenedFlag = 0x7FC8B175;

// One blob of a file: u32 how many scales, the scales as float32, then a signed byte for each weight, padded to 4.
class Widened {
public:
    // Reads the scales, at `offset` behind the flag. Throws Failure(bad_weights).
    Widened(const File& file, uint64_t offset);

    // Writes `count` weights, each of its share of them times 1/scale, and returns the offset behind the blob. Takes no
    // memory of its own. Throws Failure(bad_weights), also where the scales do not have equal shares.
    uint64_t write(const File& file, float* to, size_t count) const;

private:
    uint64_t codes_;  // offset
    std::vector<float> steps_;
};

}  // namespace bench

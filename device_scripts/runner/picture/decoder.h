// A picture file as pixels, as Pillow gives them to a camera's owner: upright, 8 bits deep, grey or RGB.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace bench {

// `values` are rows of pixels of `channels` values: 1 (grey) or 3 (RGB).
struct Picture {
    int height, width, channels;
    std::vector<uint8_t> values;
};

// PNG and BMP come out as by Pillow to the bit; JPEG within a few levels, since its standard leaves decoders some freedom
// (docs/parity.md has figures). Throws Failure, as `inspect` does, and Failure(out_of_memory).
Picture decode(const uint8_t* bytes, size_t count, const std::string& name);

}  // namespace bench

// What a picture file says of itself, read before anything is decoded: a decoder is given only what it is sure to read right.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace bench {

constexpr uint64_t kMostPixels = 1u << 26;        // of one picture, decoded or resized: 8192 × 8192
constexpr uint64_t kMostPictureBytes = 1u << 28;  // of one file

enum class PictureKind { jpeg, png, bmp };

struct Container {
    PictureKind kind;
    int height, width;          // as stored, before it is turned upright
    int orientation = 1;        // Exif's, 1..8
    bool deep_grey = false;     // 16 bits of grey, which become the nearest of 8; other depths are cut by the decoder
    bool grey_palette = false;  // each colour of a BMP file is the grey of its number
    // The file with a palette of 256 colours instead of fewer, where it has fewer: black for the others.
    std::vector<uint8_t> completed;
};

// Throws Failure(bad_samples), which names the file, for one that is damaged or cut short, and Failure(unsupported) for one
// that is of another kind or has something in it that would be decoded in another way than by Pillow.
Container inspect(const uint8_t* bytes, size_t count, const std::string& name);

}  // namespace bench

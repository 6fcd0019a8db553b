// Resizing as Pillow does it, in whole numbers, so that the pixels are the same to the bit.
#pragma once

#include <string>

#include "picture/decoder.h"

namespace bench {

enum class Filter { nearest, bilinear, bicubic, lanczos };

// Throws Failure(unsupported) where the picture between both passes would be too large.
Picture resampled(const Picture& picture, int height, int width, Filter filter);

}  // namespace bench

// How a picture becomes an input of a network: bench/preprocess.py in C++, to the bit.
#pragma once

#include <string>
#include <vector>

#include "picture/decoder.h"
#include "picture/resample.h"

namespace bench {

struct Preprocess {
    enum class Resize { shorter, exact, none };
    enum class Channels { rgb, bgr, grey };

    int channels_out, height, width;  // of the input
    Resize resize;
    int size_height = 0, size_width = 0;  // 0: they follow from the input's; for `shorter` both are the shorter side
    Filter filter;
    bool crop;
    Channels channels;
    double scale;
    std::vector<double> mean, deviation;  // one number, or one for each channel

    // Grey, or RGB, whatever the picture is; resized and cropped to the input's size. Throws Failure(unsupported) where the
    // picture cannot become one.
    Picture fitted(const Picture& picture) const;

    // The values that the brightnesses 0..255 become, for one channel of the input.
    std::vector<float> table(int channel) const;
    // Which channel of the fitted picture is this one of the input.
    size_t source(int channel) const;
};

// Of the text that contract.h describes. Throws Failure(bad_job).
Preprocess parse_preprocess(const std::string& text);

}  // namespace bench

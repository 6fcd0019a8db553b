// The packed sample file: contract.h describes it.
#pragma once

#include <cstdint>
#include <string>

#include "files.h"

namespace bench {

class Samples {
public:
    // Throws Failure(missing_file) or Failure(bad_samples).
    explicit Samples(const std::string& path);

    uint32_t count() const { return count_; }
    int channels() const { return channels_; }
    int height() const { return height_; }
    int width() const { return width_; }

    // One sample, row by row into `into`, whose channels are `channel_step` floats apart.
    void read(uint32_t index, float* into, size_t channel_step) const;

private:
    File file_;
    uint32_t count_;
    int channels_, height_, width_;
};

}  // namespace bench

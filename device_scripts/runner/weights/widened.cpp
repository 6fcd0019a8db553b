#include "weights/widened.h"

#include <cmath>
#include <string>

namespace bench {
namespace {

[[noreturn]] void refuse(const File& file, const std::string& why) { throw Failure(Exit::bad_weights, file.path() + ": " + why); }

}  // namespace

Widened::Widened(const File& file, uint64_t offset) : codes_(0) {
    uint32_t count = 0;
    if (!file.read_at(offset, &count, sizeof count)) refuse(file, "it ends before the scales of int8 weights");
    offset += sizeof count;
    if (count == 0 || count > (file.size() - offset) / sizeof(float)) {
        refuse(file, "it has no room for the " + std::to_string(count) + " scales of int8 weights");
    }
    steps_.resize(count);
    if (!file.read_at(offset, steps_.data(), count * sizeof(float))) refuse(file, "it ends inside the scales of int8 weights");
    for (float& step : steps_) {
        step = 1.f / step;
        if (!(step > 0) || !std::isfinite(step)) refuse(file, "a scale of int8 weights is not a number above zero");
    }
    codes_ = offset + count * sizeof(float);
}

uint64_t Widened::write(const File& file, float* to, size_t count) const {
    const size_t share = count / steps_.size();
    if (share == 0 || count % steps_.size() != 0) {
        refuse(file, std::to_string(steps_.size()) + " scales for " + std::to_string(count) + " int8 weights");
    }
    // Into the last quarter of the same memory, from where they are widened to the front: what is written never reaches
    // what is still to be read.
    auto* codes = reinterpret_cast<int8_t*>(to) + (sizeof(float) - 1) * count;
    if (!file.read_at(codes_, codes, count)) refuse(file, "it ends inside int8 weights");
    for (size_t i = 0; i < count; i++) {
        const int code = codes[i];
        to[i] = static_cast<float>(code) * steps_[i / share];
    }
    return codes_ + (count + 3) / 4 * 4;
}

}  // namespace bench

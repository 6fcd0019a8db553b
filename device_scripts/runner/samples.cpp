#include "samples.h"

#include <climits>
#include <cstring>

namespace bench {
namespace {

constexpr size_t kHeader = 24;
constexpr uint64_t kLargestSample = 1u << 26;  // values; ncnn may pad each to 16 bytes, and that has to fit in 32 bits

static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "all file formats here are little-endian");

}  // namespace

Samples::Samples(const std::string& path) : file_(path) {
    const auto refuse = [&](const std::string& why) { throw Failure(Exit::bad_samples, path + ": " + why); };
    uint8_t header[kHeader];
    if (!file_.read_at(0, header, kHeader)) refuse("shorter than its header");
    if (std::memcmp(header, "BSMP", 4) != 0) refuse("not a packed sample file");
    uint32_t version, shape[3];
    std::memcpy(&version, header + 4, 4);
    std::memcpy(&count_, header + 8, 4);
    std::memcpy(shape, header + 12, 12);
    if (version != 1) refuse("version " + std::to_string(version) + ", not 1");
    uint64_t values = 1;
    for (const uint32_t extent : {shape[0], shape[1], shape[2], count_}) {
        if (extent == 0 || extent > INT_MAX) refuse("a dimension of " + std::to_string(extent));
        if (values > (UINT64_MAX / 4 - kHeader) / extent) refuse("more values than a file can hold");
        values *= extent;
    }
    if (values / count_ > kLargestSample) refuse("samples of more than 2^26 values");
    const uint64_t expected = kHeader + values * 4;
    if (file_.size() != expected) {
        refuse(std::to_string(file_.size()) + " bytes where its header says " + std::to_string(expected));
    }
    channels_ = static_cast<int>(shape[0]);
    height_ = static_cast<int>(shape[1]);
    width_ = static_cast<int>(shape[2]);
}

void Samples::read(uint32_t index, float* into, size_t channel_step) const {
    const size_t plane = static_cast<size_t>(height_) * static_cast<size_t>(width_);
    const uint64_t first = kHeader + static_cast<uint64_t>(index) * static_cast<uint64_t>(channels_) * plane * 4;
    for (int c = 0; c < channels_; c++) {
        const uint64_t offset = first + static_cast<uint64_t>(c) * plane * 4;
        if (!file_.read_at(offset, into + static_cast<size_t>(c) * channel_step, plane * 4)) {
            throw Failure(Exit::bad_samples, file_.path() + ": it shrank while it was read");
        }
    }
}

}  // namespace bench

#include "contract/samples.h"

#include <cstring>

namespace bench {
namespace {

constexpr uint32_t kVersion = 2, kMostRank = 4;
constexpr uint64_t kValue = 4;              // bytes
constexpr uint64_t kMostValues = 1u << 26;  // of an input; ncnn may pad each to 16 bytes, and that has to fit in 32 bits

static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "all file formats here are little-endian");

}  // namespace

size_t InputShape::values() const {
    size_t product = 1;
    for (const int extent : extents) product *= static_cast<size_t>(extent);
    return product;
}

std::string InputShape::words() const {
    std::string text;
    for (const int extent : extents) text += (text.empty() ? "" : "×") + std::to_string(extent);
    return integer ? text + " (int32)" : text;
}

Samples::Samples(const std::string& path) : file_(path) {
    const auto refuse = [&](const std::string& why) { throw Failure(Exit::bad_samples, path + ": " + why); };
    uint64_t at = 0;
    const auto word = [&] {
        uint32_t value;
        if (!file_.read_at(at, &value, sizeof value)) refuse("shorter than its header");
        at += sizeof value;
        return value;
    };
    if (word() != 0x504D5342) refuse("not a packed sample file");  // "BSMP"
    if (const uint32_t version = word(); version != kVersion) {
        refuse("version " + std::to_string(version) + ", not " + std::to_string(kVersion));
    }
    count_ = word();
    if (count_ == 0) refuse("no samples");
    const uint32_t inputs = word();
    if (inputs < 1 || inputs > static_cast<uint32_t>(kMostInputs)) refuse(std::to_string(inputs) + " inputs");
    for (uint32_t i = 0; i < inputs; i++) {
        const uint32_t dtype = word(), rank = word();
        if (dtype > 1) refuse("values of an unknown type " + std::to_string(dtype));
        if (rank < 1 || rank > kMostRank) refuse("an input of rank " + std::to_string(rank));
        InputShape shape{dtype == 1, {}, sample_bytes_};
        uint64_t values = 1;
        for (uint32_t axis = 0; axis < rank; axis++) {
            const uint32_t extent = word();
            if (extent == 0) refuse("an extent of 0");
            if (extent > kMostValues || values * extent > kMostValues) refuse("an input of more than 2^26 values");
            values *= extent;
            shape.extents.push_back(static_cast<int>(extent));
        }
        sample_bytes_ += values * kValue;
        inputs_.push_back(std::move(shape));
    }
    header_ = at;
    const uint64_t expected = header_ + sample_bytes_ * count_;  // at most 2^32 samples of 2^31 bytes
    if (file_.size() != expected) {
        refuse(std::to_string(file_.size()) + " bytes where its header says " + std::to_string(expected));
    }
}

void Samples::read(uint32_t sample, const InputShape& input, void* into, size_t plane_step) const {
    const size_t plane = input.values() / input.planes() * kValue;
    uint64_t at = header_ + sample * sample_bytes_ + input.offset;
    auto* to = static_cast<uint8_t*>(into);
    for (size_t i = 0; i < input.planes(); i++, at += plane, to += plane_step) {
        if (!file_.read_at(at, to, plane)) throw Failure(Exit::bad_samples, file_.path() + ": it shrank while it was read");
    }
}

}  // namespace bench

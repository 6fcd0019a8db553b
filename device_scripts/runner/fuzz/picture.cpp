// libFuzzer target: picture files, and the text that says how they become inputs. The first byte of the input chooses: the
// text alone, a file of several pictures, or one picture, whose PNG check sums are put right so that it gets past them.

#include <sys/mman.h>
#include <unistd.h>
#include <algorithm>
#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

#include "contract/failure.h"
#include "picture/container.h"
#include "picture/decoder.h"
#include "picture/pictures.h"
#include "picture/preprocess.h"

namespace {

constexpr uint64_t kMostPixels = 1u << 16;  // more take time and reach nothing new
const char kPlan[] =
    "to=3x5x7 resize=shorter size=network filter=bicubic crop=yes channels=bgr scale=0.00392156862745098 mean=0.5 deviation=0.25,1,2";

uint32_t crc32(const uint8_t* bytes, size_t count) {
    uint32_t crc = ~0u;
    for (size_t i = 0; i < count; i++) {
        crc ^= bytes[i];
        for (int bit = 0; bit < 8; bit++) crc = (crc & 1 ? 0xEDB88320u : 0u) ^ crc >> 1;
    }
    return ~crc;
}

void put_check_sums_right(std::vector<uint8_t>& file) {
    if (file.size() < 8 || std::memcmp(file.data(), "\x89PNG", 4) != 0) return;
    for (size_t at = 8; at + 12 <= file.size();) {
        const size_t length = static_cast<size_t>(file[at]) << 24 | static_cast<size_t>(file[at + 1]) << 16 |
                              static_cast<size_t>(file[at + 2]) << 8 | file[at + 3];
        if (length > file.size() - at - 12) return;
        const uint32_t crc = crc32(&file[at + 4], 4 + length);
        for (size_t i = 0; i < 4; i++) file[at + 8 + length + i] = static_cast<uint8_t>(crc >> (24 - 8 * i));
        at += 12 + length;
    }
}

void show(const uint8_t* bytes, size_t count, const bench::Preprocess& plan) {
    const bench::Container found = bench::inspect(bytes, count, "fuzz");
    if (static_cast<uint64_t>(found.height) * static_cast<uint64_t>(found.width) > kMostPixels) return;
    const bench::Picture picture = bench::decode(bytes, count, "fuzz");
    const auto due = static_cast<size_t>(picture.height) * static_cast<size_t>(picture.width) * static_cast<size_t>(picture.channels);
    if (picture.values.size() != due) __builtin_trap();
    const bench::Picture fitted = plan.fitted(picture);
    if (fitted.height != plan.height || fitted.width != plan.width) __builtin_trap();
}

// Of a picture that every plan is tried on.
void plan(const std::string& text) {
    const bench::Preprocess made = bench::parse_preprocess(text);
    if (made.height > 256 || made.width > 256 || made.size_height > 256 || made.size_width > 256) return;
    const bench::Picture picture{3, 4, 3, std::vector<uint8_t>(36, 200)};
    made.fitted(picture);
    for (int channel = 0; channel < made.channels_out; channel++) {
        if (made.table(channel).size() != 256 || made.source(channel) > 2) __builtin_trap();
    }
}

void read_packed(const uint8_t* bytes, size_t count) {
    const int descriptor = memfd_create("fuzz", 0);
    if (write(descriptor, bytes, count) != static_cast<ssize_t>(count)) __builtin_trap();
    struct Closed {
        int descriptor;
        ~Closed() { close(descriptor); }
    } closed{descriptor};
    const bench::Pictures pictures("/proc/self/fd/" + std::to_string(descriptor), kPlan);
    std::vector<float> values(pictures.inputs()[0].values());
    for (uint32_t i = 0; i < std::min(pictures.count(), 4u); i++) {
        try {
            pictures.read(i, pictures.inputs()[0], values.data(), 5 * 7 * sizeof(float));
        } catch (const bench::Failure&) {
        }
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    if (size == 0) return 0;
    try {
        switch (data[0]) {
            case 0: plan(std::string(data + 1, data + size)); break;
            case 1:
                if (size < 1 << 12) read_packed(data + 1, size - 1);
                break;
            default: {
                static const bench::Preprocess shown = bench::parse_preprocess(kPlan);
                std::vector<uint8_t> file(data + 1, data + size);
                put_check_sums_right(file);
                show(file.data(), file.size(), shown);
            }
        }
    } catch (const bench::Failure&) {
    }
    return 0;
}

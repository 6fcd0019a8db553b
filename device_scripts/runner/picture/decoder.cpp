#include "picture/decoder.h"

#include <algorithm>
#include <climits>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>
#include <stdexcept>

#include "contract/failure.h"
#include "picture/container.h"
#include "picture/inflate.h"

namespace {

// What the decoder may have at once, so that a small file cannot claim much: it is told that there is no more.
thread_local uint64_t memory_left;
constexpr size_t kHead = 16;

void* limited_malloc(size_t count) {
    if (count > memory_left || count > SIZE_MAX - kHead) return nullptr;
    auto* at = static_cast<unsigned char*>(std::malloc(count + kHead));
    if (!at) return nullptr;
    memory_left -= count;
    std::memcpy(at, &count, sizeof count);
    return at + kHead;
}

void limited_free(void* given) {
    if (!given) return;
    unsigned char* at = static_cast<unsigned char*>(given) - kHead;
    size_t count;
    std::memcpy(&count, at, sizeof count);
    memory_left += count;
    std::free(at);
}

void* limited_realloc(void* given, size_t before, size_t count) {
    void* made = limited_malloc(count);
    if (!made) return nullptr;  // the decoder then frees what it has
    if (given) std::memcpy(made, given, std::min(before, count));
    limited_free(given);
    return made;
}

}  // namespace

#define STB_IMAGE_IMPLEMENTATION
#define STB_IMAGE_STATIC
#define STBI_ONLY_JPEG
#define STBI_ONLY_PNG
#define STBI_ONLY_BMP
#define STBI_NO_STDIO
#define STBI_NO_LINEAR
#define STBI_MAX_DIMENSIONS (1 << 26)
#define STBI_MALLOC(count) limited_malloc(count)
#define STBI_FREE(at) limited_free(at)
#define STBI_REALLOC_SIZED(at, before, count) limited_realloc(at, before, count)
#define STBI_ASSERT(holds) ((holds) ? static_cast<void>(0) : throw std::runtime_error("the decoder contradicts itself"))
#ifdef __clang__
#pragma clang diagnostic push
#pragma clang diagnostic ignored "-Wunused-function"
#else
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-function"
#endif
#include <stb_image.h>  // of ncnn's own source
#ifdef __clang__
#pragma clang diagnostic pop
#else
#pragma GCC diagnostic pop
#endif

namespace bench {
namespace {

struct Free {
    void operator()(void* at) const { stbi_image_free(at); }
};

constexpr uint64_t kOwnMemory = 1u << 22, kEachPixel = 24;

// 0..65535 as 0..255, to the nearest: bench/data/readers/pictures.py.
uint8_t nearest_of_eight(uint16_t value) { return static_cast<uint8_t>((value + 128u) / 257u); }

// The source of each pixel of the upright picture, as Pillow's exif_transpose has it.
Picture upright(Picture stored, int orientation) {
    if (orientation == 1) return stored;
    const bool turned = orientation >= 5;
    Picture made{turned ? stored.width : stored.height, turned ? stored.height : stored.width, stored.channels, {}};
    made.values.resize(stored.values.size());
    const bool from_below = orientation == 3 || orientation == 4 || orientation == 6 || orientation == 7;
    const bool from_right = orientation == 2 || orientation == 3 || orientation == 7 || orientation == 8;
    const auto channels = static_cast<size_t>(stored.channels);
    uint8_t* to = made.values.data();
    for (int y = 0; y < made.height; y++) {
        for (int x = 0; x < made.width; x++, to += channels) {
            const int row = turned ? x : y, column = turned ? y : x;
            const auto source_row = static_cast<size_t>(from_below ? stored.height - 1 - row : row);
            const auto source_column = static_cast<size_t>(from_right ? stored.width - 1 - column : column);
            std::memcpy(to, &stored.values[(source_row * static_cast<size_t>(stored.width) + source_column) * channels], channels);
        }
    }
    return made;
}

}  // namespace

Picture decode(const uint8_t* bytes, size_t count, const std::string& name) {
    const Container container = inspect(bytes, count, name);
    if (!container.completed.empty()) {
        bytes = container.completed.data();
        count = container.completed.size();
    }
    const uint64_t pixels = static_cast<uint64_t>(container.height) * static_cast<uint64_t>(container.width);
    memory_left = kOwnMemory + kEachPixel * pixels + 4 * static_cast<uint64_t>(count);
    int width = 0, height = 0, found = 0;
    const auto length = static_cast<int>(count);
    std::unique_ptr<void, Free> decoded;
    try {
        decoded.reset(container.deep_grey ? static_cast<void*>(stbi_load_16_from_memory(bytes, length, &width, &height, &found, 0))
                                          : static_cast<void*>(stbi_load_from_memory(bytes, length, &width, &height, &found, 0)));
    } catch (const std::runtime_error& error) {
        throw Failure(Exit::bad_samples, name + ": " + error.what());
    }
    if (!decoded) {
        const char* why = stbi_failure_reason();
        throw Failure(Exit::bad_samples, name + ": cannot be decoded" + (why ? std::string(": ") + why : std::string()));
    }
    if (width != container.width || height != container.height || found < 1 || found > 4) {
        throw Failure(Exit::bad_samples, name + ": the decoded picture has another size than the file says");
    }
    Picture picture{height, width, found < 3 || container.grey_palette ? 1 : 3, {}};
    const auto kept = static_cast<size_t>(picture.channels), step = static_cast<size_t>(found);
    picture.values.resize(static_cast<size_t>(pixels) * kept);
    for (size_t i = 0; i < pixels; i++) {  // an alpha channel is left out
        for (size_t c = 0; c < kept; c++) {
            picture.values[i * kept + c] = container.deep_grey ? nearest_of_eight(static_cast<const uint16_t*>(decoded.get())[i * step + c])
                                                               : static_cast<const uint8_t*>(decoded.get())[i * step + c];
        }
    }
    return upright(std::move(picture), container.orientation);
}

bool inflate(const uint8_t* bytes, size_t count, uint8_t* into, size_t due) {
    if (count > INT_MAX || due > INT_MAX) return false;
    try {
        char nothing = 0;  // the decoder copies to somewhere even where nothing is due
        char* to = due == 0 ? &nothing : reinterpret_cast<char*>(into);
        const int made =
            stbi_zlib_decode_buffer(to, static_cast<int>(due), reinterpret_cast<const char*>(bytes), static_cast<int>(count));
        return made >= 0 && static_cast<size_t>(made) == due;
    } catch (const std::runtime_error&) {
        return false;
    }
}

}  // namespace bench

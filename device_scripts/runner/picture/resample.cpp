// After Pillow's src/libImaging/Resample.c and Geometry.c (HPND licence): weights of each output pixel in double, rounded to
// 22 bits, a horizontal pass and a vertical one, each rounded to 8 bits.
#include "picture/resample.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "contract/failure.h"
#include "picture/container.h"

namespace bench {
namespace {

constexpr int kBits = 32 - 8 - 2;

double triangle(double x) {
    x = std::fabs(x);
    return x < 1.0 ? 1.0 - x : 0.0;
}

double cubic(double x) {
    constexpr double a = -0.5;
    x = std::fabs(x);
    if (x < 1.0) return ((a + 2.0) * x - (a + 3.0)) * x * x + 1;
    if (x < 2.0) return (((x - 5) * x + 8) * x - 4) * a;
    return 0.0;
}

double sinc(double x) {
    if (x == 0.0) return 1.0;
    x = x * M_PI;
    return std::sin(x) / x;
}

double lanczos(double x) { return -3.0 <= x && x < 3.0 ? sinc(x) * sinc(x / 3) : 0.0; }

struct Kernel {
    double (*weight)(double);
    double support;
};

Kernel kernel_of(Filter filter) {
    switch (filter) {
        case Filter::bicubic: return {cubic, 2.0};
        case Filter::lanczos: return {lanczos, 3.0};
        default: return {triangle, 1.0};
    }
}

// What one output pixel is made of: `weights` of the pixels from `first` on.
struct Window {
    int first;
    std::vector<int32_t> weights;
};

std::vector<Window> windows(int in, int out, const Kernel& kernel) {
    const double scale = static_cast<double>(in) / out, spread = std::max(scale, 1.0);
    const double support = kernel.support * spread, inverse = 1.0 / spread;
    std::vector<Window> made;
    made.reserve(static_cast<size_t>(out));
    std::vector<double> weights;
    for (int x = 0; x < out; x++) {
        const double center = (x + 0.5) * scale;
        const int first = std::max(static_cast<int>(center - support + 0.5), 0);
        const int last = std::min(static_cast<int>(center + support + 0.5), in);
        double sum = 0.0;
        weights.clear();
        for (int i = first; i < last; i++) {
            weights.push_back(kernel.weight((i - center + 0.5) * inverse));
            sum += weights.back();
        }
        Window window{first, {}};
        for (double weight : weights) {
            if (sum != 0.0) weight /= sum;
            window.weights.push_back(static_cast<int32_t>((weight < 0 ? -0.5 : 0.5) + weight * (1 << kBits)));
        }
        made.push_back(std::move(window));
    }
    return made;
}

uint8_t rounded(int32_t sum) { return static_cast<uint8_t>(std::clamp(sum >> kBits, 0, 255)); }

Picture horizontal(const Picture& from, int width, const Kernel& kernel) {
    Picture to{from.height, width, from.channels, {}};
    const auto channels = static_cast<size_t>(from.channels);
    to.values.resize(static_cast<size_t>(to.height) * static_cast<size_t>(width) * channels);
    const std::vector<Window> all = windows(from.width, width, kernel);
    uint8_t* out = to.values.data();
    for (int y = 0; y < from.height; y++) {
        const uint8_t* row = &from.values[static_cast<size_t>(y) * static_cast<size_t>(from.width) * channels];
        for (const Window& window : all) {
            for (size_t c = 0; c < channels; c++) {
                int32_t sum = 1 << (kBits - 1);
                const uint8_t* at = row + static_cast<size_t>(window.first) * channels + c;
                for (const int32_t weight : window.weights) sum += *at * weight, at += channels;
                *out++ = rounded(sum);
            }
        }
    }
    return to;
}

Picture vertical(const Picture& from, int height, const Kernel& kernel) {
    Picture to{height, from.width, from.channels, {}};
    const size_t row = static_cast<size_t>(from.width) * static_cast<size_t>(from.channels);
    to.values.resize(static_cast<size_t>(height) * row);
    uint8_t* out = to.values.data();
    std::vector<int32_t> sums(row);
    for (const Window& window : windows(from.height, height, kernel)) {
        std::fill(sums.begin(), sums.end(), 1 << (kBits - 1));
        const uint8_t* at = &from.values[static_cast<size_t>(window.first) * row];
        for (const int32_t weight : window.weights) {
            for (size_t i = 0; i < row; i++) sums[i] += at[i] * weight;
            at += row;
        }
        for (const int32_t sum : sums) *out++ = rounded(sum);
    }
    return to;
}

// The nearest source of each output position; positions are added up as Pillow does.
std::vector<size_t> nearest(int in, int out) {
    const double step = static_cast<double>(in) / out;
    double position = step * 0.5;
    std::vector<size_t> found;
    for (int i = 0; i < out; i++, position += step) found.push_back(static_cast<size_t>(std::min(static_cast<int>(position), in - 1)));
    return found;
}

Picture picked(const Picture& from, int height, int width) {
    Picture to{height, width, from.channels, {}};
    const auto channels = static_cast<size_t>(from.channels);
    to.values.reserve(static_cast<size_t>(height) * static_cast<size_t>(width) * channels);
    const std::vector<size_t> columns = nearest(from.width, width);
    for (const size_t y : nearest(from.height, height)) {
        for (const size_t x : columns) {
            const uint8_t* at = &from.values[(y * static_cast<size_t>(from.width) + x) * channels];
            to.values.insert(to.values.end(), at, at + channels);
        }
    }
    return to;
}

}  // namespace

Picture resampled(const Picture& picture, int height, int width, Filter filter) {
    if (filter == Filter::nearest) return picked(picture, height, width);
    const Kernel kernel = kernel_of(filter);
    if (width == picture.width) return vertical(picture, height, kernel);
    if (static_cast<uint64_t>(width) * static_cast<uint64_t>(picture.height) > kMostPixels) {
        throw Failure(Exit::unsupported, "resizing " + std::to_string(picture.height) + "×" + std::to_string(picture.width) +
                                             " pixels to " + std::to_string(height) + "×" + std::to_string(width) +
                                             " needs too large a picture in between");
    }
    Picture wide = horizontal(picture, width, kernel);
    return height == picture.height ? wide : vertical(wide, height, kernel);
}

}  // namespace bench

#include "layers/rank_core.h"

#include <algorithm>
#include <cstring>

#include "layers/rank_kernel.h"

namespace bench {
namespace {

constexpr int kBadLayer = -1, kOutOfMemory = -100;

// `count` pixels of a row, `stride` apart from `first` on, zeros where there are none.
void take_row(const float* row, int width, int first, int stride, int count, float* to) {
    if (stride == 1 && count == kTile && first >= 0 && first <= width - kTile) {
        std::memcpy(to, row + first, kTile * sizeof(float));  // a size that is known: a few moves, no call
        return;
    }
    // The pixels i with 0 ≤ first + stride i < width.
    const int begin = std::min(count, first >= 0 ? 0 : (-first + stride - 1) / stride);
    const int end = std::max(begin, std::min(count, first >= width ? 0 : (width - first + stride - 1) / stride));
    std::fill_n(to, begin, 0.0f);
    if (stride == 1) {
        std::copy(row + first + begin, row + first + end, to + begin);
    } else {
        for (int i = begin; i < end; i++) to[i] = row[first + stride * i];
    }
    std::fill(to + end, to + count, 0.0f);
}

}  // namespace

RankCore::RankCore() {
    one_blob_only = true;
    support_inplace = false;
}

int RankCore::load_param(const ncnn::ParamDict& parameters) {
    outputs_ = parameters.get(0, 0);
    kernel_w_ = parameters.get(1, 0);
    kernel_h_ = parameters.get(11, kernel_w_);
    dilation_w_ = parameters.get(2, 1);
    dilation_h_ = parameters.get(12, dilation_w_);
    stride_w_ = parameters.get(3, 1);
    stride_h_ = parameters.get(13, stride_w_);
    left_ = parameters.get(4, 0);
    right_ = parameters.get(15, left_);
    top_ = parameters.get(14, left_);
    bottom_ = parameters.get(16, top_);
    size_ = parameters.get(6, 0);
    constexpr int kMost = 1 << 14;
    const auto within = [](int least, int most, std::initializer_list<int> values) {
        return std::all_of(values.begin(), values.end(), [=](int value) { return least <= value && value <= most; });
    };
    if (!within(1, kMost, {outputs_, kernel_w_, kernel_h_, dilation_w_, dilation_h_, stride_w_, stride_h_})) return kBadLayer;
    if (!within(0, kMost, {left_, right_, top_, bottom_})) return kBadLayer;
    const int64_t per_input = static_cast<int64_t>(outputs_) * kernel_w_ * kernel_h_;
    if (size_ < 1 || per_input > size_ || size_ % per_input != 0) return kBadLayer;
    inputs_ = static_cast<int>(size_ / per_input);
    return 0;
}

int RankCore::load_model(const ncnn::ModelBin& weights) {
    const ncnn::Mat given = weights.load(size_, 0);
    if (given.empty()) return kOutOfMemory;
    const float* values = given;
    const size_t terms = static_cast<size_t>(size_ / outputs_);
    weight_.resize(static_cast<size_t>(size_));
    for (int o = 0; o < outputs_; o++) {
        for (size_t t = 0; t < terms; t++) weight_[t * static_cast<size_t>(outputs_) + static_cast<size_t>(o)] = *values++;
    }
    return 0;
}

int RankCore::forward(const ncnn::Mat& bottom, ncnn::Mat& top, const ncnn::Option& option) const {
    if (bottom.dims != 3 || bottom.c != inputs_) return kBadLayer;
    const int padded_w = bottom.w + left_ + right_, padded_h = bottom.h + top_ + bottom_;
    const int reach_w = dilation_w_ * (kernel_w_ - 1) + 1, reach_h = dilation_h_ * (kernel_h_ - 1) + 1;
    if (padded_w < reach_w || padded_h < reach_h) return kBadLayer;
    const int width = (padded_w - reach_w) / stride_w_ + 1, height = (padded_h - reach_h) / stride_h_ + 1;
    top.create(width, height, outputs_, sizeof(float), option.blob_allocator);
    if (top.empty()) return kOutOfMemory;

    const int terms = size_ / outputs_, pixels = width * height;
    constexpr int kRun = 8 * kTile;  // pixels a thread works on with the same buffers
#pragma omp parallel for num_threads(option.num_threads)
    for (int run = 0; run < pixels; run += kRun) {
        std::vector<float> unfolded(static_cast<size_t>(terms * kTile)), results(static_cast<size_t>(outputs_ * kTile));
        for (int start = run; start < std::min(run + kRun, pixels); start += kTile) {
            const int count = std::min(kTile, pixels - start);
            // A tile goes over as many rows as it needs, so that small images fill it too.
            for (int done = 0; done < count;) {
                const int row = (start + done) / width, column = (start + done) % width;
                const int here = std::min(count - done, width - column);
                unfold(bottom, row, column, here, unfolded.data() + done);
                done += here;
            }
            std::fill(results.begin(), results.end(), 0.0f);
            run_tile({1, 0, terms, outputs_, false, unfolded.data(), nullptr, nullptr, weight_.data(), results.data()});
            for (int o = 0; o < outputs_; o++) std::copy_n(results.data() + o * kTile, count, static_cast<float*>(top.channel(o)) + start);
        }
    }
    return 0;
}

void RankCore::unfold(const ncnn::Mat& bottom, int row, int column, int count, float* to) const {
    for (int c = 0; c < inputs_; c++) {
        const ncnn::Mat channel = bottom.channel(c);
        for (int ky = 0; ky < kernel_h_; ky++) {
            const int y = row * stride_h_ - top_ + ky * dilation_h_;
            for (int kx = 0; kx < kernel_w_; kx++, to += kTile) {
                if (y < 0 || y >= bottom.h) {
                    std::fill_n(to, count, 0.0f);
                } else {
                    take_row(channel.row(y), bottom.w, column * stride_w_ - left_ + kx * dilation_w_, stride_w_, count, to);
                }
            }
        }
    }
}

ncnn::Layer* make_rank_core(void*) { return new RankCore; }

}  // namespace bench

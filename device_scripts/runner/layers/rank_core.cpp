#include "layers/rank_core.h"

#include <algorithm>
#include <cstring>
#include <memory>

#include "layers/moments.h"
#include "layers/rank_kernel.h"
#include "layers/row_source.h"

namespace bench {
namespace {

constexpr int kStripPixels = 4096, kStripRows = 4;  // of the result: the more of the second, the fewer rows are moved up
constexpr int kNarrow = 4 * kTile;                  // rows shorter than this are done together

}  // namespace

RankCore::RankCore() {
    one_blob_only = false;
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
    measures_ = parameters.get(20, 0) != 0;
    room_ = std::max(outputs_, parameters.get(21, 0));
    constexpr int kMost = 1 << 14;
    const auto within = [](int least, int most, std::initializer_list<int> values) {
        return std::all_of(values.begin(), values.end(), [=](int value) { return least <= value && value <= most; });
    };
    if (!within(1, kMost, {outputs_, room_, kernel_w_, kernel_h_, dilation_w_, dilation_h_, stride_w_, stride_h_})) return kBadLayer;
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

// The rows of the input that a strip of the result needs, padded, and what one thread needs to make it.
class RankCore::Strip {
public:
    Strip(const RankCore& core, const RowSource& input, int rows, Arena& arena)
        : core_(core),
          arena_(arena),
          input_(input),
          width_(input.width() + core.left_ + core.right_),
          held_rows_((rows - 1) * core.stride_h_ + core.dilation_h_ * (core.kernel_h_ - 1) + 1),
          step_(static_cast<size_t>(width_) * static_cast<size_t>(held_rows_)),
          values_(arena.take(step_ * static_cast<size_t>(core.inputs_) + kLanes)),
          places_(static_cast<size_t>(core.size_ / core.outputs_)) {
        std::fill_n(values_, step_ * static_cast<size_t>(core.inputs_) + kLanes, 0.0f);
    }

    // Rows y to y + count - 1 of the result.
    void make(int y, int count, ncnn::Mat& top) {
        const Arena::Frame frame(arena_);
        const RankCore& c = core_;
        hold(y * c.stride_h_, (count - 1) * c.stride_h_ + c.dilation_h_ * (c.kernel_h_ - 1) + 1);
        if (c.stride_w_ == 1 && c.stride_h_ == 1 && top.w < kNarrow) {
            // As one long row, with what lies between two rows thrown away.
            const int length = (count - 1) * width_ + top.w;
            point(0);
            const float* results = multiplied(length);
            for (int i = 0; i < count; i++) copy_out(results + i * width_, results_step(length), top.w, top, y + i, 0);
            return;
        }
        for (int i = 0; i < count; i++) {
            const Arena::Frame row_frame(arena_);
            point(i * c.stride_h_);
            if (c.stride_w_ > 1) gather(top.w);
            const int whole = top.w - top.w % kLanes, rest = top.w - whole;
            if (whole > 0) multiply(whole, top.row(y + i), top.cstep);
            if (rest == 0) continue;
            for (const float*& place : places_) place += whole;
            copy_out(multiplied(rest), results_step(rest), rest, top, y + i, whole);
        }
    }

private:
    // Padded rows `first` to `first + count - 1`, of which those that are there move up.
    void hold(int first, int count) {
        const int kept = std::max(0, first_ + held_ - first), from = first - first_;
        if (kept > 0 && from > 0) {
            for (int c = 0; c < core_.inputs_; c++) {
                float* rows = values_ + static_cast<size_t>(c) * step_;
                std::memmove(rows, rows + static_cast<size_t>(from) * width_, static_cast<size_t>(kept) * width_ * sizeof(float));
            }
        }
        const int end = first + count, begin_real = std::min(std::max(first + kept, core_.top_), end);
        const int end_real = std::max(begin_real, std::min(end, core_.top_ + input_.height()));
        clear(first, first + kept, begin_real);
        if (end_real > begin_real) {
            float* to = values_ + static_cast<size_t>(begin_real - first) * width_ + core_.left_;
            input_.write(begin_real - core_.top_, end_real - begin_real, to, step_, static_cast<size_t>(width_), arena_);
        }
        clear(first, end_real, end);
        first_ = first;
        held_ = count;
    }

    void clear(int first, int begin, int end) {
        for (int c = 0; c < core_.inputs_ && end > begin; c++) {
            float* rows = values_ + static_cast<size_t>(c) * step_;
            std::fill(rows + static_cast<size_t>(begin - first) * width_, rows + static_cast<size_t>(end - first) * width_, 0.0f);
        }
    }

    // Where each term begins for the row of the result that begins with the held row.
    void point(int row) {
        const float** place = places_.data();
        for (int c = 0; c < core_.inputs_; c++) {
            for (int ky = 0; ky < core_.kernel_h_; ky++) {
                const float* held = values_ + static_cast<size_t>(c) * step_ + static_cast<size_t>(row + ky * core_.dilation_h_) * width_;
                for (int kx = 0; kx < core_.kernel_w_; kx++) *place++ = held + kx * core_.dilation_w_;
            }
        }
    }

    // Every stride-th pixel of each term side by side.
    void gather(int count) {
        const size_t step = static_cast<size_t>(count + kLanes);
        float* const gathered = arena_.take(step * places_.size());
        for (size_t t = 0; t < places_.size(); t++) {
            float* to = gathered + t * step;
            for (int i = 0; i < count; i++) to[i] = places_[t][static_cast<size_t>(i) * core_.stride_w_];
            places_[t] = to;
        }
    }

    void multiply(int pixels, float* to, size_t step) const {
        mix({static_cast<int>(places_.size()), core_.outputs_, pixels, places_.data(), core_.weight_.data(),
             static_cast<size_t>(core_.outputs_), nullptr, to, step, false, After::store});
    }

    static size_t results_step(int pixels) { return static_cast<size_t>(pixels + kLanes); }

    const float* multiplied(int pixels) const {
        float* results = arena_.take(results_step(pixels) * static_cast<size_t>(core_.outputs_));
        multiply(pixels, results, results_step(pixels));
        return results;
    }

    static void copy_out(const float* from, size_t step, int count, ncnn::Mat& top, int row, int column) {
        for (int o = 0; o < top.c; o++) {
            std::copy_n(from + static_cast<size_t>(o) * step, count, top.channel(o).row(row) + column);
        }
    }

    const RankCore& core_;
    Arena& arena_;
    const RowSource& input_;
    const int width_, held_rows_;
    const size_t step_;
    float* const values_;  // inputs × held rows × width, zeros at both sides
    std::vector<const float*> places_;
    int first_ = 0, held_ = 0;
};

int RankCore::forward(const std::vector<ncnn::Mat>& bottoms, std::vector<ncnn::Mat>& tops, const ncnn::Option& option) const {
    const std::shared_ptr<const RowSource> input = bottoms.size() == 1 ? rows_of(bottoms[0]) : nullptr;
    if (!input || input->channels() != inputs_ || tops.size() != (measures_ ? 2u : 1u)) return kBadLayer;
    const int padded_w = input->width() + left_ + right_, padded_h = input->height() + top_ + bottom_;
    const int reach_w = dilation_w_ * (kernel_w_ - 1) + 1, reach_h = dilation_h_ * (kernel_h_ - 1) + 1;
    if (padded_w < reach_w || padded_h < reach_h) return kBadLayer;
    const int width = (padded_w - reach_w) / stride_w_ + 1, height = (padded_h - reach_h) / stride_h_ + 1;

    // Strips do not depend on the number of threads, and neither do sums over them.
    const int rows = std::min(height, std::max(kStripRows, kStripPixels / width)), strips = (height + rows - 1) / rows;
    const int bands = std::min(std::max(1, option.num_threads), strips);
    ncnn::Mat& top = tops[0];
    // A row is read before the result reaches it, if one thread goes from top to bottom.
    const bool in_order = bands == 1 && stride_h_ == 1 && width == input->width() && height == input->height() && top_ < reach_h;
    const ncnn::Mat* spare = in_order ? input->spare(outputs_) : nullptr;
    if (spare) {
        top = *spare;
        top.c = outputs_;
    } else {
        top.create(width, height, room_, sizeof(float), option.blob_allocator);
        top.c = outputs_;
    }
    if (top.empty()) return kOutOfMemory;

    std::vector<Moments> moments(measures_ ? static_cast<size_t>(strips) : 0, Moments(outputs_));
    const int status = for_each_band(bands, option, [&](int band, Arena& arena) {
        Strip strip(*this, *input, rows, arena);
        for (int s = strips * band / bands; s < strips * (band + 1) / bands; s++) {
            const int y = s * rows, count = std::min(rows, height - y);
            strip.make(y, count, top);
            if (measures_) moments[static_cast<size_t>(s)].add(top.row(y), top.cstep, count * width);
        }
    });
    if (status != 0 || !measures_) return status;
    Moments all(outputs_);
    for (const Moments& part : moments) all.add(part);
    tops[1] = all.blob(option.blob_allocator);
    return tops[1].empty() ? kOutOfMemory : 0;
}

ncnn::Layer* make_rank_core(void*) { return new RankCore; }

}  // namespace bench

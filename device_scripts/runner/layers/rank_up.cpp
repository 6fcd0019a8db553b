#include "layers/rank_up.h"

#include <algorithm>
#include <initializer_list>
#include <memory>

#include "layers/rank_kernel.h"
#include "layers/row_source.h"

namespace bench {
namespace {

struct Borders {
    int above, below, left, right;
};

class UpRows : public RowSource {
public:
    UpRows(std::shared_ptr<const RowSource> low, const std::vector<float>& weight, int outputs, int kernel_w, int kernel_h, Borders borders)
        : RowSource(low->width() * kernel_w + borders.left + borders.right, low->height() * kernel_h + borders.above + borders.below,
                    outputs),
          low_(std::move(low)),
          weight_(weight),
          kernel_w_(kernel_w),
          kernel_h_(kernel_h),
          borders_(borders) {}

    void write(int y, int count, float* to, size_t channel_step, size_t row_step, Arena& arena) const override {
        const int inputs = low_->channels(), length = low_->width();
        const size_t step = static_cast<size_t>(length + kLanes);
        const Arena::Frame frame(arena);
        float* const results = arena.take(step * static_cast<size_t>(channels()));
        std::vector<const float*> rows(static_cast<size_t>(inputs));
        for (int i = 0; i < count; i++, to += row_step) {
            const int inner = y + i - borders_.above;
            if (inner < 0 || inner >= low_->height() * kernel_h_) {
                for (int o = 0; o < channels(); o++) std::fill_n(to + static_cast<size_t>(o) * channel_step, width(), 0.0f);
                continue;
            }
            const Arena::Frame row_frame(arena);
            const Rows low = low_->read(inner / kernel_h_, 1, arena);
            for (int k = 0; k < inputs; k++) rows[static_cast<size_t>(k)] = low.first + static_cast<size_t>(k) * low.channel_step;
            for (int o = 0; o < channels(); o++) {
                float* row = to + static_cast<size_t>(o) * channel_step;
                std::fill_n(row, borders_.left, 0.0f);
                std::fill_n(row + width() - borders_.right, borders_.right, 0.0f);
            }
            for (int kx = 0; kx < kernel_w_; kx++) {
                const size_t phase = static_cast<size_t>(inner % kernel_h_ * kernel_w_ + kx);
                const float* weights = weight_.data() + phase * static_cast<size_t>(inputs) * static_cast<size_t>(channels());
                mix({inputs, channels(), length, rows.data(), weights, static_cast<size_t>(channels()), nullptr, results, step, false,
                     After::store});
                for (int o = 0; o < channels(); o++) {
                    const float* from = results + static_cast<size_t>(o) * step;
                    float* row = to + static_cast<size_t>(o) * channel_step + borders_.left + kx;
                    for (int x = 0; x < length; x++) row[static_cast<size_t>(x) * kernel_w_] = from[x];
                }
            }
        }
    }

private:
    std::shared_ptr<const RowSource> low_;
    const std::vector<float>& weight_;  // of the layer, which lives longer
    int kernel_w_, kernel_h_;
    Borders borders_;
};

}  // namespace

RankUp::RankUp() {
    one_blob_only = false;
    support_inplace = false;
}

int RankUp::load_param(const ncnn::ParamDict& parameters) {
    outputs_ = parameters.get(0, 0);
    kernel_w_ = parameters.get(1, 0);
    kernel_h_ = parameters.get(11, kernel_w_);
    size_ = parameters.get(6, 0);
    above_ = parameters.get(20, 0);
    below_ = parameters.get(21, 0);
    left_ = parameters.get(22, 0);
    right_ = parameters.get(23, 0);
    constexpr int kMost = 1 << 14;
    for (const int value : {outputs_, kernel_w_, kernel_h_}) {
        if (value < 1 || value > kMost) return kBadLayer;
    }
    for (const int value : {above_, below_, left_, right_}) {
        if (value < 0 || value > kMost) return kBadLayer;
    }
    const int64_t per_input = static_cast<int64_t>(outputs_) * kernel_w_ * kernel_h_;
    if (size_ < 1 || per_input > size_ || size_ % per_input != 0) return kBadLayer;
    inputs_ = static_cast<int>(size_ / per_input);
    return 0;
}

int RankUp::load_model(const ncnn::ModelBin& weights) {
    const ncnn::Mat given = weights.load(size_, 0);
    if (given.empty()) return kOutOfMemory;
    const float* values = given;
    weight_.resize(static_cast<size_t>(size_));
    const int places = kernel_w_ * kernel_h_;
    for (int o = 0; o < outputs_; o++) {
        for (int i = 0; i < inputs_; i++) {
            for (int place = 0; place < places; place++) {
                weight_[(static_cast<size_t>(place) * inputs_ + static_cast<size_t>(i)) * outputs_ + static_cast<size_t>(o)] = *values++;
            }
        }
    }
    return 0;
}

int RankUp::forward(const std::vector<ncnn::Mat>& bottoms, std::vector<ncnn::Mat>& tops, const ncnn::Option&) const {
    const std::shared_ptr<const RowSource> low = bottoms.size() == 1 ? rows_of(bottoms[0]) : nullptr;
    if (!low || low->channels() != inputs_ || tops.size() != 1) return kBadLayer;
    constexpr int64_t kMost = 1 << 28;
    if (static_cast<int64_t>(low->width()) * kernel_w_ > kMost || static_cast<int64_t>(low->height()) * kernel_h_ > kMost) return kBadLayer;
    tops[0] =
        deferred(std::make_shared<const UpRows>(low, weight_, outputs_, kernel_w_, kernel_h_, Borders{above_, below_, left_, right_}));
    return tops[0].empty() ? kOutOfMemory : 0;
}

ncnn::Layer* make_rank_up(void*) { return new RankUp; }

}  // namespace bench

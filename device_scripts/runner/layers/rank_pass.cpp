#include "layers/rank_pass.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>

#include "layers/rank_kernel.h"
#include "weights/dct.h"

namespace bench {
namespace {

constexpr int kBadLayer = -1, kOutOfMemory = -100;
constexpr int kBlock = 4096;  // pixels whose sums one thread makes at a time

std::vector<float> first_columns(int n, int count) {
    std::vector<int> columns(static_cast<size_t>(count));
    std::iota(columns.begin(), columns.end(), 0);
    return dct_columns(n, columns);
}

// What is done to each wide channel before ReLU: y = matrix z + shift, matrix channels × rank.
struct Affine {
    std::vector<float> matrix, shift;
};

// Sums over the pixels of a blob in double, by blocks, so that the number of threads does not matter for the result.
template <class BlockSums>
std::vector<double> sum_over_pixels(int pixels, size_t sums, int threads, const BlockSums& block_sums) {
    const int blocks = (pixels + kBlock - 1) / kBlock;
    std::vector<double> parts(sums * static_cast<size_t>(blocks));
    #pragma omp parallel for num_threads(threads)
    for (int b = 0; b < blocks; b++) {
        block_sums(b * kBlock, std::min(kBlock, pixels - b * kBlock), parts.data() + sums * static_cast<size_t>(b));
    }
    std::vector<double> total(sums);
    for (int b = 0; b < blocks; b++) {
        for (size_t i = 0; i < sums; i++) total[i] += parts[sums * static_cast<size_t>(b) + i];
    }
    return total;
}

// The sum of term(i) for i < count in double, of parts that are short enough for float.
template <class Term>
double sum_of(int count, const Term& term) {
    constexpr int kLanes = 16;
    double total = 0;
    for (int start = 0; start < count; start += 256) {
        const int end = std::min(start + 256, count);
        float lanes[kLanes] = {};
        int i = start;
        for (; i + kLanes <= end; i += kLanes) {
            for (int l = 0; l < kLanes; l++) lanes[l] += term(i + l);
        }
        for (; i < end; i++) lanes[0] += term(i);
        for (const float lane : lanes) total += lane;
    }
    return total;
}

// Mean and covariance (rank × rank, biased) of the channels of z.
struct Moments {
    std::vector<double> mean, covariance;

    Moments(const ncnn::Mat& z, int pixels, int threads) {
        const size_t rank = static_cast<size_t>(z.c);
        mean = sum_over_pixels(pixels, rank, threads, [&](int start, int count, double* sums) {
            for (size_t k = 0; k < rank; k++) {
                const float* values = static_cast<const float*>(z.channel(static_cast<int>(k))) + start;
                sums[k] = sum_of(count, [=](int i) { return values[i]; });
            }
        });
        for (double& value : mean) value /= pixels;
        covariance = sum_over_pixels(pixels, rank * rank, threads, [&](int start, int count, double* sums) {
            for (size_t k = 0; k < rank; k++) {
                const float* a = static_cast<const float*>(z.channel(static_cast<int>(k))) + start;
                const float a_mean = static_cast<float>(mean[k]);
                for (size_t l = 0; l <= k; l++) {
                    const float* b = static_cast<const float*>(z.channel(static_cast<int>(l))) + start;
                    const float b_mean = static_cast<float>(mean[l]);
                    const double sum = sum_of(count, [=](int i) { return (a[i] - a_mean) * (b[i] - b_mean); });
                    sums[k * rank + l] = sums[l * rank + k] = sum;
                }
            }
        });
        for (double& value : covariance) value /= pixels;
    }
};

// Normalisation of y = E z without y: its mean is E μ, its variance the diagonal of E Σ Eᵀ.
void normalise(Affine& affine, const Moments& moments, float epsilon) {
    const size_t rank = moments.mean.size();
    for (size_t c = 0; c < affine.shift.size(); c++) {
        float* row = affine.matrix.data() + c * rank;
        double mean = 0, variance = 0;
        for (size_t k = 0; k < rank; k++) {
            mean += row[k] * moments.mean[k];
            for (size_t l = 0; l < rank; l++) variance += row[k] * moments.covariance[k * rank + l] * row[l];
        }
        const double scale = 1 / std::sqrt(variance + epsilon);
        for (size_t k = 0; k < rank; k++) row[k] = static_cast<float>(row[k] * scale);
        // A bias before the norm is a constant that the norm takes away again.
        affine.shift[c] = static_cast<float>(-mean * scale);
    }
}

// Two linear maps in a row are one: R (E z + b) = (R E) z + R b.
struct Folded {
    std::vector<float> matrix, shift;  // rank × reduced; reduced
};

Folded fold(const Affine& affine, const std::vector<float>& reduce, int rank, int reduced) {
    Folded folded;
    const size_t channels = affine.shift.size();
    for (int k = 0; k <= rank; k++) {
        for (int u = 0; u < reduced; u++) {
            double sum = 0;
            for (size_t c = 0; c < channels; c++) {
                const float wide = k < rank ? affine.matrix[c * static_cast<size_t>(rank) + static_cast<size_t>(k)] : affine.shift[c];
                sum += static_cast<double>(wide) * reduce[c * static_cast<size_t>(reduced) + static_cast<size_t>(u)];
            }
            (k < rank ? folded.matrix : folded.shift).push_back(static_cast<float>(sum));
        }
    }
    return folded;
}

// Most tiles are whole, and a size that is known is a few moves and no call.
inline void copy_tile(const float* from, int count, float* to) {
    if (count == kTile) {
        std::memcpy(to, from, kTile * sizeof(float));
    } else {
        std::copy_n(from, count, to);
    }
}

// Pixels of one tile, side by side: of the pixels from `start` of the output, or of the row it names when pooled.
struct Gather {
    const ncnn::Mat& from;
    bool pooled;
    int row;

    void operator()(int start, int count, float* to) const {
        const int channels = from.c;
        if (!pooled) {
            for (int k = 0; k < channels; k++) copy_tile(static_cast<const float*>(from.channel(k)) + start, count, to + k * kTile);
            return;
        }
        for (int dy = 0; dy < 2; dy++) {
            for (int k = 0; k < channels; k++) {
                const float* values = from.channel(k).row(2 * row + dy) + 2 * start;
                float* even = to + ((2 * dy) * channels + k) * kTile;
                float* odd = even + channels * kTile;
                for (int i = 0; i < count; i++) {
                    even[i] = values[2 * i];
                    odd[i] = values[2 * i + 1];
                }
            }
        }
    }
};

}  // namespace

RankPass::RankPass() {
    one_blob_only = false;
    support_inplace = false;
}

int RankPass::load_param(const ncnn::ParamDict& parameters) {
    channels_ = parameters.get(0, 0);
    rank_ = parameters.get(1, 0);
    reduced_ = parameters.get(2, 0);
    total_ = parameters.get(3, channels_);
    first_ = parameters.get(4, 0);
    normalised_ = parameters.get(5, 0) == 1;
    epsilon_ = parameters.get(6, 1e-5f);
    relu_ = parameters.get(7, 0) == 1;
    pooled_ = parameters.get(8, 0) == 1;
    vectors_ = parameters.get(9, 0);
    added_ = parameters.get(10, 0) == 1;
    loaded_ = parameters.get(11, 0) == 1;
    constexpr int kMost = 1 << 20;
    const bool sane = channels_ > 0 && channels_ <= kMost && rank_ >= 0 && rank_ <= channels_ && reduced_ >= 0 && first_ >= 0 &&
                      total_ <= kMost && first_ <= total_ - channels_ && vectors_ >= 0 && vectors_ <= 2 &&
                      (rank_ > 0 || reduced_ > 0) && (loaded_ ? reduced_ <= kMost : reduced_ <= total_) &&
                      static_cast<int64_t>(channels_) * reduced_ <= INT32_MAX && static_cast<int64_t>(channels_) * rank_ <= INT32_MAX &&
                      // Only y = E z has moments that are free; and a norm of what was shifted first is different.
                      !(normalised_ && (rank_ == 0 || vectors_ > 0)) && !(rank_ == 0 && (pooled_ || vectors_ > 0)) && !(added_ && reduced_ == 0);
    return sane ? 0 : kBadLayer;
}

int RankPass::load_model(const ncnn::ModelBin& weights) {
    expand_.resize(static_cast<size_t>(channels_) * rank_);
    const std::vector<float> out = first_columns(channels_, rank_);
    for (int c = 0; c < channels_; c++) {
        for (int k = 0; k < rank_; k++) expand_[static_cast<size_t>(c) * rank_ + k] = out[static_cast<size_t>(k) * channels_ + c];
    }
    ncnn::Mat given;
    std::vector<float> in;
    if (loaded_) {
        given = weights.load(channels_ * reduced_, 0);
        if (given.empty()) return kOutOfMemory;
    } else {
        in = first_columns(total_, reduced_);
    }
    const float* rows = loaded_ ? static_cast<const float*>(given) : in.data() + first_;
    const size_t step = static_cast<size_t>(loaded_ ? channels_ : total_);
    reduce_.resize(static_cast<size_t>(channels_) * reduced_);
    for (int c = 0; c < channels_; c++) {
        for (int u = 0; u < reduced_; u++) reduce_[static_cast<size_t>(c) * reduced_ + u] = rows[u * step + c];
    }
    return 0;
}

int RankPass::forward(const std::vector<ncnn::Mat>& bottoms, std::vector<ncnn::Mat>& tops, const ncnn::Option& option) const {
    const ncnn::Mat& z = bottoms[0];
    const int narrow = rank_ > 0 ? rank_ : channels_;
    if (z.c != narrow || z.dims != 3 || bottoms.size() != static_cast<size_t>(1 + vectors_ + added_)) return kBadLayer;
    for (int i = 1; i <= vectors_; i++) {
        if (bottoms[i].dims != 1 || bottoms[i].w != channels_) return kBadLayer;
    }
    const int width = pooled_ ? z.w / 2 : z.w, height = pooled_ ? z.h / 2 : z.h;
    const int outputs = reduced_ > 0 ? reduced_ : channels_;
    tops[0].create(width, height, outputs, sizeof(float), option.blob_allocator);
    if (tops[0].empty()) return kOutOfMemory;
    if (added_ && (bottoms.back().w != width || bottoms.back().h != height || bottoms.back().c != outputs)) return kBadLayer;

    Affine affine{expand_, std::vector<float>(static_cast<size_t>(channels_))};
    if (normalised_) normalise(affine, Moments(z, z.w * z.h, option.num_threads), epsilon_);
    if (vectors_ > 0) std::copy_n(static_cast<const float*>(bottoms[1]), channels_, affine.shift.data());
    if (vectors_ > 1) {
        const float* scale = bottoms[2];
        for (size_t i = 0; i < affine.matrix.size(); i++) affine.matrix[i] *= scale[i / static_cast<size_t>(rank_)];
    }

    RankTile form{pooled_ ? 4 : 1, rank_, channels_, reduced_, relu_, nullptr, affine.matrix.data(), affine.shift.data(), reduce_.data(), nullptr};
    std::vector<float> start_values(static_cast<size_t>(outputs));
    Folded folded;
    if (rank_ > 0 && reduced_ > 0 && !relu_ && !pooled_) {
        folded = fold(affine, reduce_, rank_, reduced_);
        form.rank = 0;
        form.channels = rank_;
        form.reduce = folded.matrix.data();
        start_values = folded.shift;
    }
    const int rows = pooled_ ? height : 1, length = pooled_ ? width : width * height;
    const int tiles = (length + kTile - 1) / kTile;
    // A run of tiles to a thread at a time: its buffers are made once for all of them.
    constexpr int kRun = 32;
    const int runs = (rows * tiles + kRun - 1) / kRun;
    ncnn::Mat& top = tops[0];
    const ncnn::Mat* before = added_ ? &bottoms.back() : nullptr;
    #pragma omp parallel for num_threads(option.num_threads)
    for (int run = 0; run < runs; run++) {
        std::vector<float> narrow_values(static_cast<size_t>(form.windows * narrow * kTile));
        std::vector<float> results(static_cast<size_t>(outputs * kTile));
        for (int number = run * kRun; number < std::min((run + 1) * kRun, rows * tiles); number++) {
            const int row = number / tiles, start = number % tiles * kTile;
            const int count = std::min(kTile, length - start);
            const size_t place = static_cast<size_t>(pooled_ ? row * width : 0) + static_cast<size_t>(start);
            Gather{z, pooled_, row}(start, count, narrow_values.data());
            for (int u = 0; u < outputs; u++) {
                float* sums = results.data() + u * kTile;
                std::fill_n(sums, kTile, start_values[static_cast<size_t>(u)]);
                if (before) {
                    const float* values = static_cast<const float*>(before->channel(u)) + place;
                    for (int i = 0; i < count; i++) sums[i] += values[i];
                }
            }
            RankTile tile = form;
            tile.z = narrow_values.data();
            tile.results = results.data();
            run_tile(tile);
            for (int u = 0; u < outputs; u++) {
                copy_tile(results.data() + u * kTile, count, static_cast<float*>(top.channel(u)) + place);
            }
        }
    }
    return 0;
}

ncnn::Layer* make_rank_pass(void*) { return new RankPass; }

}  // namespace bench

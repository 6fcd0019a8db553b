#include "layers/rank_pass.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "layers/rank_kernel.h"
#include "layers/wide_space.h"

namespace bench {
namespace {

constexpr int kBadLayer = -1, kOutOfMemory = -100;
constexpr int kBlock = 4096;  // pixels whose sums one thread makes at a time

template <class Value>
Value read(const ncnn::ParamDict& given, int number, const Value& otherwise) {
    return static_cast<Value>(given.get(number, otherwise));
}

template <>
Floats read(const ncnn::ParamDict& given, int number, const Floats& otherwise) {
    constexpr int kArrayOfFloat = 6;  // of whole numbers: 5, which are stored as such
    if (given.type(number) != kArrayOfFloat) return otherwise;
    const ncnn::Mat values = given.get(number, ncnn::Mat());
    return Floats(static_cast<const float*>(values), static_cast<const float*>(values) + values.w);
}

// What is done to each wide channel before ReLU: y = matrix z + shift, matrix points × rank.
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
    const size_t points = affine.shift.size();
    for (int k = 0; k <= rank; k++) {
        for (int u = 0; u < reduced; u++) {
            double sum = 0;
            for (size_t c = 0; c < points; c++) {
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

RankPassParameters::RankPassParameters(const ncnn::ParamDict& given) {
#define READ(number, type, name, otherwise) name = read(given, number, name);
    RANK_PASS_PARAMETERS(READ)
#undef READ
    if (total == 0) total = channels;
}

namespace {
constexpr int kMost = 1 << 20;

bool is_small(int64_t rows, int64_t columns) { return rows * columns <= INT32_MAX; }
}  // namespace

bool RankPassParameters::make_sense() const {
    const bool sizes = channels > 0 && channels <= kMost && rank >= 0 && rank <= channels && reduced >= 0 && (rank > 0 || reduced > 0);
    const bool loads = kept > 0 || kept_out > 0;
    const bool core = !loads || (0 < kept && kept <= channels && 0 < kept_out && kept_out <= reduced && total == channels);
    const bool place = first >= 0 && total <= kMost && first <= total - channels && reduced <= (loads ? kMost : total);
    // Only y = E z has moments that are free, and a norm of what was shifted first is another matter.
    const bool steps = !(normalised && (rank == 0 || vectors > 0)) && !(rank == 0 && (pooled || vectors > 0)) && !(added && reduced == 0);
    const bool matrices = is_small(channels, reduced) && is_small(channels, rank) && is_small(kept, kept_out);
    return sizes && core && place && steps && matrices && vectors >= 0 && vectors <= 2 && samples_make_sense();
}

bool RankPassParameters::samples_make_sense() const {
    if (samples < 0 || samples > channels || points.size() != weights.size()) return false;
    // What is read, written or given for each channel has all of them.
    if (samples > 0 && (rank == 0 || reduced == 0 || vectors > 0)) return false;
    const auto inside = [](float t) { return 0 < t && t < 1; };
    const auto part = [](float weight) { return 0 <= weight && weight <= 1; };
    const bool numbers = std::all_of(points.begin(), points.end(), inside) && std::all_of(weights.begin(), weights.end(), part);
    return points.empty() || (numbers && points.size() == static_cast<size_t>(samples));
}

int RankPass::load_param(const ncnn::ParamDict& parameters) {
    p_ = RankPassParameters(parameters);
    return p_.make_sense() ? 0 : kBadLayer;
}

int RankPass::load_model(const ncnn::ModelBin& weights) {
    const WideSpace space(p_.channels, p_.samples, p_.points, p_.weights);
    expand_ = space.expand(p_.rank);
    if (p_.kept == 0) {
        reduce_ = space.reduce(p_.reduced, p_.total, p_.first);
        return 0;
    }
    const ncnn::Mat core = weights.load(p_.kept_out * p_.kept, 0);
    if (core.empty()) return kOutOfMemory;
    reduce_ = space.reduce(p_.reduced, static_cast<const float*>(core), p_.kept_out, p_.kept);
    return 0;
}

int RankPass::forward(const std::vector<ncnn::Mat>& bottoms, std::vector<ncnn::Mat>& tops, const ncnn::Option& option) const {
    const ncnn::Mat& z = bottoms[0];
    const int narrow = p_.rank > 0 ? p_.rank : p_.channels;
    if (z.c != narrow || z.dims != 3 || bottoms.size() != static_cast<size_t>(1 + p_.vectors + p_.added)) return kBadLayer;
    for (int i = 1; i <= p_.vectors; i++) {
        if (bottoms[i].dims != 1 || bottoms[i].w != p_.channels) return kBadLayer;
    }
    const int width = p_.pooled ? z.w / 2 : z.w, height = p_.pooled ? z.h / 2 : z.h;
    const int outputs = p_.reduced > 0 ? p_.reduced : p_.channels;
    tops[0].create(width, height, outputs, sizeof(float), option.blob_allocator);
    if (tops[0].empty()) return kOutOfMemory;
    if (p_.added && (bottoms.back().w != width || bottoms.back().h != height || bottoms.back().c != outputs)) return kBadLayer;

    const int points = p_.samples > 0 ? p_.samples : p_.channels;
    Affine affine{expand_, std::vector<float>(static_cast<size_t>(points))};
    if (p_.normalised) normalise(affine, Moments(z, z.w * z.h, option.num_threads), p_.epsilon);
    if (p_.vectors > 0) std::copy_n(static_cast<const float*>(bottoms[1]), p_.channels, affine.shift.data());
    if (p_.vectors > 1) {
        const float* scale = bottoms[2];
        for (size_t i = 0; i < affine.matrix.size(); i++) affine.matrix[i] *= scale[i / static_cast<size_t>(p_.rank)];
    }

    RankTile form{};
    form.windows = p_.pooled ? 4 : 1;
    form.rank = p_.rank;
    form.channels = points;
    form.reduced = p_.reduced;
    form.relu = p_.relu;
    form.expand = affine.matrix.data();
    form.bias = affine.shift.data();
    form.reduce = reduce_.data();
    std::vector<float> start_values(static_cast<size_t>(outputs));
    Folded folded;
    if (p_.rank > 0 && p_.reduced > 0 && !p_.relu && !p_.pooled) {
        folded = fold(affine, reduce_, p_.rank, p_.reduced);
        form.rank = 0;
        form.channels = p_.rank;
        form.reduce = folded.matrix.data();
        start_values = folded.shift;
    }
    const int rows = p_.pooled ? height : 1, length = p_.pooled ? width : width * height;
    const int tiles = (length + kTile - 1) / kTile;
    // A run of tiles to a thread at a time: its buffers are made once for all of them.
    constexpr int kRun = 32;
    const int runs = (rows * tiles + kRun - 1) / kRun;
    ncnn::Mat& top = tops[0];
    const ncnn::Mat* before = p_.added ? &bottoms.back() : nullptr;
#pragma omp parallel for num_threads(option.num_threads)
    for (int run = 0; run < runs; run++) {
        std::vector<float> narrow_values(static_cast<size_t>(form.windows * narrow * kTile));
        std::vector<float> results(static_cast<size_t>(outputs * kTile));
        for (int number = run * kRun; number < std::min((run + 1) * kRun, rows * tiles); number++) {
            const int row = number / tiles, start = number % tiles * kTile;
            const int count = std::min(kTile, length - start);
            const size_t place = static_cast<size_t>(p_.pooled ? row * width : 0) + static_cast<size_t>(start);
            Gather{z, p_.pooled, row}(start, count, narrow_values.data());
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

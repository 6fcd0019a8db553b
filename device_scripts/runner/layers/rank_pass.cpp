#include "layers/rank_pass.h"

#include <algorithm>
#include <cmath>
#include <memory>

#include "layers/moments.h"
#include "layers/pass_rows.h"
#include "layers/wide_space.h"

namespace bench {
namespace {

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

template <>
float read(const ncnn::ParamDict& given, int number, const float& otherwise) {
    constexpr int kLastNumber = 3;  // then come arrays and words, such as nan, for which ncnn gives what stands for nothing
    return given.type(number) <= kLastNumber ? given.get(number, otherwise) : NAN;
}

// Normalisation of y = E z without y: its mean is E μ, its variance the diagonal of E Σ Eᵀ. E is rank × points.
void normalise(PassSteps& steps, const Moments& moments, float epsilon) {
    const size_t rank = moments.rank(), points = static_cast<size_t>(steps.points);
    const std::vector<double> covariance = moments.covariance();
    std::vector<double> row(rank);
    for (size_t c = 0; c < points; c++) {
        float* column = steps.expand.data() + c;
        for (size_t k = 0; k < rank; k++) row[k] = column[k * points];
        double mean = 0, variance = 0;
        for (size_t k = 0; k < rank; k++) {
            mean += row[k] * moments.mean(k);
            double with_others = 0;
            for (size_t l = 0; l < k; l++) with_others += covariance[k * rank + l] * row[l];
            variance += row[k] * (2 * with_others + covariance[k * rank + k] * row[k]);
        }
        const double scale = 1 / std::sqrt(variance + epsilon);
        for (size_t k = 0; k < rank; k++) column[k * points] = static_cast<float>(row[k] * scale);
        // A bias before the norm is a constant that the norm takes away again.
        steps.shift[c] = static_cast<float>(-mean * scale);
    }
}

// Of a blob that comes without them. Returns what a layer's forward() does.
int measure(const RowSource& rows, const ncnn::Option& option, Moments& moments) {
    constexpr int kPixels = 4096;
    const int step = std::max(1, kPixels / rows.width());
    return for_each_band(1, option, [&](int, Arena& arena) {
        for (int y = 0; y < rows.height(); y += step) {
            const int count = std::min(step, rows.height() - y);
            const Arena::Frame frame(arena);
            const Rows some = rows.read(y, count, arena);
            moments.add(some.first, some.channel_step, count * rows.width());
        }
    });
}

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
    const bool steps = !(normalised && (rank == 0 || vectors > 0)) && !(rank == 0 && (pooled || vectors > 0)) && !(added && reduced == 0) &&
                       !(measured && !normalised) && std::isfinite(epsilon) && epsilon >= 0;
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
    PassSteps steps;
    steps.points = static_cast<int>(space.size());
    steps.rank = p_.rank;
    steps.reduced = p_.reduced;
    steps.pooled = p_.pooled;
    steps.relu = p_.relu;
    const std::vector<float> expand = space.expand(p_.rank);
    for (int k = 0; k < p_.rank; k++) {
        for (size_t c = 0; c < space.size(); c++)
            steps.expand.push_back(expand[c * static_cast<size_t>(p_.rank) + static_cast<size_t>(k)]);
    }
    if (p_.rank > 0) steps.shift.resize(space.size());
    if (p_.kept == 0) {
        steps.reduce = space.reduce(p_.reduced, p_.total, p_.first);
    } else {
        const ncnn::Mat core = weights.load(p_.kept_out * p_.kept, 0);
        if (core.empty()) return kOutOfMemory;
        steps.reduce = space.reduce(p_.reduced, static_cast<const float*>(core), p_.kept_out, p_.kept);
    }
    if (p_.is_linear() && p_.is_constant()) steps = steps.folded();
    steps_ = std::make_shared<const PassSteps>(std::move(steps));
    return 0;
}

int RankPass::forward(const std::vector<ncnn::Mat>& bottoms, std::vector<ncnn::Mat>& tops, const ncnn::Option& option) const {
    const size_t first_vector = p_.measured ? 2 : 1;
    if (bottoms.size() != first_vector + static_cast<size_t>(p_.vectors + p_.added) || tops.size() != 1) return kBadLayer;
    const std::shared_ptr<const RowSource> z = rows_of(bottoms[0]);
    if (!z || z->channels() != (p_.rank > 0 ? p_.rank : p_.channels)) return kBadLayer;

    for (size_t i = first_vector; i < first_vector + static_cast<size_t>(p_.vectors); i++) {
        if (bottoms[i].dims != 1 || bottoms[i].w != p_.channels || bottoms[i].elemsize != sizeof(float)) return kBadLayer;
    }
    std::shared_ptr<const PassSteps> used = steps_;
    if (!p_.is_constant()) {  // else a copy of what may be megabytes, each time
        PassSteps steps = *steps_;
        if (p_.normalised) {
            Moments moments(p_.rank);
            if (!p_.measured) {
                if (const int status = measure(*z, option, moments)) return status;
            } else if (!moments.read(bottoms[1])) {
                return kBadLayer;
            }
            normalise(steps, moments, p_.epsilon);
        }
        if (p_.vectors > 0) std::copy_n(static_cast<const float*>(bottoms[first_vector]), p_.channels, steps.shift.data());
        if (p_.vectors > 1) {
            const float* scale = bottoms[first_vector + 1];
            for (size_t i = 0; i < steps.expand.size(); i++) steps.expand[i] *= scale[i % static_cast<size_t>(p_.channels)];
        }
        if (p_.is_linear()) steps = steps.folded();
        used = std::make_shared<const PassSteps>(std::move(steps));
    }

    std::shared_ptr<const RowSource> added = p_.added ? rows_of(bottoms.back()) : nullptr;
    if (p_.added && !added) return kBadLayer;
    const auto rows = std::make_shared<const PassRows>(std::move(used), z, added);
    if (rows->width() < 1 || rows->height() < 1) return kBadLayer;
    if (added && (added->width() != rows->width() || added->height() != rows->height() || added->channels() != rows->channels())) {
        return kBadLayer;
    }
    if (p_.deferred) {
        tops[0] = deferred(rows);
        return tops[0].empty() ? kOutOfMemory : 0;
    }
    // While a layer runs, ncnn has two references to a blob that nothing else needs, and `z` has a third.
    const bool ours = !p_.added && !p_.pooled && bottoms[0].refcount && *bottoms[0].refcount == 3 && bottoms[0].dims == 3;
    return make_rows(*rows, ours && room_of(bottoms[0]) >= rows->channels() ? &bottoms[0] : nullptr, tops[0], option);
}

ncnn::Layer* make_rank_pass(void*) { return new RankPass; }

}  // namespace bench

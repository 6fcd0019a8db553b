#include "weights/dct.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <utility>

namespace bench {

std::vector<float> dct_columns(int n, const std::vector<int>& columns) {
    std::vector<float> rows;
    rows.reserve(static_cast<size_t>(n) * columns.size());
    for (const int k : columns) {
        const double scale = std::sqrt((k == 0 ? 1.0 : 2.0) / n);
        for (int j = 0; j < n; j++) {
            // The angle is a multiple of π/2n; reducing it as an integer keeps large k exact.
            const int64_t steps = (2 * static_cast<int64_t>(j) + 1) * k % (4 * static_cast<int64_t>(n));
            rows.push_back(static_cast<float>(scale * std::cos(M_PI * static_cast<double>(steps) / (2.0 * n))));
        }
    }
    return rows;
}

namespace {

// to = Σ from[k] · factors[k], in one pass over `count` contiguous values: every result is written once.
template <int terms>
void combine(float* __restrict to, const float* __restrict from, size_t from_step, const float* factors, size_t count) {
    float f[terms];
    std::copy(factors, factors + terms, f);
    for (size_t i = 0; i < count; i++) {
        float sum = f[0] * from[i];
        for (int k = 1; k < terms; k++) sum += f[k] * from[i + k * from_step];
        to[i] = sum;
    }
}

template <int terms>
void accumulate(float* __restrict to, const float* __restrict from, size_t from_step, const float* factors, size_t count) {
    float f[terms];
    std::copy(factors, factors + terms, f);
    for (size_t i = 0; i < count; i++) {
        float sum = to[i];
        for (int k = 0; k < terms; k++) sum += f[k] * from[i + k * from_step];
        to[i] = sum;
    }
}

// to[i] = Σ_k factors[k] · from[k · from_step + i] for i < count and k < terms ≥ 1.
void combine(float* to, const float* from, size_t from_step, const float* factors, int terms, size_t count) {
    int k = 0;
    switch (terms % 4) {
        case 0:
            combine<4>(to, from, from_step, factors, count);
            k = 4;
            break;
        case 1:
            combine<1>(to, from, from_step, factors, count);
            k = 1;
            break;
        case 2:
            combine<2>(to, from, from_step, factors, count);
            k = 2;
            break;
        case 3:
            combine<3>(to, from, from_step, factors, count);
            k = 3;
            break;
    }
    for (; k < terms; k += 4) accumulate<4>(to, from + k * from_step, from_step, factors + k, count);
}

// Those columns of D(n) as n rows of so many.
std::vector<float> dct_rows(int n, const std::vector<int>& columns) {
    const std::vector<float> transposed = dct_columns(n, columns);
    std::vector<float> rows(transposed.size());
    const size_t height = static_cast<size_t>(n), width = columns.size();
    for (size_t j = 0; j < height; j++) {
        for (size_t k = 0; k < width; k++) rows[j * width + k] = transposed[k * height + j];
    }
    return rows;
}

// One axis of these indices becomes one of length n, with `outer` slices before it and `inner` values behind.
void expand_axis(const float* from, float* to, size_t outer, const std::vector<int>& columns, int n, size_t inner) {
    constexpr size_t kBlock = 1024;  // values: a few rows of so many stay in the first-level cache
    const size_t width = columns.size(), length = static_cast<size_t>(n);
    const int terms = static_cast<int>(width);
    if (inner == 1) {
        const std::vector<float> basis = dct_columns(n, columns);
        for (size_t o = 0; o < outer; o++) combine(to + o * length, basis.data(), length, from + o * width, terms, length);
        return;
    }
    const std::vector<float> basis = dct_rows(n, columns);
    for (size_t o = 0; o < outer; o++, from += width * inner, to += length * inner) {
        for (size_t start = 0; start < inner; start += kBlock) {
            const size_t count = std::min(kBlock, inner - start);
            for (size_t j = 0; j < length; j++) {
                combine(to + j * inner + start, from + start, inner, basis.data() + j * width, terms, count);
            }
        }
    }
}

size_t product(const Axes& extents, int first, int last) {
    size_t result = 1;
    for (int a = first; a < last; a++) result *= static_cast<size_t>(extents[a]);
    return result;
}

// What expanding `axes` of `from` to `to` in that order takes, in multiply-adds; starting a row is worth many of them.
double cost(const std::vector<int>& axes, Axes from, const Axes& to, int rank) {
    constexpr double kRowStart = 24;
    double total = 0;
    for (const int axis : axes) {
        const int terms = from[axis];
        from[axis] = to[axis];
        const size_t inner = product(from, axis + 1, rank);
        const double row = inner == 1 ? to[axis] : static_cast<double>(inner);
        total += static_cast<double>(product(from, 0, rank)) * (1 + terms + kRowStart / row);
    }
    return total;
}

}  // namespace

Core::Core(const FrqTensor& tensor) : rank_(tensor.rank), shape_(tensor.shape) {
    std::vector<Coefficient> kept = tensor.coefficients();
    if (tensor.transposed) {
        std::swap(shape_[0], shape_[1]);
        for (Coefficient& c : kept) std::swap(c.index[0], c.index[1]);
    }
    box_.fill(1);
    for (int a = 0; a < rank_; a++) {
        std::vector<int>& used = indices_[a];
        for (const Coefficient& c : kept) used.push_back(c.index[a]);
        std::sort(used.begin(), used.end());
        used.erase(std::unique(used.begin(), used.end()), used.end());
        box_[a] = static_cast<int32_t>(used.size());
    }
    values_.assign(product(box_, 0, rank_), 0.0f);
    for (const Coefficient& c : kept) {
        size_t place = 0;
        for (int a = 0; a < rank_; a++) {
            const auto found = std::lower_bound(indices_[a].begin(), indices_[a].end(), c.index[a]);
            place = place * static_cast<size_t>(box_[a]) + static_cast<size_t>(found - indices_[a].begin());
        }
        values_[place] = c.value;
    }
}

size_t Core::dense_size() const { return product(shape_, 0, rank_); }
size_t Core::factor_size(int axis) const { return static_cast<size_t>(shape_[axis]) * static_cast<size_t>(box_[axis]); }

// In 64 bits: the factors of a package that lies may have far more values than the weight.
bool Core::gains_by_factors() const {
    const auto values = [](int32_t a, int32_t b) { return static_cast<uint64_t>(a) * static_cast<uint64_t>(b); };
    const uint64_t outer = values(shape_[0], box_[0]) + values(shape_[1], box_[1]);
    return rank_ >= 2 && outer < dense_size() && outer + spatial_core_size() < dense_size();
}

size_t Core::spatial_core_size() const { return product(box_, 0, 2) * product(shape_, 2, rank_); }

void Core::decode_dense(float* weight) const {
    std::vector<int> axes(static_cast<size_t>(rank_));
    for (int a = 0; a < rank_; a++) axes[a] = a;
    expand(axes, weight);
}

void Core::decode_spatial_core(float* weight) const {
    std::vector<int> axes;
    for (int a = 2; a < rank_; a++) axes.push_back(a);
    expand(axes, weight);
}

void Core::write_in_factor(float* weight) const {
    const std::vector<float> columns = dct_columns(shape_[1], indices_[1]);
    std::copy(columns.begin(), columns.end(), weight);
}

void Core::write_out_factor(float* weight) const {
    const std::vector<float> rows = dct_rows(shape_[0], indices_[0]);
    std::copy(rows.begin(), rows.end(), weight);
}

// Expands the given axes, cheapest order first found by trying all (at most 120); only the last step writes `result`.
void Core::expand(const std::vector<int>& given, float* result) const {
    std::vector<int> axes = given, best = given;
    double least = std::numeric_limits<double>::infinity();
    do {
        const double this_cost = cost(axes, box_, shape_, rank_);
        if (this_cost < least) {
            least = this_cost;
            best = axes;
        }
    } while (std::next_permutation(axes.begin(), axes.end()));

    if (best.empty()) {
        std::copy(values_.begin(), values_.end(), result);
        return;
    }
    Axes now = box_;
    std::vector<float> current = values_, next;
    for (const int axis : best) {
        now[axis] = shape_[axis];
        const bool last = axis == best.back();
        if (!last) next.resize(product(now, 0, rank_));
        expand_axis(current.data(), last ? result : next.data(), product(now, 0, axis), indices_[axis], now[axis],
                    product(now, axis + 1, rank_));
        std::swap(current, next);
    }
}

}  // namespace bench

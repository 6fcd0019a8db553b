#include "elm/cholesky.h"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace bench {
namespace {

constexpr size_t kSmall = 64;     // inside a block
constexpr size_t kStrip = 128;    // columns that a thread takes at a time
constexpr int kMostProducts = 5;  // of the estimate, as LAPACK's xLACON

// U⁻ᵀ c for the small triangle at `u`; c has `columns` columns.
void solve_small(const float* u, size_t size, float* c, size_t c_step, size_t columns) {
    for (size_t r = 0; r < size; r++) {
        float* row = c + r * c_step;
        for (size_t k = 0; k < r; k++) {
            const float factor = u[k * kBlock + r];
            const float* above = c + k * c_step;
            for (size_t j = 0; j < columns; j++) row[j] -= factor * above[j];
        }
        const float inverse = 1.0f / u[r * kBlock + r];
        for (size_t j = 0; j < columns; j++) row[j] *= inverse;
    }
}

// U⁻ᵀ c for a whole block.
void solve_block(const float* u, float* c, size_t c_step, size_t columns, Packed& packed) {
    for (size_t at = 0; at < kBlock; at += kSmall) {
        solve_small(u + at * kBlock + at, kSmall, c + at * c_step, c_step, columns);
        const size_t below = at + kSmall;
        if (below == kBlock) break;
        add_product({u + at * kBlock + below, kBlock, c + at * c_step, c_step, c + below * c_step, c_step, kSmall, kBlock - below,
                     columns, -1.0f},
                    packed);
    }
}

}  // namespace

bool Cholesky::factor_diagonal(float* block) {
    for (size_t at = 0; at < kBlock; at += kSmall) {
        for (size_t r = at; r < at + kSmall; r++) {
            float* row = block + r * kBlock;
            double pivot = row[r];
            for (size_t k = at; k < r; k++) pivot -= static_cast<double>(block[k * kBlock + r]) * block[k * kBlock + r];
            if (!(pivot > 0) || !std::isfinite(pivot)) {
                failed = r;
                return false;
            }
            for (size_t k = at; k < r; k++) {
                const float factor = block[k * kBlock + r];
                const float* above = block + k * kBlock;
                for (size_t j = r; j < at + kSmall; j++) row[j] -= factor * above[j];
            }
            const float root = static_cast<float>(std::sqrt(pivot));
            for (size_t j = r; j < at + kSmall; j++) row[j] /= root;
            row[r] = root;
        }
        const size_t right = at + kSmall;
        if (right == kBlock) break;
        float* rows = block + at * kBlock + right;
        solve_small(block + at * kBlock + at, kSmall, rows, kBlock, kBlock - right);
        add_product({rows, kBlock, rows, kBlock, block + right * kBlock + right, kBlock, kSmall, kBlock - right, kBlock - right, -1.0f, true},
                    packed_[0]);
    }
    // Below the diagonal lies nothing of the factor.
    for (size_t r = 1; r < kBlock; r++) std::memset(block + r * kBlock, 0, r * sizeof(float));
    return true;
}

void Cholesky::update(const float* p, const float* q, float* c, bool diagonal) {
    in_threads(threads_, kBlock / kStrip, [&](size_t strip, size_t thread) {
        const size_t first = strip * kStrip;
        add_product({p, kBlock, q + first, kBlock, c + first, kBlock, kBlock, kBlock, kStrip, -1.0f, diagonal, first}, packed_[thread]);
    });
}

void Cholesky::solve_rows(const float* diagonal, float* rows) {
    in_threads(threads_, kBlock / kStrip, [&](size_t strip, size_t thread) {
        solve_block(diagonal, rows + strip * kStrip, kBlock, kStrip, packed_[thread]);
    });
}

bool Cholesky::factor(size_t column, float* work) {
    scratch_.resize(kBlockValues);
    for (size_t j = 0; j < column; j++) {
        float* block = work + j * kBlockValues;
        for (size_t k = 0; k < j; k++) update(triangle_.block(k, j, scratch_.data()), work + k * kBlockValues, block, false);
        solve_rows(triangle_.block(j, j, scratch_.data()), block);
    }
    float* own = work + column * kBlockValues;
    for (size_t k = 0; k < column; k++) update(work + k * kBlockValues, work + k * kBlockValues, own, true);
    if (!factor_diagonal(own)) {
        failed += column * kBlock;
        return false;
    }
    triangle_.keep(column);
    return true;
}

void Cholesky::solve(float* x) {
    scratch_.resize(kBlockValues);
    for (size_t i = 0; i < columns_; i++) {
        float* own = x + i * kBlock * kSixteen;
        for (size_t k = 0; k < i; k++) {
            const float* block = triangle_.block(k, i, scratch_.data());
            add_product({block, kBlock, x + k * kBlock * kSixteen, kSixteen, own, kSixteen, kBlock, kBlock, kSixteen, -1.0f}, packed_[0]);
        }
        solve_block(triangle_.block(i, i, scratch_.data()), own, kSixteen, kSixteen, packed_[0]);
    }
    for (size_t i = columns_; i-- > 0;) {
        float* own = x + i * kBlock * kSixteen;
        const float* diagonal = triangle_.block(i, i, scratch_.data());
        for (size_t r = kBlock; r-- > 0;) {
            float* row = own + r * kSixteen;
            add_sixteen(diagonal + r * kBlock + r + 1, kBlock, row + kSixteen, row, 1, kBlock - r - 1, -1.0f);
            for (size_t j = 0; j < kSixteen; j++) row[j] /= diagonal[r * kBlock + r];
        }
        for (size_t k = 0; k < i; k++) {
            const float* block = triangle_.block(k, i, scratch_.data());
            add_sixteen(block, kBlock, own, x + k * kBlock * kSixteen, kBlock, kBlock, -1.0f);
        }
    }
}

void Cholesky::add_norms(size_t column, const float* work) {
    if (column == 0) sums_.assign(columns_ * kBlock, 0.0);
    for (size_t row = 0; row < (column + 1) * kBlock; row++) {
        const float* values = work + row * kBlock;
        double across = 0;
        const size_t first = row < column * kBlock ? 0 : row - column * kBlock;
        for (size_t j = first; j < kBlock; j++) {
            const double size = std::fabs(values[j]);
            sums_[column * kBlock + j] += size;
            if (column * kBlock + j != row) across += size;
        }
        sums_[row] += across;
    }
}

double Cholesky::condition() {
    const size_t count = columns_ * kBlock;
    std::vector<float> x(count * kSixteen);
    std::vector<double> y(count);
    const auto apply = [&](const std::function<float(size_t)>& value) {
        std::fill(x.begin(), x.end(), 0.0f);
        for (size_t i = 0; i < count; i++) x[i * kSixteen] = value(i);
        solve(x.data());
        for (size_t i = 0; i < count; i++) y[i] = x[i * kSixteen];
    };
    const auto norm = [&] {
        double sum = 0;
        for (const double one : y) sum += std::fabs(one);
        return sum;
    };
    apply([count](size_t) { return 1.0f / static_cast<float>(count); });
    double estimate = norm();
    size_t chosen = count;
    for (int i = 0; i < kMostProducts / 2; i++) {
        const std::vector<double> signs = y;
        apply([&signs](size_t at) { return signs[at] < 0 ? -1.0f : 1.0f; });
        const auto largest = std::max_element(y.begin(), y.end(), [](double a, double b) { return std::fabs(a) < std::fabs(b); });
        const auto found = static_cast<size_t>(largest - y.begin());
        if (found == chosen) break;
        chosen = found;
        apply([chosen](size_t at) { return at == chosen ? 1.0f : 0.0f; });
        if (norm() <= estimate) break;
        estimate = norm();
    }
    return *std::max_element(sums_.begin(), sums_.end()) * estimate;
}

}  // namespace bench

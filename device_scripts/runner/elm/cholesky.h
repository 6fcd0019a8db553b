// A = UᵀU by blocks: the factor takes the place of the matrix (Golub and Van Loan, 4.2.5, by columns of blocks).
#pragma once

#include <cstddef>
#include <vector>

#include "elm/products.h"
#include "elm/triangle.h"

namespace bench {

class Cholesky {
public:
    Cholesky(Triangle& triangle, size_t columns, int threads)
        : triangle_(triangle), columns_(columns), threads_(threads), packed_(static_cast<size_t>(threads)) {}

    // Column `column` of the matrix lies at `work`; it becomes that of the factor and is kept. Columns go up from 0. False
    // where the matrix is not positive definite as computed: then `failed` is the row.
    bool factor(size_t column, float* work);
    size_t failed = 0;

    // x = A⁻¹x for sixteen right sides: columns·1024 rows of 16.
    void solve(float* x);

    // Of the matrix's 1-norm and an estimate of that of its inverse (Hager 1984, Higham 1988). Norms are of columns that
    // were given to `add_norms` before they were factored.
    void add_norms(size_t column, const float* work);
    double condition();

private:
    void update(const float* p, const float* q, float* c, bool diagonal);
    void solve_rows(const float* diagonal, float* rows);
    bool factor_diagonal(float* block);

    Triangle& triangle_;
    size_t columns_;
    int threads_;
    std::vector<Packed> packed_;
    std::vector<float> scratch_;
    std::vector<double> sums_;
};

}  // namespace bench

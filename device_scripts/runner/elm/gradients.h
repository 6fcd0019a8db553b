// Conjugate gradients (Hestenes and Stiefel 1952) for (HᵀH/N + shift·I) β = HᵀT/N, preconditioned by a Cholesky factor of the same
// matrix with another shift and in fewer digits. The matrix is never looked at: H is made anew for each product, and sums over
// samples are in double, so the answer is that of double precision whatever the factor was kept in.
#pragma once

#include <functional>
#include <vector>

#include "elm/cholesky.h"
#include "elm/learning.h"

namespace bench {

struct Course {
    int iterations = 0;
    double residual = 0;  // the largest of a column, in the norm of the inverse factor, relative to that of its right side
};

class Gradients {
public:
    Gradients(const Labelled& data, const ElmPackage& package, Hidden& hidden, Cholesky& factor)
        : data_(data), package_(package), hidden_(hidden), factor_(factor) {}

    // HᵀT/N for the classes from `first` on, sixteen columns.
    std::vector<double> right_sides(uint32_t first);
    // Goes on from `x` (rows of 16) until the residual is at most `tolerance`. In that norm it is about how far what the network
    // answers to its training samples still is from what it will, as a part of that.
    // `report` is called after each iteration.
    Course solve(const std::vector<double>& right, double shift, double tolerance, int most, std::vector<double>& x,
                 const std::function<void(const Course&)>& report);

private:
    std::vector<double> inverse(const std::vector<double>& r);
    std::vector<double> times(const std::vector<double>& x, double shift);
    void transposed(const float* answers, size_t count, const std::vector<float>& y, std::vector<double>& sums);

    const Labelled& data_;
    const ElmPackage& package_;
    Hidden& hidden_;
    Cholesky& factor_;
    Batch batch_;
    std::vector<float> narrow_, part_, y_;
};

}  // namespace bench

// Truncated DCT coefficients to weights: docs/formats/frq.md, "Meaning".
#pragma once

#include <array>
#include <cstddef>
#include <vector>

#include "weights/frq.h"

namespace bench {

// D(n)[j, k] for j < n and each k of `columns`, as one row of n for each k: the transpose, so that a row is contiguous.
std::vector<float> dct_columns(int n, const std::vector<int>& columns);

// The kept coefficients of one tensor as a small array, with its axes in ncnn's order: out, in, kernel… Along each axis it
// has the indices that some kept coefficient has, and no others.
class Core {
public:
    explicit Core(const FrqTensor& tensor);

    int rank() const { return rank_; }
    const Axes& shape() const { return shape_; }

    // How many indices there are along each axis.
    const Axes& box() const { return box_; }

    size_t dense_size() const;

    // The whole weight, shape() row-major.
    void decode_dense(float* weight) const;

    // Whether the three factors have fewer values than the whole weight; from two axes on.
    bool gains_by_factors() const;

    size_t factor_size(int axis) const;
    size_t spatial_core_size() const;

    // Axis 1, as the kernel of the first 1×1 layer: box × extent, each row a column of D(extent).
    void write_in_factor(float* weight) const;

    // box[0] × box[1] × kernel, spatial along the kernel axes only.
    void decode_spatial_core(float* weight) const;

    // Axis 0, as the kernel of the last 1×1 layer: extent × box, columns of D(extent).
    void write_out_factor(float* weight) const;

private:
    void expand(const std::vector<int>& axes, float* result) const;

    int rank_;
    Axes shape_, box_;
    std::array<std::vector<int>, kMaxRank> indices_;  // by axis, ascending
    std::vector<float> values_;                       // of the box, row-major
};

}  // namespace bench

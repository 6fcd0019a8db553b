// The order of coefficients of docs/formats/frq.md: by L1 level, and within a level lexicographic.
#pragma once

#include <array>
#include <cstdint>

namespace bench {

constexpr int kMaxRank = 5;

// Per axis, an extent or an index; axes from `rank` on are 1 (extents) or 0 (indices).
using Axes = std::array<int32_t, kMaxRank>;

class CoefficientOrder {
public:
    // `shape` has `rank` extents, each at least 1, whose product is at most 2^31 - 1.
    CoefficientOrder(const Axes& shape, int rank) : shape_(shape), rank_(rank) {}

    // The multi-index at a position below the product of the shape; a few microseconds.
    Axes at(uint32_t position) const;

    // Moves a multi-index to the next position; false, and unchanged, at the last one.
    bool advance(Axes& index) const;

private:
    // How many multi-indices of the axes from `first` on have a level of at most `level`.
    uint64_t up_to(int first, int64_t level) const;

    // The first multi-index, in lexicographic order, of the axes from `first` on with exactly that level.
    void fill(Axes& index, int first, int64_t level) const;

    Axes shape_;
    int rank_;
};

}  // namespace bench

// The arithmetic of the small spaces, by the widest vectors that a CPU has: sums over a few rows of pixels, and moments.
// docs/resident.md
#pragma once

#include <cstddef>

namespace bench {

// Pixels of the widest vector. Kernels compute whole vectors: their inputs can be read, and their results written, up to the
// next multiple of this. ncnn's blobs can be read so far.
constexpr int kLanes = 16;

// Pixels of a tile: the values of some dozens of wide channels over so many stay in the first cache.
constexpr int kTile = 64;

enum class After { store, relu, largest };  // the sum itself, max(0, sum), or max(what is there, sum)

// out[o] = after(start[o] + what is there if `added` + sum over t of weights[t][o] · in[t]), pixel by pixel. One layer expands,
// another reduces, a convolution does it with a row for each place of its kernel.
struct Mix {
    int terms, outputs, pixels;
    const float* const* in;  // [terms], rows of pixels
    const float* weights;    // [terms][outputs], a term `weights_step` after the other
    size_t weights_step;
    const float* start;  // [outputs], or null for zeros
    float* out;          // [outputs][pixels], an output `out_step` after the other
    size_t out_step;
    bool added;
    After after;
};

void mix(const Mix& work);

// How many pixels the two below take at most: so few that no sum has more than 64 terms in float.
int most_summed();

// sums[k] = the sum of row k.
void sum_rows(const float* const* rows, int count, int pixels, double* sums);

// products[k · count + l] = sum over pixels of (row k − means[k]) (row l − means[l]), for l ≤ k.
void sum_products(const float* const* rows, const float* means, int count, int pixels, double* products);

}  // namespace bench

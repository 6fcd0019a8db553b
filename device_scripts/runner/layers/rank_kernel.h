// One pass over the pixels between two small convolutions: expand, activate, pool, reduce. docs/resident.md
#pragma once

namespace bench {

// Pixels that are worked on at once: every array below has so many of them side by side.
constexpr int kTile = 32;

// A tile of `rank` channels becomes `channels` wide values, one channel at a time and, if it is then reduced, never in memory:
//   y[c] = max over w of bias[c] + sum over k of expand[c][k] · z[w][k], then ReLU if `relu`
//   results[u] += sum over c of reduce[c][u] · y[c]
// Without a rank z is y itself, [channels][kTile]; without `reduced` the results are y.
struct RankTile {
    int windows;  // that pooling takes the largest of, 1 without pooling
    int rank, channels, reduced;
    bool relu;
    const float* z;       // [windows][rank][kTile]
    const float* expand;  // [channels][rank]
    const float* bias;    // [channels]
    const float* reduce;  // [channels][reduced]
    float* results;       // [reduced][kTile], or [channels][kTile]
};

// The same results on every CPU up to rounding, by the widest vectors that this one has.
void run_tile(const RankTile& tile);

}  // namespace bench

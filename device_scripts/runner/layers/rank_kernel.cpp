#include "layers/rank_kernel.h"

#include <cstring>

#include <cpu.h>

// Vectors of the compiler's own: it makes of them what the target has. x86 has three kinds of CPUs, and which one this is
// is known only when the program runs, so the one formulation is compiled for each.
#define INLINE static inline __attribute__((always_inline))

namespace bench {
namespace {

template <int kLanes>
struct Vector {
    typedef float type __attribute__((vector_size(kLanes * sizeof(float))));
};

template <class V>
INLINE V load(const float* from) {
    V value;
    std::memcpy(&value, from, sizeof value);
    return value;
}

template <class V>
INLINE void store(float* to, V value) {
    std::memcpy(to, &value, sizeof value);
}

template <class V>
INLINE V largest(V a, V b) {
    return a > b ? a : b;
}

// y of kBeside channels from c on, for the pixels from `at`: each z that is loaded serves so many of them. Rank and windows
// are arguments beside the tile so that they can be constants.
template <class V, int kBeside>
INLINE void wide_values(const RankTile& tile, int rank, int windows, int c, int at, V (&wide)[kBeside]) {
    if (rank == 0) {
        for (int i = 0; i < kBeside; i++) wide[i] = load<V>(tile.z + (c + i) * kTile + at);
    }
    for (int w = 0; rank > 0 && w < windows; w++) {
        V y[kBeside];
        for (int i = 0; i < kBeside; i++) y[i] = V{} + tile.bias[c + i];
        for (int k = 0; k < rank; k++) {
            const V z = load<V>(tile.z + (w * rank + k) * kTile + at);
            for (int i = 0; i < kBeside; i++) y[i] += tile.expand[(c + i) * rank + k] * z;
        }
        for (int i = 0; i < kBeside; i++) wide[i] = w == 0 ? y[i] : largest(wide[i], y[i]);
    }
    if (tile.relu) {
        for (int i = 0; i < kBeside; i++) wide[i] = largest(wide[i], V{});
    }
}

// Both numbers of the small side are known: sums and z stay in registers over all channels, and each weight that is loaded
// serves kBeside vectors.
template <class V, int kRank, int kReduced, int kWindows, int kBeside>
INLINE void in_registers(const RankTile& tile) {
    constexpr int lanes = sizeof(V) / sizeof(float);
    for (int at = 0; at < kTile; at += lanes * kBeside) {
        V sums[kReduced][kBeside];
        for (int u = 0; u < kReduced; u++) {
            for (int i = 0; i < kBeside; i++) sums[u][i] = load<V>(tile.results + u * kTile + at + i * lanes);
        }
        for (int c = 0; c < tile.channels; c++) {
            const float* weights = tile.reduce + c * kReduced;
            for (int i = 0; i < kBeside; i++) {
                V y[1];
                wide_values<V, 1>(tile, kRank, kWindows, c, at + i * lanes, y);
                for (int u = 0; u < kReduced; u++) sums[u][i] += weights[u] * y[0];
            }
        }
        for (int u = 0; u < kReduced; u++) {
            for (int i = 0; i < kBeside; i++) store(tile.results + u * kTile + at + i * lanes, sums[u][i]);
        }
    }
}

// kBeside channels from c on, so that each sum that is loaded serves them all.
template <class V, int kBeside>
INLINE void some_channels(const RankTile& tile, int c) {
    constexpr int lanes = sizeof(V) / sizeof(float);
    for (int at = 0; at < kTile; at += lanes) {
        V wide[kBeside];
        wide_values<V, kBeside>(tile, tile.rank, tile.windows, c, at, wide);
        if (tile.reduced == 0) {
            for (int i = 0; i < kBeside; i++) store(tile.results + (c + i) * kTile + at, wide[i]);
        }
        for (int u = 0; u < tile.reduced; u++) {
            V sum = load<V>(tile.results + u * kTile + at);
            for (int i = 0; i < kBeside; i++) sum += tile.reduce[(c + i) * tile.reduced + u] * wide[i];
            store(tile.results + u * kTile + at, sum);
        }
    }
}

template <class V>
INLINE void any_size(const RankTile& tile) {
    int c = 0;
    for (; c + 4 <= tile.channels; c += 4) some_channels<V, 4>(tile, c);
    for (; c < tile.channels; c++) some_channels<V, 1>(tile, c);
}

template <class V>
INLINE void run_by(const RankTile& tile) {
    if (tile.reduced == 4 && tile.rank == 4 && tile.windows == 1) {
        in_registers<V, 4, 4, 1, 2>(tile);
    } else if (tile.reduced == 4 && tile.rank == 4 && tile.windows == 4) {
        in_registers<V, 4, 4, 4, 1>(tile);
    } else if (tile.reduced == 4 && tile.rank == 0) {
        in_registers<V, 0, 4, 1, 2>(tile);
    } else {
        any_size<V>(tile);
    }
}

}  // namespace

#if defined(__x86_64__)

namespace {
__attribute__((target("avx2,fma"))) void run_fma(const RankTile& tile) { run_by<Vector<8>::type>(tile); }
__attribute__((target("avx512f,avx512vl"))) void run_avx512(const RankTile& tile) { run_by<Vector<16>::type>(tile); }
}  // namespace

void run_tile(const RankTile& tile) {
    if (ncnn::cpu_support_x86_avx512()) return run_avx512(tile);
    if (ncnn::cpu_support_x86_avx2() && ncnn::cpu_support_x86_fma()) return run_fma(tile);
    run_by<Vector<4>::type>(tile);
}

#else

// NEON's registers have four floats; two of them at once keep its pipelines busy.
void run_tile(const RankTile& tile) { run_by<Vector<8>::type>(tile); }

#endif

}  // namespace bench

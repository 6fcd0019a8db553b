#include "layers/rank_kernel.h"

#include <algorithm>
#include <cstring>
#include <utility>
#include <vector>

#include <cpu.h>

#include "layers/vectors.h"

namespace bench {
namespace {

constexpr int kMostTerms = 64;

// kOutputs from `first` on at kBeside vectors of pixels: all sums stay in registers over all terms, each vector that is
// loaded serves every output and each weight every vector.
template <class V, int kOutputs, int kBeside>
INLINE void in_registers(const Mix& work, int first, int at) {
    V sums[kOutputs][kBeside];
    float* const out = work.out + static_cast<size_t>(first) * work.out_step + at;
    if (work.start) {
        EACH(o, kOutputs) EACH(i, kBeside) sums[o][i] = V{} + work.start[first + o];
    } else {
        EACH(o, kOutputs) EACH(i, kBeside) sums[o][i] = V{};
    }
    if (work.added) {
        EACH(o, kOutputs) EACH(i, kBeside) sums[o][i] += load<V>(out + static_cast<size_t>(o) * work.out_step + i * lanes<V>);
    }
    const float* weights = work.weights + first;
    for (int t = 0; t < work.terms; t++, weights += work.weights_step) {
        V x[kBeside];
        EACH(i, kBeside) x[i] = load<V>(work.in[t] + at + i * lanes<V>);
        EACH(o, kOutputs) EACH(i, kBeside) sums[o][i] += weights[o] * x[i];
    }
    if (work.after == After::relu) {
        EACH(o, kOutputs) EACH(i, kBeside) sums[o][i] = largest(sums[o][i], V{});
    } else if (work.after == After::largest) {
        EACH(o, kOutputs) EACH(i, kBeside) {
            sums[o][i] = largest(sums[o][i], load<V>(out + static_cast<size_t>(o) * work.out_step + i * lanes<V>));
        }
    }
    EACH(o, kOutputs) EACH(i, kBeside) store(out + static_cast<size_t>(o) * work.out_step + i * lanes<V>, sums[o][i]);
}

// So many vectors beside each other that the pipelines have enough sums to work on.
template <class V, int kOutputs, int kRegisters>
INLINE void some_outputs(const Mix& work, int first) {
    constexpr int beside = kOutputs * 4 <= kRegisters - 7 ? 4 : kOutputs * 2 <= kRegisters - 4 ? 2 : 1;
    int at = 0;
    for (; at + beside * lanes<V> < work.pixels + lanes<V>; at += beside * lanes<V>) in_registers<V, kOutputs, beside>(work, first, at);
    for (; at < work.pixels; at += lanes<V>) in_registers<V, kOutputs, 1>(work, first, at);
}

template <class V, int kRegisters, int... kOutputs>
INLINE void choose(const Mix& work, int first, int outputs, std::integer_sequence<int, kOutputs...>) {
    (void)((outputs == kOutputs + 1 && (some_outputs<V, kOutputs + 1, kRegisters>(work, first), true)) || ...);
}

// The outputs in equal parts, each of which has its sums in registers.
template <class V, int kRegisters>
INLINE void mix_by(const Mix& work) {
    constexpr int most = kRegisters > 16 ? 13 : 6;
    const int parts = (work.outputs + most - 1) / most;
    for (int part = 0, first = 0; part < parts; part++) {
        const int outputs = (work.outputs - first) / (parts - part);
        choose<V, kRegisters>(work, first, outputs, std::make_integer_sequence<int, most>());
        first += outputs;
    }
}

template <class V>
INLINE double sum_of(V value) {
    float each[lanes<V>];
    store(each, value);
    double sum = 0;
    for (const float one : each) sum += one;
    return sum;
}

// The vectors of some rows at one place, less their means; zeros after the last pixel.
template <class V, int kRows>
INLINE void take(const float* const* rows, const float* means, int at, int pixels, V (&to)[kRows]) {
    const int here = pixels - at;
    for (int i = 0; i < kRows; i++) {
        to[i] = load<V>(rows[i] + at) - means[i];
        if (here < lanes<V>) {
            float each[lanes<V>];
            store(each, to[i]);
            std::fill(each + here, each + lanes<V>, 0.0f);
            to[i] = load<V>(each);
        }
    }
}

template <class V>
INLINE void sum_by(const float* const* rows, int count, int pixels, double* sums) {
    const float none[1] = {0.0f};
    for (int k = 0; k < count; k++) {
        V sum{};
        for (int at = 0; at < pixels; at += lanes<V>) {
            V x[1];
            take<V, 1>(rows + k, none, at, pixels, x);
            sum += x[0];
        }
        sums[k] = sum_of(sum);
    }
}

template <class V, int kRows>
INLINE void products_by(const float* const* rows, const float* means, int count, int pixels, double* products) {
    for (int k = 0; k < count; k += kRows) {
        for (int l = 0; l <= k; l += kRows) {
            // What is left over at the end is a row again, whose products are not kept.
            const float *a[kRows], *b[kRows];
            float a_means[kRows], b_means[kRows];
            for (int i = 0; i < kRows; i++) {
                const int one = std::min(k + i, count - 1), other = std::min(l + i, count - 1);
                a[i] = rows[one], a_means[i] = means[one];
                b[i] = rows[other], b_means[i] = means[other];
            }
            V sums[kRows][kRows] = {};
            for (int at = 0; at < pixels; at += lanes<V>) {
                V x[kRows], y[kRows];
                take<V, kRows>(a, a_means, at, pixels, x);
                take<V, kRows>(b, b_means, at, pixels, y);
                for (int i = 0; i < kRows; i++) {
                    for (int j = 0; j < kRows; j++) sums[i][j] += x[i] * y[j];
                }
            }
            for (int i = 0; i < kRows && k + i < count; i++) {
                for (int j = 0; j < kRows && l + j <= k + i; j++) products[(k + i) * count + l + j] = sum_of(sums[i][j]);
            }
        }
    }
}

}  // namespace

#if defined(__x86_64__)

namespace {

FMA void mix_fma(const Mix& work) { mix_by<Eight, 16>(work); }
AVX512 void mix_avx512(const Mix& work) { mix_by<Sixteen, 32>(work); }
void mix_sse(const Mix& work) { mix_by<Four, 16>(work); }

FMA void sum_fma(const float* const* r, int c, int p, double* s) { sum_by<Eight>(r, c, p, s); }
AVX512 void sum_avx512(const float* const* r, int c, int p, double* s) { sum_by<Sixteen>(r, c, p, s); }
void sum_sse(const float* const* r, int c, int p, double* s) { sum_by<Four>(r, c, p, s); }

FMA void products_fma(const float* const* r, const float* m, int c, int p, double* s) { products_by<Eight, 2>(r, m, c, p, s); }
AVX512 void products_avx512(const float* const* r, const float* m, int c, int p, double* s) { products_by<Sixteen, 4>(r, m, c, p, s); }
void products_sse(const float* const* r, const float* m, int c, int p, double* s) { products_by<Four, 2>(r, m, c, p, s); }

struct Kernels {
    int lanes = 4;
    decltype(&mix_sse) mix = mix_sse;
    decltype(&sum_sse) sum = sum_sse;
    decltype(&products_sse) products = products_sse;

    Kernels() {
        if (ncnn::cpu_support_x86_avx512()) {
            *this = Kernels(16, mix_avx512, sum_avx512, products_avx512);
        } else if (ncnn::cpu_support_x86_avx2() && ncnn::cpu_support_x86_fma()) {
            *this = Kernels(8, mix_fma, sum_fma, products_fma);
        }
    }

private:
    Kernels(int l, decltype(mix) m, decltype(sum) s, decltype(products) p) : lanes(l), mix(m), sum(s), products(p) {}
};

const Kernels& kernels() {
    static const Kernels found;
    return found;
}

}  // namespace

int most_summed() { return kMostTerms * kernels().lanes; }
void mix(const Mix& work) { kernels().mix(work); }
void sum_rows(const float* const* rows, int count, int pixels, double* sums) { kernels().sum(rows, count, pixels, sums); }
void sum_products(const float* const* rows, const float* means, int count, int pixels, double* products) {
    kernels().products(rows, means, count, pixels, products);
}

#else

namespace {
#if defined(__aarch64__)
// NEON's 32 registers have four floats; two of them at once keep its pipelines busy.
using Widest = Vector<8>::type;
#else
using Widest = Vector<4>::type;
#endif
}  // namespace

int most_summed() { return kMostTerms * lanes<Widest>; }
void mix(const Mix& work) { mix_by<Widest, 16>(work); }
void sum_rows(const float* const* rows, int count, int pixels, double* sums) { sum_by<Widest>(rows, count, pixels, sums); }
void sum_products(const float* const* rows, const float* means, int count, int pixels, double* products) {
    products_by<Widest, 2>(rows, means, count, pixels, products);
}

#endif

}  // namespace bench

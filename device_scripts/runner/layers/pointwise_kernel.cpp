#include "layers/pointwise_kernel.h"

#include <algorithm>
#include <cstdint>
#include <cstring>

#include <cpu.h>

#include "layers/vectors.h"

namespace bench {
namespace {

template <class V>
INLINE V weight_at(const float* from) {
    return load<V>(from);
}

using Half = _Float16;

template <class V>
INLINE V weight_at(const Half* from) {
    typedef Half Halves __attribute__((vector_size(lanes<V> * sizeof(Half))));
    Halves value;
    std::memcpy(&value, from, sizeof value);
    return __builtin_convertvector(value, V);
}

template <class V>
INLINE V clipped(V value, float low, float high) {
    return smallest(largest(value, V{} + low), V{} + high);
}

template <class V>
INLINE V activated(const Pointwise& work, V value, int vector) {
    switch (work.activation) {
        case Activation::none: return value;
        case Activation::relu: return largest(value, V{});
        case Activation::leaky: return value > V{} ? value : value * work.a;
        case Activation::clip: return clipped(value, work.a, work.b);
        case Activation::hard_swish: return value * clipped(value * work.a + work.b, 0.0f, 1.0f);
        case Activation::slopes: return value > V{} ? value : value * load<V>(work.slopes + vector * lanes<V>);
    }
    return value;
}

// kVectors from `first` on of kPixels pixels: all sums stay in registers over all terms, each vector of weights serves every
// pixel and each value every vector.
template <class V, class Weight, int kPack, int kVectors, int kPixels>
INLINE void in_registers(const Pointwise& work, int first, int at) {
    V sums[kVectors][kPixels];
    EACH(v, kVectors) {
        const V start = work.start ? load<V>(work.start + (first + v) * lanes<V>) : V{};
        EACH(i, kPixels) sums[v][i] = start;
    }
    if (work.plus) {
        EACH(v, kVectors) EACH(i, kPixels) {
            sums[v][i] += load<V>(work.plus + static_cast<size_t>(first + v) * work.plus_step + (at + i) * lanes<V>);
        }
    }
    const Weight* weights[kVectors];
    EACH(v, kVectors) weights[v] = static_cast<const Weight*>(work.weights) + static_cast<size_t>(first + v) * work.weights_step;
    const float* in = work.in + static_cast<size_t>(at) * kPack;
    for (int k = 0; k < work.terms; k += kPack, in += work.in_step) {
        for (int j = 0; j < kPack; j++) {
            V w[kVectors];
            EACH(v, kVectors) w[v] = weight_at<V>(weights[v]), weights[v] += lanes<V>;
            EACH(i, kPixels) {
                const float x = in[i * kPack + j];
                EACH(v, kVectors) sums[v][i] += w[v] * x;
            }
        }
    }
    EACH(v, kVectors) EACH(i, kPixels) {
        float* out = work.out + static_cast<size_t>(first + v) * work.out_step + (at + i) * lanes<V>;
        V value = activated(work, sums[v][i], first + v);
        if (work.largest) value = largest(value, load<V>(out));
        store(out, value);
    }
}

template <class V, class Weight, int kPack, int kVectors, int kPixels>
INLINE void some_vectors(const Pointwise& work, int first) {
    int at = 0;
    for (; at + kPixels <= work.pixels; at += kPixels) in_registers<V, Weight, kPack, kVectors, kPixels>(work, first, at);
    for (; at + 4 <= work.pixels; at += 4) in_registers<V, Weight, kPack, kVectors, 4>(work, first, at);
    for (; at < work.pixels; at++) in_registers<V, Weight, kPack, kVectors, 1>(work, first, at);
}

template <class V, class Weight, int kPack, int kVectors, int kPixels>
INLINE void all_vectors(const Pointwise& work) {
    int first = 0;
    for (; first + kVectors <= work.vectors; first += kVectors) some_vectors<V, Weight, kPack, kVectors, kPixels>(work, first);
    if (kVectors > 1 && first < work.vectors) some_vectors<V, Weight, kPack, 1, kPixels>(work, first);
}

template <class V, class Weight, int kVectors, int kPixels>
INLINE void pointwise_by(const Pointwise& work) {
    if (work.packed) return all_vectors<V, Weight, lanes<V>, kVectors, kPixels>(work);
    all_vectors<V, Weight, 1, kVectors, kPixels>(work);
}

}  // namespace

#if defined(__x86_64__)

namespace {

template <class Weight>
FMA void pointwise_fma(const Pointwise& work) {
    pointwise_by<Eight, Weight, 2, 6>(work);
}
template <class Weight>
AVX512 void pointwise_avx512(const Pointwise& work) {
    pointwise_by<Sixteen, Weight, 1, 12>(work);
}
template <class Weight>
void pointwise_sse(const Pointwise& work) {
    pointwise_by<Four, Weight, 2, 6>(work);
}

struct Kernels {
    int lanes = 4, block = 6;
    void (*single)(const Pointwise&) = pointwise_sse<float>;
    void (*half)(const Pointwise&) = pointwise_sse<Half>;

    Kernels() {
        if (ncnn::cpu_support_x86_avx512()) {
            lanes = 16, block = 12, single = pointwise_avx512<float>, half = pointwise_avx512<Half>;
        } else if (ncnn::cpu_support_x86_avx2() && ncnn::cpu_support_x86_fma() && ncnn::cpu_support_x86_f16c()) {
            lanes = 8, single = pointwise_fma<float>, half = pointwise_fma<Half>;
        }
    }
};

const Kernels& kernels() {
    static const Kernels found;
    return found;
}

}  // namespace

int vector_lanes() { return kernels().lanes; }
int pixel_block() { return kernels().block; }
void pointwise(const Pointwise& work) { (work.half ? kernels().half : kernels().single)(work); }

#else

namespace {
#if defined(__aarch64__)
constexpr int kPixels = 12;
#else
constexpr int kPixels = 4;  // of 16 registers
#endif
using Four = Vector<4>::type;
}  // namespace

int vector_lanes() { return lanes<Four>; }
int pixel_block() { return kPixels; }
void pointwise(const Pointwise& work) {
    work.half ? pointwise_by<Four, Half, 2, kPixels>(work) : pointwise_by<Four, float, 2, kPixels>(work);
}

#endif

}  // namespace bench

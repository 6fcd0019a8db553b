#include "elm/products.h"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <thread>

#include <cpu.h>

#include "layers/vectors.h"

namespace bench {
namespace {

constexpr size_t kTerms = 256;  // of a product at a time: a strip of q then stays in the first cache

using Half = _Float16;

// A tile of kRows × kVectors vectors of c, in registers over all terms.
template <class V, int kRows, int kVectors>
INLINE void tile(const float* p, const float* q, size_t terms, V sign, float* c, size_t c_step) {
    V sums[kRows][kVectors];
    EACH(r, kRows) EACH(v, kVectors) sums[r][v] = V{};
    for (size_t k = 0; k < terms; k++, p += kRows, q += kVectors * lanes<V>) {
        V from[kVectors];
        EACH(v, kVectors) from[v] = load<V>(q + v * lanes<V>);
        EACH(r, kRows) EACH(v, kVectors) sums[r][v] += from[v] * p[r];
    }
    EACH(r, kRows) EACH(v, kVectors) {
        float* at = c + static_cast<size_t>(r) * c_step + v * lanes<V>;
        store(at, load<V>(at) + sums[r][v] * sign);
    }
}

// Strips of `width` columns, terms behind each other, filled up with zeros.
INLINE void pack(const float* from, size_t step, size_t terms, size_t columns, size_t width, float* to) {
    for (size_t first = 0; first < columns; first += width) {
        const size_t count = std::min(width, columns - first);
        for (size_t k = 0; k < terms; k++, to += width) {
            std::memcpy(to, from + k * step + first, count * sizeof(float));
            std::memset(to + count, 0, (width - count) * sizeof(float));
        }
    }
}

template <class V, int kRows, int kVectors>
INLINE void product_by(const Product& work, Packed& packed) {
    constexpr size_t kWide = kVectors * lanes<V>, kTall = kRows;
    const size_t tall = (work.rows + kTall - 1) / kTall, wide = (work.columns + kWide - 1) / kWide;
    packed.p.resize(tall * kTall * kTerms);
    packed.q.resize(wide * kWide * kTerms);
    const V sign = V{} + work.sign;
    for (size_t begin = 0; begin < work.terms; begin += kTerms) {
        const size_t terms = std::min(kTerms, work.terms - begin);
        pack(work.p + begin * work.p_step, work.p_step, terms, work.rows, kTall, packed.p.data());
        pack(work.q + begin * work.q_step, work.q_step, terms, work.columns, kWide, packed.q.data());
        for (size_t j = 0; j < wide; j++) {
            const size_t column = j * kWide, columns = std::min(kWide, work.columns - column);
            for (size_t i = 0; i < tall; i++) {
                const size_t row = i * kTall, rows = std::min(kTall, work.rows - row);
                if (work.upper && row > work.first_column + column + kWide - 1) break;
                const float* p = packed.p.data() + i * kTall * terms;
                const float* q = packed.q.data() + j * kWide * terms;
                float* c = work.c + row * work.c_step + column;
                if (rows == kTall && columns == kWide) {
                    tile<V, kRows, kVectors>(p, q, terms, sign, c, work.c_step);
                    continue;
                }
                float edge[kTall * kWide] = {};
                tile<V, kRows, kVectors>(p, q, terms, sign, edge, kWide);
                for (size_t r = 0; r < rows; r++) {
                    for (size_t at = 0; at < columns; at++) c[r * work.c_step + at] += edge[r * kWide + at];
                }
            }
        }
    }
}

template <class V>
INLINE void sixteen_by(const float* a, size_t a_step, const float* x, float* y, size_t rows, size_t columns, float sign) {
    constexpr int kVectors = static_cast<int>(kSixteen) / lanes<V>;
    for (size_t r = 0; r < rows; r++, a += a_step, y += kSixteen) {
        V sums[kVectors];
        EACH(v, kVectors) sums[v] = V{};
        for (size_t c = 0; c < columns; c++) {
            EACH(v, kVectors) sums[v] += load<V>(x + c * kSixteen + v * lanes<V>) * a[c];
        }
        EACH(v, kVectors) store(y + v * lanes<V>, load<V>(y + v * lanes<V>) + sums[v] * sign);
    }
}

// A rational approximation of degrees 13 and 6, as Eigen has it; beyond the ends float32 has no other value than ±1.
template <class V>
INLINE V tanh_of(V x) {
    constexpr float kEnd = 7.90531110763549805f;
    x = smallest(largest(x, V{} - kEnd), V{} + kEnd);
    const V square = x * x;
    V above = V{} - 2.76076847742355e-16f;
    for (const float factor : {2.00018790482477e-13f, -8.60467152213735e-11f, 5.12229709037114e-08f, 1.48572235717979e-05f,
                               6.37261928875436e-04f, 4.89352455891786e-03f}) {
        above = above * square + factor;
    }
    V below = V{} + 1.19825839466702e-06f;
    for (const float factor : {1.18534705686654e-04f, 2.26843463243900e-03f, 4.89352518554385e-03f}) below = below * square + factor;
    return x * above / below;
}

template <class V>
INLINE void tanh_by(float* values, size_t count) {
    size_t i = 0;
    for (; i + lanes<V> <= count; i += lanes<V>) store(values + i, tanh_of(load<V>(values + i)));
    if (i == count) return;
    float rest[lanes<V>] = {};
    std::memcpy(rest, values + i, (count - i) * sizeof(float));
    store(rest, tanh_of(load<V>(rest)));
    std::memcpy(values + i, rest, (count - i) * sizeof(float));
}

INLINE void widen_by(const uint16_t* from, float* to, size_t count) {
    for (size_t i = 0; i < count; i++) {
        Half value;
        std::memcpy(&value, from + i, sizeof value);
        to[i] = static_cast<float>(value);
    }
}

INLINE void narrow_by(const float* from, uint16_t* to, size_t count) {
    for (size_t i = 0; i < count; i++) {
        const Half value = static_cast<Half>(from[i]);
        std::memcpy(to + i, &value, sizeof value);
    }
}

struct Kernels {
    void (*product)(const Product&, Packed&);
    void (*sixteen)(const float*, size_t, const float*, float*, size_t, size_t, float);
    void (*tanh)(float*, size_t);
    void (*widen)(const uint16_t*, float*, size_t);
    void (*narrow)(const float*, uint16_t*, size_t);
};

// One set of kernels, compiled for a kind of CPU.
#define KERNELS(NAME, TARGET, VECTOR, ROWS)                                                                                             \
    TARGET void product_##NAME(const Product& work, Packed& packed) { product_by<VECTOR, ROWS, 2>(work, packed); }                      \
    TARGET void sixteen_##NAME(const float* a, size_t step, const float* x, float* y, size_t rows, size_t columns, float sign) {        \
        sixteen_by<VECTOR>(a, step, x, y, rows, columns, sign);                                                                         \
    }                                                                                                                                   \
    TARGET void tanh_##NAME(float* values, size_t count) { tanh_by<VECTOR>(values, count); }                                            \
    TARGET void widen_##NAME(const uint16_t* from, float* to, size_t count) { widen_by(from, to, count); }                              \
    TARGET void narrow_##NAME(const float* from, uint16_t* to, size_t count) { narrow_by(from, to, count); }                            \
    constexpr Kernels k_##NAME = {product_##NAME, sixteen_##NAME, tanh_##NAME, widen_##NAME, narrow_##NAME};

#if defined(__x86_64__)
KERNELS(avx512, AVX512, Sixteen, 12)
KERNELS(fma, FMA, Eight, 6)
KERNELS(sse, , Four, 6)

Kernels found() {
    if (ncnn::cpu_support_x86_avx512()) return k_avx512;
    if (ncnn::cpu_support_x86_avx2() && ncnn::cpu_support_x86_fma() && ncnn::cpu_support_x86_f16c()) return k_fma;
    return k_sse;
}
#else
using Four = Vector<4>::type;
#if defined(__aarch64__)
KERNELS(neon, , Four, 12)
#else
KERNELS(neon, , Four, 4)  // of 16 registers
#endif
Kernels found() { return k_neon; }
#endif

const Kernels& kernels() {
    static const Kernels chosen = found();
    return chosen;
}

}  // namespace

void add_product(const Product& product, Packed& packed) { kernels().product(product, packed); }
void add_sixteen(const float* a, size_t a_step, const float* x, float* y, size_t rows, size_t columns, float sign) {
    kernels().sixteen(a, a_step, x, y, rows, columns, sign);
}
void tanh_all(float* values, size_t count) { kernels().tanh(values, count); }
void widen(const uint16_t* from, float* to, size_t count) { kernels().widen(from, to, count); }
void narrow(const float* from, uint16_t* to, size_t count) { kernels().narrow(from, to, count); }

void in_threads(int threads, size_t count, const std::function<void(size_t, size_t)>& work) {
    std::atomic<size_t> next{0};
    const auto some = [&](size_t thread) {
        for (size_t number; (number = next++) < count;) work(number, thread);
    };
    std::vector<std::thread> others;
    for (size_t i = 1; i < std::min(static_cast<size_t>(threads), count); i++) others.emplace_back(some, i);
    some(0);
    for (std::thread& other : others) other.join();
}

}  // namespace bench

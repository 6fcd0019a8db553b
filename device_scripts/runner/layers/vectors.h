// Vectors of the compiler's own: it makes of them what the target has. x86 has three kinds of CPUs, and which one this is
// is known only when the program runs, so one formulation is compiled for each. For the files with the kernels alone.
#pragma once

#include <cstddef>
#include <cstring>

#define INLINE static inline __attribute__((always_inline))
// A loop over registers, which have no indices when the program runs.
#define EACH(i, count) _Pragma("clang loop unroll(full)") for (int i = 0; i < (count); i++)

namespace bench {
namespace {

template <int kCount>
struct Vector {
    typedef float type __attribute__((vector_size(kCount * sizeof(float))));
};

#if defined(__x86_64__)
#define FMA __attribute__((target("avx2,fma,f16c")))
#define AVX512 __attribute__((target("avx512f,avx512vl,avx512dq,avx512bw,f16c")))
using Four = Vector<4>::type;
using Eight = Vector<8>::type;
using Sixteen = Vector<16>::type;
#endif

template <class V>
constexpr int lanes = sizeof(V) / sizeof(float);

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

template <class V>
INLINE V smallest(V a, V b) {
    return a < b ? a : b;
}

}  // namespace
}  // namespace bench

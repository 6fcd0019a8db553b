#include "ncnn/kernels.h"

#include <cpu.h>

namespace bench {
namespace {

struct Feature {
    const char* name;
    bool built;
    int (*runs)();
};

const Feature kFeatures[] = {
#if defined(__x86_64__)
    {"avx", NCNN_AVX, ncnn::cpu_support_x86_avx},
    {"fma", NCNN_FMA, ncnn::cpu_support_x86_fma},
    {"f16c", NCNN_F16C, ncnn::cpu_support_x86_f16c},
    {"avx2", NCNN_AVX2, ncnn::cpu_support_x86_avx2},
    {"avx_vnni", NCNN_AVXVNNI, ncnn::cpu_support_x86_avx_vnni},
    {"avx512", NCNN_AVX512, ncnn::cpu_support_x86_avx512},
    {"avx512_vnni", NCNN_AVX512VNNI, ncnn::cpu_support_x86_avx512_vnni},
    {"avx512_bf16", NCNN_AVX512BF16, ncnn::cpu_support_x86_avx512_bf16},
    {"avx512_fp16", NCNN_AVX512FP16, ncnn::cpu_support_x86_avx512_fp16},
#elif defined(__aarch64__)
    {"asimdhp", NCNN_ARM82, ncnn::cpu_support_arm_asimdhp},
    {"asimddp", NCNN_ARM82DOT, ncnn::cpu_support_arm_asimddp},
    {"asimdfhm", NCNN_ARM82FP16FML, ncnn::cpu_support_arm_asimdfhm},
    {"bf16", NCNN_ARM84BF16, ncnn::cpu_support_arm_bf16},
    {"i8mm", NCNN_ARM84I8MM, ncnn::cpu_support_arm_i8mm},
    {"sve", NCNN_ARM86SVE, ncnn::cpu_support_arm_sve},
#else
    {"vfpv4", NCNN_VFPV4, ncnn::cpu_support_arm_vfpv4},
#endif
};

}  // namespace

Kernels kernels() {
    Kernels found;
    for (const Feature& feature : kFeatures) {
        if (!feature.built) continue;
        found.built.emplace_back(feature.name);
        if (feature.runs()) found.used.emplace_back(feature.name);
    }
    return found;
}

}  // namespace bench

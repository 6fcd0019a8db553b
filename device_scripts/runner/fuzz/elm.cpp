// libFuzzer target: the reader of .elm packages. The input is what follows the check sum, which is put right before it, or
// nothing would ever get past that.

#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "contract/crc32.h"
#include "contract/failure.h"
#include "elm/package.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    std::vector<uint8_t> bytes = {'E', 'L', 'M', '1', 0, 0, 0, 0};
    const uint32_t sum = bench::crc32(data, size);
    std::memcpy(bytes.data() + 4, &sum, sizeof sum);
    bytes.insert(bytes.end(), data, data + size);
    try {
        const bench::ElmPackage package = bench::read_elm(bytes, "input");
        const std::vector<float> weights = package.output_weights();
        if (weights.size() != static_cast<size_t>(package.neurons) * package.classes) std::abort();
        for (const float weight : weights) {
            if (!std::isfinite(weight)) std::abort();
        }
        (void)package.hidden.weight(package.hidden.inputs - 1, package.neurons - 1);
    } catch (const bench::Failure& failure) {
        if (failure.exit != bench::Exit::bad_weights) std::abort();
    }
    return 0;
}

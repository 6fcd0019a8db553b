// libFuzzer target: the reader of .frq packages and the decoder behind it. The input is the body of a package; its magic,
// of each format in turn, and check sum are put before it, or nothing would ever get past them.

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "contract/failure.h"
#include "ncnn/factor.h"
#include "weights/dct.h"

namespace {

using bench::Core;
using bench::FrqTensor;

uint32_t crc32(const uint8_t* bytes, size_t count) {
    uint32_t crc = ~0u;
    for (size_t i = 0; i < count; i++) {
        crc ^= bytes[i];
        for (int bit = 0; bit < 8; bit++) crc = crc >> 1 ^ (crc & 1 ? 0xEDB88320u : 0);
    }
    return ~crc;
}

std::vector<uint8_t> sealed(uint8_t format, const uint8_t* body, size_t size) {
    std::vector<uint8_t> bytes = {'F', 'R', 'Q', format, 0, 0, 0, 0};
    const uint32_t sum = crc32(body, size);
    std::memcpy(bytes.data() + 4, &sum, sizeof sum);
    bytes.insert(bytes.end(), body, body + size);
    return bytes;
}

void expect(bool truth) {
    if (!truth) std::abort();
}

// Every coefficient lies inside its tensor, each behind the one before.
void check_coefficients(const FrqTensor& tensor) {
    const std::vector<bench::Coefficient> kept = tensor.coefficients();
    expect(kept.size() == tensor.kept);
    int64_t level_before = -1;
    bench::Axes before{};
    for (const bench::Coefficient& c : kept) {
        int64_t level = 0;
        for (int axis = 0; axis < tensor.rank; axis++) {
            expect(c.index[axis] >= 0 && c.index[axis] < tensor.shape[axis]);
            level += c.index[axis];
        }
        expect(level > level_before || (level == level_before && c.index > before));
        level_before = level;
        before = c.index;
    }
}

// Every capacity contains the one before.
void check_capacities(const bench::FrqPackage& package) {
    constexpr uint32_t kTiny = 1 << 8;
    int64_t bytes = 0;
    for (int capacity = 1; capacity <= package.capacities(); capacity++) {
        const std::vector<FrqTensor> own = package.at(capacity);
        expect(own.size() == package.tensors().size() && package.bytes_of(capacity) >= bytes);
        bytes = package.bytes_of(capacity);
        for (size_t i = 0; i < own.size(); i++) {
            expect(own[i].kept >= 1 && own[i].kept <= package.tensors()[i].kept);
            if (own[i].size > kTiny) continue;
            if (own[i].kind == FrqTensor::Kind::raw) {
                for (uint32_t j = 0; j < own[i].size; j++) (void)own[i].value(j);
                continue;
            }
            check_coefficients(own[i]);
            const Core core(own[i]);
            std::vector<float> weight(core.dense_size());
            core.decode_dense(weight.data());
        }
    }
}

void read(uint8_t format, const uint8_t* data, size_t size) {
    constexpr uint32_t kSmall = 1 << 14;  // values: more would only be slower
    try {
        const bench::FrqPackage package(sealed(format, data, size), "input");
        std::string graph = "7767517\n1 1\nInput in0 0 1 in0\n";
        size_t blobs = 0;
        check_capacities(package);
        for (const FrqTensor& tensor : package.tensors()) {
            if (tensor.kind == FrqTensor::Kind::raw) {
                for (uint32_t i = 0; i < tensor.size; i++) (void)tensor.value(i);
                continue;
            }
            check_coefficients(tensor);
            if (tensor.size > kSmall) continue;
            const Core core(tensor);
            std::vector<float> weight(core.dense_size());
            core.decode_dense(weight.data());
            if (!core.gains_by_factors()) continue;
            std::vector<float> in(core.factor_size(1)), middle(core.spatial_core_size()), out(core.factor_size(0));
            core.write_in_factor(in.data());
            core.decode_spatial_core(middle.data());
            core.write_out_factor(out.data());
            graph += "Convolution c 1 1 " + (blobs == 0 ? "in0" : std::to_string(blobs - 1)) + ' ' + std::to_string(blobs) +
                     " 0=1 6=" + std::to_string(tensor.size) + '\n';
            blobs++;
        }
        if (blobs < 64) bench::factor(graph, package.tensors());
    } catch (const bench::Failure& failure) {
        expect(failure.exit == bench::Exit::bad_weights);
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    read('2', data, size);
    read('3', data, size);
    read('4', data, size);
    return 0;
}

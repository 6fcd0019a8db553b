#include "elm/package.h"

#include <cmath>
#include <cstring>

#include "contract/crc32.h"
#include "contract/failure.h"
#include "weights/half.h"

namespace bench {
namespace {

constexpr size_t kHead = 8, kHeader = kHead + 40;
constexpr int32_t kLargestExponent = 64;

}  // namespace

ElmPackage read_elm(const std::vector<uint8_t>& bytes, const std::string& path) {
    const auto refuse = [&](const std::string& why) { throw Failure(Exit::bad_weights, path + ": " + why); };
    if (bytes.size() < kHead || std::memcmp(bytes.data(), "ELM1", 4) != 0) refuse("not an ELM package");
    if (bytes.size() < kHeader) refuse("shorter than its header");
    const uint8_t* at = bytes.data() + 4;
    const auto take = [&at](auto& value) {
        std::memcpy(&value, at, sizeof value);
        at += sizeof value;
    };
    uint32_t sum = 0, inputs = 0;
    take(sum);
    if (sum != crc32(bytes.data() + kHead, bytes.size() - kHead)) refuse("its check sum is wrong");
    ElmPackage package;
    take(inputs);
    take(package.neurons);
    take(package.classes);
    take(package.exponent);
    take(package.hidden.seed);
    take(package.hidden.gain);
    take(package.mean);
    take(package.deviation);
    uint32_t reserved = 0;
    take(reserved);
    package.hidden.inputs = inputs;
    if (inputs < 1 || inputs > kMostElmInputs) refuse(std::to_string(inputs) + " inputs");
    if (package.neurons < 1 || package.neurons > kMostNeurons) refuse(std::to_string(package.neurons) + " neurons");
    if (package.classes < 1 || package.classes > kMostClasses) refuse(std::to_string(package.classes) + " classes");
    if (package.exponent < -kLargestExponent || package.exponent > kLargestExponent) refuse("an exponent of " + std::to_string(package.exponent));
    if (!std::isfinite(package.hidden.gain) || !std::isfinite(package.mean)) refuse("a gain or a mean that is not finite");
    if (!std::isfinite(package.deviation) || !(package.deviation > 0)) refuse("a deviation that is not above zero");
    if (reserved != 0) refuse("something of a later version");
    const size_t count = static_cast<size_t>(package.neurons) * package.classes;
    if (bytes.size() != kHeader + count * sizeof(uint16_t)) {
        refuse(std::to_string(bytes.size()) + " bytes where its header says " + std::to_string(kHeader + count * sizeof(uint16_t)));
    }
    package.stored.resize(count);
    std::memcpy(package.stored.data(), at, count * sizeof(uint16_t));
    for (const uint16_t value : package.stored) {
        if ((value & 0x7C00) == 0x7C00) refuse("an output weight that is not finite");
    }
    return package;
}

std::vector<float> ElmPackage::output_weights() const {
    std::vector<float> weights(stored.size());
    for (size_t i = 0; i < weights.size(); i++) weights[i] = std::ldexp(half_to_float(stored[i]), exponent);
    return weights;
}

}  // namespace bench

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstdio>
#include <cstring>

#include "contract/crc32.h"
#include "contract/failure.h"
#include "elm/package.h"
#include "elm/products.h"

namespace bench {
namespace {

constexpr int kTop = 15;  // float16 ends below 2^16

template <class T>
void put(std::vector<uint8_t>& bytes, const T& value) {
    const auto* at = reinterpret_cast<const uint8_t*>(&value);
    bytes.insert(bytes.end(), at, at + sizeof value);
}

}  // namespace

void store_output_weights(ElmPackage& package, const std::vector<float>& weights) {
    float most = 0;
    for (const float weight : weights) {
        if (!std::isfinite(weight)) throw Failure(Exit::inference_failed, "the solution has values that are not finite: try a larger alpha");
        most = std::max(most, std::fabs(weight));
    }
    int above = 0;
    std::frexp(most, &above);  // most is in [1/2, 1) times 2^above
    package.exponent = most == 0 ? 0 : std::clamp(above - kTop, -64, 64);
    std::vector<float> scaled(weights.size());
    for (size_t i = 0; i < weights.size(); i++) scaled[i] = std::ldexp(weights[i], -package.exponent);
    package.stored.resize(weights.size());
    narrow(scaled.data(), package.stored.data(), scaled.size());
}

int64_t write_elm(const ElmPackage& package, const std::string& path) {
    std::vector<uint8_t> bytes(8);
    put(bytes, static_cast<uint32_t>(package.hidden.inputs));
    put(bytes, package.neurons);
    put(bytes, package.classes);
    put(bytes, package.exponent);
    put(bytes, package.hidden.seed);
    put(bytes, package.hidden.gain);
    put(bytes, package.mean);
    put(bytes, package.deviation);
    put(bytes, uint32_t{0});
    const auto* stored = reinterpret_cast<const uint8_t*>(package.stored.data());
    bytes.insert(bytes.end(), stored, stored + package.stored.size() * sizeof(uint16_t));
    std::memcpy(bytes.data(), "ELM1", 4);
    const uint32_t sum = crc32(bytes.data() + 8, bytes.size() - 8);
    std::memcpy(bytes.data() + 4, &sum, sizeof sum);
    FILE* file = std::fopen(path.c_str(), "wbe");
    const bool written = file && std::fwrite(bytes.data(), 1, bytes.size(), file) == bytes.size();
    const int why = errno;
    const bool closed = file && std::fclose(file) == 0;
    if (!written || !closed) throw Failure(Exit::write_failed, path + ": " + std::strerror(written ? errno : why));
    return static_cast<int64_t>(bytes.size());
}

}  // namespace bench

#include "frq.h"

#include <climits>
#include <cstring>

#include "failure.h"
#include "utf8.h"

namespace bench {
namespace {

// CRC-32 of zlib and PNG (ISO 3309, reflected polynomial 0xEDB88320).
uint32_t crc32(const uint8_t* bytes, size_t count) {
    uint32_t table[256];
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t entry = i;
        for (int bit = 0; bit < 8; bit++) entry = entry >> 1 ^ (entry & 1 ? 0xEDB88320u : 0);
        table[i] = entry;
    }
    uint32_t crc = 0xFFFFFFFFu;
    for (size_t i = 0; i < count; i++) crc = crc >> 8 ^ table[(crc ^ bytes[i]) & 0xFF];
    return ~crc;
}

// IEEE 754 binary16 to binary32, exact.
float half_to_float(uint16_t half) {
    const uint32_t sign = static_cast<uint32_t>(half & 0x8000) << 16, fraction = half & 0x3FF;
    const uint32_t exponent = half >> 10 & 0x1F;
    float result;
    if (exponent == 0) {
        result = static_cast<float>(fraction) * 0x1p-24f;
        return sign ? -result : result;
    }
    const uint32_t bits = sign | (exponent == 31 ? 0xFFu : exponent + 112) << 23 | fraction << 13;
    std::memcpy(&result, &bits, sizeof result);
    return result;
}

// Walks the bytes of a package and never past their end.
class Walker {
public:
    Walker(const std::vector<uint8_t>& bytes, const std::string& path) : at_(bytes.data()), end_(at_ + bytes.size()), path_(path) {}

    [[noreturn]] void refuse(const std::string& why) const { throw Failure(Exit::bad_weights, path_ + ": " + why); }

    size_t left() const { return static_cast<size_t>(end_ - at_); }

    const uint8_t* take(uint64_t count) {
        if (count > left()) refuse("it ends too early");
        const uint8_t* start = at_;
        at_ += count;
        return start;
    }

    uint32_t varint() {
        uint64_t value = 0;
        for (int shift = 0; shift < 35; shift += 7) {
            const uint8_t byte = *take(1);
            value |= static_cast<uint64_t>(byte & 0x7F) << shift;
            if (byte & 0x80) continue;
            if (byte == 0 && shift > 0) refuse("a varint longer than it need be");
            if (value > UINT32_MAX) refuse("a varint above 2^32 - 1");
            return static_cast<uint32_t>(value);
        }
        refuse("a varint of more than 5 bytes");
    }

private:
    const uint8_t* at_;
    const uint8_t* end_;
    const std::string& path_;
};

// A varint that has been checked already.
uint32_t checked_varint(const uint8_t*& at) {
    uint32_t value = 0;
    for (int shift = 0;; shift += 7) {
        const uint8_t byte = *at++;
        value |= static_cast<uint32_t>(byte & 0x7F) << shift;
        if (!(byte & 0x80)) return value;
    }
}

FrqTensor read_tensor(Walker& walker) {
    FrqTensor tensor{};
    const uint8_t tag = *walker.take(1);
    if ((tag & 3) == 3) walker.refuse("a tensor of kind 3");
    tensor.kind = static_cast<FrqTensor::Kind>(tag & 3);
    tensor.half = !(tag & 4);
    tensor.vector = tag & 8;
    tensor.transposed = tag & 16;
    tensor.rank = tag >> 5;
    const bool raw = tensor.kind == FrqTensor::Kind::raw;
    if (tensor.rank < 1 || tensor.rank > kMaxRank) walker.refuse("a tensor of rank " + std::to_string(tensor.rank));
    if (tensor.vector && !raw) walker.refuse("a vector that is not raw");
    if (tensor.transposed && tensor.rank < 2) walker.refuse("a transposed tensor of rank 1");

    uint64_t size = 1;
    tensor.shape.fill(1);
    for (int axis = 0; axis < tensor.rank; axis++) {
        const uint32_t extent = walker.varint();
        if (extent == 0 || extent > INT_MAX) walker.refuse("an extent of " + std::to_string(extent));
        size *= extent;
        if (size > INT_MAX) walker.refuse("a tensor of more than 2^31 - 1 values");
        tensor.shape[axis] = static_cast<int32_t>(extent);
    }
    tensor.size = static_cast<uint32_t>(size);
    tensor.kept = raw ? tensor.size : walker.varint();
    if (tensor.kept == 0 || tensor.kept > tensor.size) {
        walker.refuse(std::to_string(tensor.kept) + " coefficients kept of " + std::to_string(tensor.size));
    }
    if (tensor.kind == FrqTensor::Kind::explicit_indices) {
        tensor.indices = walker.take(0);
        uint64_t position = walker.varint();
        for (uint32_t i = 1; i < tensor.kept; i++) {
            const uint32_t step = walker.varint();
            if (step == 0) walker.refuse("an index that does not grow");
            position += step;
        }
        if (position >= tensor.size) walker.refuse("an index beyond its tensor");
    }
    tensor.values = walker.take(static_cast<uint64_t>(tensor.kept) * (tensor.half ? 2 : 4));
    return tensor;
}

}  // namespace

float FrqTensor::value(uint32_t position) const {
    if (half) {
        uint16_t bits;
        std::memcpy(&bits, values + size_t{2} * position, 2);
        return half_to_float(bits);
    }
    float result;
    std::memcpy(&result, values + size_t{4} * position, 4);
    return result;
}

std::vector<Coefficient> FrqTensor::coefficients() const {
    // Walking from one position to the next is far cheaper than finding a position afresh.
    constexpr uint32_t kWorthWalking = 64;
    std::vector<Coefficient> result;
    if (kind == Kind::raw) return result;
    result.reserve(kept);
    const CoefficientOrder order(shape, rank);
    const uint8_t* next = indices;
    Axes index{};
    uint32_t position = 0;
    for (uint32_t i = 0; i < kept; i++) {
        const uint32_t step = kind == Kind::prefix ? (i > 0) : checked_varint(next);
        position += step;
        if (step > kWorthWalking) {
            index = order.at(position);
        } else {
            for (uint32_t s = 0; s < step; s++) order.advance(index);
        }
        result.push_back({index, value(i)});
    }
    return result;
}

FrqPackage::FrqPackage(std::vector<uint8_t> bytes, const std::string& path) : bytes_(std::move(bytes)) {
    Walker walker(bytes_, path);
    if (std::memcmp(walker.take(4), "FRQ1", 4) != 0) walker.refuse("not a .frq package of version 1");
    uint32_t checksum;
    std::memcpy(&checksum, walker.take(4), 4);
    if (checksum != crc32(bytes_.data() + 8, walker.left())) walker.refuse("its check sum is wrong");
    const uint8_t length = *walker.take(1);
    name_.assign(reinterpret_cast<const char*>(walker.take(length)), length);
    if (!is_utf8(name_)) walker.refuse("its name is not UTF-8");
    const uint32_t count = walker.varint();
    if (count == 0) walker.refuse("no tensors");
    for (uint32_t i = 0; i < count; i++) tensors_.push_back(read_tensor(walker));
    if (walker.left() > 0) walker.refuse(std::to_string(walker.left()) + " bytes after the last tensor");
}

}  // namespace bench

#include "weights/frq.h"

#include <climits>
#include <cmath>
#include <cstdlib>
#include <cstring>

#include "contract/contract.h"
#include "contract/crc32.h"
#include "contract/failure.h"
#include "contract/utf8.h"
#include "weights/half.h"

namespace bench {
namespace {

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

    int32_t checked_extent(int64_t value) const {
        if (value < 1 || value > INT_MAX) refuse("an extent of " + std::to_string(value));
        return static_cast<int32_t>(value);
    }

    int32_t extent() { return checked_extent(varint()); }

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

// What tensors of a network share: kind and flags, the extents behind the channels, how many coefficients.
struct Form {
    FrqTensor::Kind kind;
    bool half, int8, vector, transposed;
    int rank;
    Axes kernel;    // axes 2 and on
    uint32_t kept;  // 0 for a raw tensor
    bool each;      // raw, and has other values in each capacity
    std::shared_ptr<const std::vector<uint32_t>> parts;  // of coefficients: how many count in each capacity
};

// What a format allows.
struct Format {
    bool int8, nested;
    int capacities = 1;
};

// How many coefficients count in each capacity: as many as in the one before, and what it adds.
std::vector<uint32_t> read_parts(Walker& walker, int capacities) {
    std::vector<uint32_t> parts;
    uint64_t kept = 0;
    for (int i = 0; i < capacities; i++) {
        kept += walker.varint();
        if (kept == 0 || kept > INT_MAX) walker.refuse(std::to_string(kept) + " coefficients in capacity " + std::to_string(i + 1));
        parts.push_back(static_cast<uint32_t>(kept));
    }
    return parts;
}

Form read_form(Walker& walker, const Format& format) {
    Form form{};
    const uint8_t tag = *walker.take(1);
    form.each = (tag & 3) == 3;
    if (form.each && !format.nested) walker.refuse("a tensor of kind 3");
    form.kind = form.each ? FrqTensor::Kind::raw : static_cast<FrqTensor::Kind>(tag & 3);
    const bool raw = form.kind == FrqTensor::Kind::raw;
    // One bit, two meanings: a raw tensor is a vector, one of coefficients is in 8 bits.
    form.vector = raw && (tag & 8);
    form.int8 = !raw && (tag & 8);
    form.half = !(tag & 4) && !form.int8;
    form.transposed = tag & 16;
    form.rank = tag >> 5;
    if (form.rank < 1 || form.rank > kMaxRank) walker.refuse("a tensor of rank " + std::to_string(form.rank));
    if (form.int8 && !format.int8) walker.refuse("coefficients in 8 bits, which format 2 does not have");
    if (form.int8 && (tag & 4)) walker.refuse("coefficients in both 8 and 32 bits");
    if (form.transposed && form.rank < 2) walker.refuse("a transposed tensor of rank 1");
    for (int axis = 2; axis < form.rank; axis++) form.kernel[axis] = walker.extent();
    if (raw) return form;
    if (format.nested) {
        form.parts = std::make_shared<const std::vector<uint32_t>>(read_parts(walker, format.capacities));
        form.kept = form.parts->back();
    } else {
        form.kept = walker.varint();
    }
    return form;
}

// An extent by its code: written out, or that of the channels before, twice or half of it.
int32_t read_channels(Walker& walker, int code, int32_t before) {
    switch (code) {
        case 0: return walker.extent();
        case 1: return before;
        case 2: return walker.checked_extent(2 * static_cast<int64_t>(before));
        default:
            if (before % 2 != 0) walker.refuse("half of " + std::to_string(before) + " channels");
            return before / 2;
    }
}

void walk_indices(Walker& walker, FrqTensor& tensor) {
    tensor.indices = walker.take(0);
    uint64_t position = walker.varint();
    for (uint32_t i = 1; i < tensor.kept; i++) {
        const uint32_t step = walker.varint();
        if (step == 0) walker.refuse("an index that does not grow");
        position += step;
    }
    if (position >= tensor.size) walker.refuse("an index beyond its tensor");
}

}  // namespace

// Reads one tensor after the other; each may refer to those before it.
class TensorReader {
public:
    TensorReader(Walker& walker, const Format& format) : walker_(walker), format_(format) {}

    FrqTensor next() {
        const uint8_t head = *walker_.take(1);
        const size_t back = head & 15;
        if (back > forms_.size()) walker_.refuse("the form of a tensor before the first");
        forms_.push_back(back == 0 ? read_form(walker_, format_) : forms_[forms_.size() - back]);
        const Form& form = forms_.back();

        FrqTensor tensor{form.kind, form.half, form.vector, form.transposed, form.rank, {}, 0, form.kept, nullptr, nullptr, 0};
        tensor.shape.fill(1);
        const int inputs = head >> 4 & 3, outputs = head >> 6;
        if (form.rank > 1) {
            tensor.shape[form.transposed ? 0 : 1] = channels_ = read_channels(walker_, inputs, channels_);
        } else if (inputs != 0) {
            walker_.refuse("inputs of a tensor of one axis");
        }
        tensor.shape[form.transposed ? 1 : 0] = channels_ = read_channels(walker_, outputs, channels_);
        uint64_t size = 1;
        for (int axis = 0; axis < form.rank; axis++) {
            if (axis >= 2) tensor.shape[axis] = form.kernel[axis];
            size *= static_cast<uint64_t>(tensor.shape[axis]);
            if (size > INT_MAX) walker_.refuse("a tensor of more than 2^31 - 1 values");
        }
        tensor.size = static_cast<uint32_t>(size);
        if (form.kind == FrqTensor::Kind::raw) tensor.kept = tensor.size;
        if (tensor.kept == 0 || tensor.kept > tensor.size) {
            walker_.refuse(std::to_string(tensor.kept) + " coefficients kept of " + std::to_string(tensor.size));
        }
        if (form.kind == FrqTensor::Kind::explicit_indices) walk_indices(walker_, tensor);
        if (form.int8) {
            read_int8(tensor);
        } else {
            const uint64_t bytes = static_cast<uint64_t>(tensor.kept) * (tensor.half ? 2 : 4);
            if (form.each) walker_.take(bytes * static_cast<uint64_t>(format_.capacities - 1));
            tensor.values = walker_.take(bytes);  // of the largest capacity, which is the last
        }
        return tensor;
    }

    // Of the tensor that was read last.
    FrqPackage::Capacities capacities() const { return {forms_.back().parts, forms_.back().each}; }

private:
    void read_int8(FrqTensor& tensor) {
        uint16_t bits;
        std::memcpy(&bits, walker_.take(2), 2);
        tensor.scale = half_to_float(bits);
        if (!(tensor.scale > 0) || !std::isfinite(tensor.scale)) walker_.refuse("a scale that is not more than 0, or infinite");
        tensor.values = walker_.take(tensor.kept);
        for (uint32_t i = 0; i < tensor.kept; i++) {
            if (tensor.values[i] == 0x80) walker_.refuse("a value of -128 in 8 bits");
        }
    }

    Walker& walker_;
    const Format& format_;
    std::vector<Form> forms_;
    int32_t channels_ = 1;
};

float FrqTensor::value(uint32_t position) const {
    if (scale > 0) return static_cast<float>(static_cast<int8_t>(values[position])) * scale;
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
    const uint8_t* magic = walker.take(4);
    Format format{};
    format.nested = std::memcmp(magic, "FRQ4", 4) == 0;
    format.int8 = format.nested || std::memcmp(magic, "FRQ3", 4) == 0;
    if (!format.int8 && std::memcmp(magic, "FRQ2", 4) != 0) walker.refuse("not a .frq package of format 2, 3 or 4");
    uint32_t checksum;
    std::memcpy(&checksum, walker.take(4), 4);
    if (checksum != crc32(bytes_.data() + 8, walker.left())) walker.refuse("its check sum is wrong");
    const uint8_t length = *walker.take(1);
    name_.assign(reinterpret_cast<const char*>(walker.take(length)), length);
    if (!is_utf8(name_)) walker.refuse("its name is not UTF-8");
    const uint32_t count = walker.varint();
    if (count == 0) walker.refuse("no tensors");
    if (format.nested) {
        const uint32_t capacities = walker.varint();
        if (capacities < 2 || capacities > kMostCapacities) walker.refuse(std::to_string(capacities) + " capacities");
        format.capacities = capacities_ = static_cast<int>(capacities);
    }
    TensorReader reader(walker, format);
    bool has_int8 = false;
    for (uint32_t i = 0; i < count; i++) {
        tensors_.push_back(reader.next());
        by_capacity_.push_back(reader.capacities());
        has_int8 |= tensors_.back().scale > 0;
    }
    if (format.int8 && !format.nested && !has_int8) walker.refuse("format 3, and nothing in 8 bits");
    if (walker.left() > 0) walker.refuse(std::to_string(walker.left()) + " bytes after the last tensor");
}

// Bytes of a value.
static int64_t width_of(const FrqTensor& tensor) { return tensor.scale > 0 ? 1 : tensor.half ? 2 : 4; }

std::vector<FrqTensor> FrqPackage::at(int capacity) const {
    std::vector<FrqTensor> found = tensors_;
    for (size_t i = 0; i < found.size(); i++) {
        FrqTensor& tensor = found[i];
        if (by_capacity_[i].kept) {
            tensor.kept = (*by_capacity_[i].kept)[static_cast<size_t>(capacity - 1)];
        } else if (by_capacity_[i].each) {
            tensor.values -= static_cast<size_t>(capacities_ - capacity) * tensor.size * (tensor.half ? 2 : 4);
        }
    }
    return found;
}

int64_t FrqPackage::bytes_of(int capacity) const {
    int64_t bytes = 0;
    for (const FrqTensor& tensor : at(capacity)) bytes += tensor.kept * width_of(tensor) + (tensor.scale > 0 ? 2 : 0);
    return bytes;
}

int64_t FrqPackage::bytes_between(int from, int to) const {
    if (from == to) return 0;
    const std::vector<FrqTensor> before = at(from), after = at(to);
    int64_t bytes = 0;
    for (size_t i = 0; i < after.size(); i++) {
        const int64_t width = width_of(after[i]), kept = after[i].kept;
        bytes += by_capacity_[i].each ? kept * width : std::llabs(kept - before[i].kept) * width;
    }
    return bytes;
}

}  // namespace bench

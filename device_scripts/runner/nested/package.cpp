#include "nested/package.h"

#include <algorithm>
#include <cstring>

#include "contract/contract.h"
#include "contract/crc32.h"
#include "contract/failure.h"
#include "contract/utf8.h"
#include "weights/half.h"

namespace bench {
namespace {

constexpr uint64_t kLargestHead = 16 * 1024 * 1024;
constexpr uint64_t kMostChannels = 1 << 22;   // of all lists together
constexpr uint64_t kMostValues = 0x7FFFFFFF;  // values of a tensor, bytes of a segment
constexpr size_t kStart = 12;                 // magic, check sum and length of the head
constexpr uint8_t kMatrix = 1, kOwn = 2, kScaled = 4, kTyped = 8;

// Walks the bytes of a head and never past their end.
class Walker {
public:
    Walker(const uint8_t* bytes, size_t count, const std::string& path) : at_(bytes), end_(bytes + count), path_(path) {}

    [[noreturn]] void refuse(const std::string& why) const { throw Failure(Exit::bad_weights, path_ + ": " + why); }

    size_t left() const { return static_cast<size_t>(end_ - at_); }

    const uint8_t* take(size_t count) {
        if (count > left()) refuse("its head ends too early");
        const uint8_t* start = at_;
        at_ += count;
        return start;
    }

    uint8_t byte() { return *take(1); }

    uint32_t varint() {
        uint64_t value = 0;
        for (int shift = 0; shift < 35; shift += 7) {
            const uint8_t one = byte();
            value |= static_cast<uint64_t>(one & 0x7F) << shift;
            if (one & 0x80) continue;
            if ((one == 0 && shift > 0) || value > UINT32_MAX) refuse("a number that is longer than it need be, or too large");
            return static_cast<uint32_t>(value);
        }
        refuse("a number of more than 5 bytes");
    }

    // How many entries follow, each of at least a byte.
    size_t many() {
        constexpr uint32_t kMost = 1 << 16;
        const uint32_t count = varint();
        if (count > kMost) refuse(std::to_string(count) + " entries, and " + std::to_string(kMost) + " can be");
        if (count > left()) refuse(std::to_string(count) + " entries in " + std::to_string(left()) + " bytes");
        return count;
    }

    uint32_t below(size_t count, const char* what) {
        const uint32_t which = varint();
        if (which >= count) refuse(std::string(what) + " " + std::to_string(which) + " of " + std::to_string(count));
        return which;
    }

private:
    const uint8_t* at_;
    const uint8_t* end_;
    const std::string& path_;
};

// Smallest numbers of either sign are small.
int32_t unfolded(uint32_t value) { return static_cast<int32_t>(value >> 1) ^ -static_cast<int32_t>(value & 1); }

float half_at(const uint8_t* at) {
    uint16_t bits;
    std::memcpy(&bits, at, sizeof bits);
    return half_to_float(bits);
}

std::vector<uint8_t> head_of(const File& file) {
    const auto refuse = [&](const std::string& why) { throw Failure(Exit::bad_weights, file.path() + ": " + why); };
    uint8_t start[kStart];
    if (!file.read_at(0, start, sizeof start)) refuse("it ends too early");
    if (std::memcmp(start, "NST1", 4) != 0) refuse("not a package of nested capacities of format 1");
    uint32_t sum, length;
    std::memcpy(&sum, start + 4, 4);
    std::memcpy(&length, start + 8, 4);
    if (length > kLargestHead || length > file.size() - kStart) refuse("a head of " + std::to_string(length) + " bytes");
    std::vector<uint8_t> head(length);
    if (!file.read_at(kStart, head.data(), head.size())) refuse("it ends too early");
    if (crc32(head.data(), head.size()) != sum) refuse("the check sum of its head is wrong");
    return head;
}

NestedHead parsed(const File& file, uint64_t& begin) {
    const std::vector<uint8_t> bytes = head_of(file);
    begin = kStart + bytes.size();
    return NestedHead(bytes.data(), bytes.size(), file.path());
}

}  // namespace

NestedHead::NestedHead(const uint8_t* bytes, size_t count, const std::string& path) {
    Walker walker(bytes, count, path);
    const uint8_t length = walker.byte();
    const std::string name(reinterpret_cast<const char*>(walker.take(length)), length);
    if (!is_utf8(name)) walker.refuse("its name is not UTF-8");
    capacities_ = walker.byte();
    if (capacities_ < 1 || capacities_ > kMostCapacities) walker.refuse("a package of " + std::to_string(capacities_) + " capacities");

    uint64_t channels = 0;
    for (size_t left = walker.many(); left > 0; left--) {
        std::vector<uint8_t> levels;
        std::vector<uint64_t> widths(static_cast<size_t>(capacities_));  // of each level, and then of all up to it
        for (size_t runs = walker.many(); runs > 0; runs--) {
            const uint32_t many = walker.varint();
            const uint8_t level = walker.byte();
            channels += many;
            if (level < 1 || level > capacities_ || many < 1 || channels > kMostChannels) {
                walker.refuse(std::to_string(many) + " channels of level " + std::to_string(level));
            }
            levels.insert(levels.end(), many, level);
            widths[static_cast<size_t>(level - 1)] += many;
        }
        for (size_t at = 1; at < widths.size(); at++) widths[at] += widths[at - 1];
        if (widths[0] == 0) walker.refuse("the smallest capacity has none of the channels of a list");
        lists_.push_back(std::move(levels));
        widths_.push_back(std::move(widths));
    }

    const size_t sites = walker.many();
    if (sites % 2 != 0) walker.refuse("a layer without what comes out of it");
    for (size_t i = 0; i < sites; i++) walker.below(lists_.size(), "list");

    for (size_t left = walker.many(); left > 0; left--) {
        const uint8_t tag = walker.byte();
        NestedTensor tensor{(tag & kMatrix) != 0, (tag & kOwn) != 0, (tag & kScaled) != 0, (tag & kTyped) != 0, 0, 0, 1};
        if (tag > 15 || (tensor.matrix && tensor.own) || (tensor.scaled && !tensor.matrix)) {
            walker.refuse("a tensor of kind " + std::to_string(tag));
        }
        tensor.rows = walker.below(lists_.size(), "list");
        if (tensor.matrix) {
            tensor.columns = walker.below(lists_.size(), "list");
            tensor.kernel = walker.varint();
        }
        const uint64_t columns = tensor.matrix ? lists_[tensor.columns].size() : 1;
        if (tensor.kernel < 1 || lists_[tensor.rows].size() * columns > kMostValues / tensor.kernel) {
            walker.refuse("a tensor of more than 2^31 - 1 values, or none");
        }
        tensors_.push_back(tensor);
    }

    for (size_t left = walker.many(); left > 0; left--) {
        NestedSubstitution one{walker.varint(), walker.varint(), {}};
        for (int capacity = 1; capacity <= capacities_; capacity++) one.values.push_back(unfolded(walker.varint()));
        substitutions_.push_back(std::move(one));
    }

    for (int capacity = 1; capacity <= capacities_; capacity++) {
        uint32_t sum;
        std::memcpy(&sum, walker.take(4), 4);
        sums_.push_back(sum);
    }
    if (walker.left() > 0) walker.refuse(std::to_string(walker.left()) + " bytes of its head too many");

    for (int capacity = 1; capacity <= capacities_; capacity++) {
        uint64_t total = 0;
        std::vector<uint64_t> offsets;
        for (const NestedTensor& tensor : tensors_) {
            offsets.push_back(total);
            total += 2 * added(tensor, capacity);
            if (total > kMostValues) walker.refuse("a capacity that adds 2^31 bytes or more");
        }
        offsets_.push_back(std::move(offsets));
        segments_.push_back(total);
    }
}

uint64_t NestedHead::size(const NestedTensor& tensor, int capacity) const {
    const size_t at = static_cast<size_t>(capacity - 1);
    return widths_[tensor.rows][at] * (tensor.matrix ? widths_[tensor.columns][at] * tensor.kernel : 1);
}

// Values in what a capacity adds, scales included.
uint64_t NestedHead::added(const NestedTensor& tensor, int capacity) const {
    const uint64_t scales = tensor.scaled ? widths_[tensor.rows][static_cast<size_t>(capacity - 1)] : 0;
    if (tensor.own || capacity == 1) return scales + size(tensor, capacity);
    return scales + size(tensor, capacity) - size(tensor, capacity - 1);
}

void NestedHead::assemble(size_t number, int capacity, const std::vector<std::vector<uint8_t>>& segments, float* to) const {
    const NestedTensor& tensor = tensors_[number];
    const auto start = [&](int level) {
        const size_t at = static_cast<size_t>(level - 1);
        return segments[at].data() + offsets_[at][number];
    };
    const std::vector<uint8_t>& rows = lists_[tensor.rows];
    if (tensor.own) {
        const uint8_t* at = start(capacity);
        for (uint64_t left = size(tensor, capacity); left > 0; left--, at += 2) *to++ = half_at(at);
        return;
    }
    // Whatever a capacity adds lies there in the order of the whole tensor, so one walk over that meets it in order.
    std::vector<const uint8_t*> next;
    for (int level = 1; level <= capacity; level++) {
        const uint64_t scales = tensor.scaled ? widths_[tensor.rows][static_cast<size_t>(level - 1)] : 0;
        next.push_back(start(level) + 2 * scales);
    }
    const uint8_t* scale_at = tensor.scaled ? start(capacity) : nullptr;
    static const std::vector<uint8_t> one_column = {1};
    const std::vector<uint8_t>& columns = tensor.matrix ? lists_[tensor.columns] : one_column;
    for (const uint8_t row : rows) {
        if (row > capacity) continue;
        float scale = 1.0f;
        if (scale_at != nullptr) {
            scale = half_at(scale_at);
            scale_at += 2;
        }
        for (const uint8_t column : columns) {
            if (column > capacity) continue;
            const uint8_t*& at = next[static_cast<size_t>(std::max(row, column) - 1)];
            for (uint32_t i = 0; i < tensor.kernel; i++, at += 2) {
                const float value = half_at(at);
                *to++ = scale_at != nullptr ? value * scale : value;
            }
        }
    }
}

NestedPackage::NestedPackage(const std::string& path) : file_(path), begin_(0), head_(parsed(file_, begin_)) {
    uint64_t due = begin_;
    for (int capacity = 1; capacity <= head_.capacities(); capacity++) due += head_.segment_bytes(capacity);
    if (due != file_.size()) {
        throw Failure(Exit::bad_weights,
                      path + ": it has " + std::to_string(file_.size()) + " bytes, and by its head " + std::to_string(due));
    }
}

void NestedPackage::hold(int capacity) {
    segments_.resize(static_cast<size_t>(std::min(held_, capacity)));
    held_ = static_cast<int>(segments_.size());
    uint64_t at = begin_;
    for (int one = 1; one <= held_; one++) at += head_.segment_bytes(one);
    while (held_ < capacity) {
        std::vector<uint8_t> bytes(static_cast<size_t>(head_.segment_bytes(held_ + 1)));
        if (!file_.read_at(at, bytes.data(), bytes.size())) throw Failure(Exit::bad_weights, path() + ": it shrank while it was read");
        if (crc32(bytes.data(), bytes.size()) != head_.segment_sum(held_ + 1)) {
            throw Failure(Exit::bad_weights, path() + ": the check sum of what capacity " + std::to_string(held_ + 1) + " adds is wrong");
        }
        at += bytes.size();
        segments_.push_back(std::move(bytes));
        held_++;
    }
}

int64_t NestedPackage::bytes(int capacity) const {
    uint64_t total = 0;
    for (int one = 1; one <= std::min(capacity, head_.capacities()); one++) total += head_.segment_bytes(one);
    return static_cast<int64_t>(total);
}

}  // namespace bench

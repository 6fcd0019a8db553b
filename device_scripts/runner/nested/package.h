// Reader of the package of a network with several capacities: docs/formats/nested.md. Every bound is checked before anything
// is made of it. What a capacity adds is read from the file when it is needed, and forgotten when it is not.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "contract/files.h"

namespace bench {

// One tensor of the network at every capacity, by lists of levels.
struct NestedTensor {
    bool matrix, own, scaled, typed;
    uint32_t rows, columns;  // lists; columns of a matrix only
    uint32_t kernel;
};

// A parameter of a layer of the graph: what it is at each capacity.
struct NestedSubstitution {
    uint32_t layer, key;
    std::vector<int32_t> values;
};

// What the head of a package says. A capacity has the channels of its level and of those below.
class NestedHead {
public:
    // Takes the bytes of the head, without magic, sum and length; `path` is for messages. Throws Failure(bad_weights).
    NestedHead(const uint8_t* bytes, size_t count, const std::string& path);

    int capacities() const { return capacities_; }
    const std::vector<NestedTensor>& tensors() const { return tensors_; }
    const std::vector<NestedSubstitution>& substitutions() const { return substitutions_; }
    // Bytes that a capacity adds to the one before, and their check sum. 1 the smallest.
    uint64_t segment_bytes(int capacity) const { return segments_[static_cast<size_t>(capacity - 1)]; }
    uint32_t segment_sum(int capacity) const { return sums_[static_cast<size_t>(capacity - 1)]; }
    // How many values a tensor has at a capacity.
    uint64_t size(const NestedTensor& tensor, int capacity) const;

    // Puts a tensor together. `segments` are those of the capacities 1 to `capacity`, each as long as it has to be, and
    // `to` has room for size() floats.
    void assemble(size_t tensor, int capacity, const std::vector<std::vector<uint8_t>>& segments, float* to) const;

private:
    uint64_t added(const NestedTensor& tensor, int capacity) const;

    int capacities_ = 0;
    std::vector<std::vector<uint8_t>> lists_;    // of each channel its level
    std::vector<std::vector<uint64_t>> widths_;  // of each list, by capacity from 0
    std::vector<NestedTensor> tensors_;
    std::vector<NestedSubstitution> substitutions_;
    std::vector<uint32_t> sums_;
    std::vector<uint64_t> segments_;
    std::vector<std::vector<uint64_t>> offsets_;  // by capacity: where each tensor begins in what it adds
};

// A package whose file stays open, with the segments in memory that one capacity needs.
class NestedPackage {
public:
    // Throws Failure(missing_file) or Failure(bad_weights).
    explicit NestedPackage(const std::string& path);

    const NestedHead& head() const { return head_; }
    const std::string& path() const { return file_.path(); }

    // Brings in what the capacity needs and has not, checked, and drops the rest. Throws Failure(bad_weights).
    void hold(int capacity);
    int held() const { return held_; }
    void assemble(size_t tensor, float* to) const { head_.assemble(tensor, held_, segments_, to); }

    // Of the segments that a capacity is made of.
    int64_t bytes(int capacity) const;
    // Of the file up to the end of those.
    int64_t bytes_read(int capacity) const { return static_cast<int64_t>(begin_) + bytes(capacity); }

private:
    File file_;
    uint64_t begin_;  // of the first segment
    NestedHead head_;
    int held_ = 0;
    std::vector<std::vector<uint8_t>> segments_;
};

}  // namespace bench

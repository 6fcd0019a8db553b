// Reader of the .frq package: docs/formats/frq.md. Every bound is checked before anything is made of it.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "weights/order.h"

namespace bench {

struct Coefficient {
    Axes index;
    float value;
};

struct FrqTensor {
    enum class Kind { raw = 0, prefix = 1, explicit_indices = 2 };

    Kind kind;
    bool half, vector, transposed;  // half: float16 and nothing else
    int rank;
    Axes shape;              // PyTorch's order; 1 beyond the rank
    uint32_t size;           // product of the shape
    uint32_t kept;           // values stored; `size` for a raw tensor
    const uint8_t* indices;  // explicit only; kept varints, checked
    const uint8_t* values;   // kept float16, float32 or int8, not aligned
    float scale;             // what coefficients in int8 are multiples of, more than 0; 0 for all other tensors

    float value(uint32_t position) const;

    // The coefficients in their order; empty for a raw tensor.
    std::vector<Coefficient> coefficients() const;
};

class FrqPackage {
public:
    // Takes the bytes of a whole package; `path` is for messages. Throws Failure(bad_weights).
    FrqPackage(std::vector<uint8_t> bytes, const std::string& path);
    FrqPackage(const FrqPackage&) = delete;
    FrqPackage& operator=(const FrqPackage&) = delete;

    const std::string& name() const { return name_; }
    // Of the whole network, which is the largest capacity.
    const std::vector<FrqTensor>& tensors() const { return tensors_; }

    // 1 unless it is of format 4.
    int capacities() const { return capacities_; }
    // The tensors of one capacity, 1 … capacities().
    std::vector<FrqTensor> at(int capacity) const;
    // How many bytes of values and scales that capacity is made of.
    int64_t bytes_of(int capacity) const;
    // How many of them one of two capacities has and the other has not.
    int64_t bytes_between(int from, int to) const;

private:
    // What of a tensor depends on the capacity, by capacity: how many of its coefficients count, or where its values are.
    struct Capacities {
        std::shared_ptr<const std::vector<uint32_t>> kept;  // null unless of coefficients in format 4
        bool each = false;                                  // raw, and its values are written for one capacity after the other
    };

    std::vector<uint8_t> bytes_;
    std::string name_;
    int capacities_ = 1;
    std::vector<FrqTensor> tensors_;
    std::vector<Capacities> by_capacity_;  // of each tensor

    friend class TensorReader;
};

}  // namespace bench

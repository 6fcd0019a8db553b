// Reader of the .frq package: docs/formats/frq.md. Every bound is checked before anything is made of it.
#pragma once

#include <cstdint>
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
    const std::vector<FrqTensor>& tensors() const { return tensors_; }

private:
    std::vector<uint8_t> bytes_;
    std::string name_;
    std::vector<FrqTensor> tensors_;
};

}  // namespace bench

// A symmetric matrix by its upper triangle of blocks, kept in memory or in a file, which becomes its Cholesky factor in place.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "contract/job.h"

namespace bench {

constexpr size_t kBlock = 1024, kBlockValues = kBlock * kBlock;

// Columns of blocks: column i is (i + 1)·1024 rows of 1024 values, row-major. One is worked on in float32 at a time, first to
// last, unless all are in memory as float32.
class Triangle {
public:
    virtual ~Triangle() = default;

    // Whether all columns can be worked on at once.
    virtual bool whole() const { return false; }
    // Column i, in float32, to be filled: zeros, unless `whole`, whose memory stays as it is.
    virtual float* begin(size_t column) = 0;
    // Column i is done. Throws Failure(write_failed).
    virtual void keep(size_t column) = 0;
    // Block (row, column) of a kept column: into `scratch`, of kBlockValues, where it does not lie in memory as float32.
    virtual const float* block(size_t row, size_t column, float* scratch) const = 0;
    // Everything is zero again.
    virtual void clear() = 0;
};

// How many bytes of memory it takes for so many columns, the column at work included.
uint64_t triangle_bytes(Keeping keeping, size_t columns);

// `path`: where a file may be made, which has no name any more when this returns. All memory, or all of the file, is there
// from the beginning. Throws Failure(out_of_memory) and Failure(write_failed).
std::unique_ptr<Triangle> make_triangle(Keeping keeping, size_t columns, const std::string& path);

}  // namespace bench

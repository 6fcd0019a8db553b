// Rows of a small space out of rows of another, through a wide one of which some dozens of channels at a time are in the cache.
#pragma once

#include <memory>
#include <vector>

#include "layers/row_source.h"

namespace bench {

// y = expand z + shift for each wide value; then, where asked, its largest of 2×2 pixels and ReLU; then reduce y. Without
// expand z is y itself, without reduce the wide values are the result.
struct PassSteps {
    int points = 0, rank = 0, reduced = 0;  // rank 0: no expand; reduced 0: no reduce
    bool pooled = false, relu = false;
    std::vector<float> expand;  // rank × points
    std::vector<float> shift;   // points, or reduced where there is no expand
    std::vector<float> reduce;  // points × reduced

    // Two linear maps in a row are one: R (E z + b) = (R E) z + R b.
    PassSteps folded() const;
};

class PassRows : public RowSource {
public:
    // `added`, if any, has the width, height and channels of the result and is added to it.
    PassRows(std::shared_ptr<const PassSteps> steps, std::shared_ptr<const RowSource> z, std::shared_ptr<const RowSource> added);

    void write(int y, int count, float* to, size_t channel_step, size_t row_step, Arena& arena) const override;
    const ncnn::Mat* spare(int channels) const override;

private:
    // What becomes of one tile: z is [windows × rank] rows of pixels, `wide` room for the wide values of it, `results` has what
    // is added.
    void tile(const float* const* z, int pixels, float* wide, float* results, size_t step) const;
    void expand(const float* const* z, int first, int count, int pixels, float* to, size_t step) const;

    std::shared_ptr<const PassSteps> steps_;
    std::shared_ptr<const RowSource> z_, added_;
};

}  // namespace bench

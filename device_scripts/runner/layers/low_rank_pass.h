// The layer `LowRankPass` of our own graphs: two matrices, loaded, and what stands between them, channel by channel, in one pass
// over the pixels. docs/resident.md, "Any low-rank network", has the mathematics.
#pragma once

#include <memory>
#include <vector>

#include <layer.h>

#include "layers/pointwise_kernel.h"

namespace bench {

// y = activation(E z + bias + what is added), its largest of 2×2 pixels where asked, then u = R y + bias. Parameters: number, type,
// name, value when left out, meaning. bench/export/rank_pass.py has the same names and numbers, which a test compares.
#define LOW_RANK_PASS_PARAMETERS(P)                                                                         \
    P(0, int, channels, 0)     /* C of the wide space */                                                    \
    P(1, int, rank, 0)         /* of the input: E is C × rank */                                            \
    P(2, int, reduced, 0)      /* of the output: R is reduced × C; 0: the output is the wide space itself */ \
    P(3, int, activation, 0)   /* ncnn's numbers, or 7: a loaded slope for each channel, below zero */      \
    P(4, float, a, 0.f)        /* of that */                                                                \
    P(5, float, b, 0.f)                                                                                     \
    P(6, bool, pooled, false)  /* maximum of 2×2, stride 2, after it */                                     \
    P(7, bool, added, false)   /* the second input, C channels, is added before it */                       \
    P(8, bool, wide, false)    /* the second output is the wide space */                                    \
    P(9, bool, half, false)    /* E and R are float16, also in memory */

struct LowRankPassParameters {
#define FIELD(number, type, name, otherwise) type name = otherwise;
    LOW_RANK_PASS_PARAMETERS(FIELD)
#undef FIELD

    LowRankPassParameters() = default;
    explicit LowRankPassParameters(const ncnn::ParamDict& given);

    // Whether there is such a layer.
    bool make_sense() const;
};

// A matrix and the vector that is added to its products, as `pointwise` wants them.
struct Factor {
    int terms = 0, rows = 0, vectors = 0;
    bool half = false;
    ncnn::Mat weights;         // [vectors][terms][lanes]
    std::vector<float> start;  // [vectors][lanes]

    // Loads rows × terms values in pieces, so that a large float16 matrix is never whole in float32; and the bias. Returns what
    // load_model() of a layer does.
    int load(int rows, int terms, bool half, const ncnn::ModelBin& from);

    // Of the vectors from `first` on, the terms from `term` on.
    const void* at(int first, int term) const;
};

// Weights: E in pieces (Factor::load), its bias, the slopes if any, R, its bias. Inputs: z, then what is added. Outputs: u, or y
// where there is no R; then y where that is wanted too.
class LowRankPass : public ncnn::Layer {
public:
    LowRankPass();

    int load_param(const ncnn::ParamDict& parameters) override;
    int load_model(const ncnn::ModelBin& weights) override;
    int forward(const std::vector<ncnn::Mat>& bottoms, std::vector<ncnn::Mat>& tops, const ncnn::Option& option) const override;

private:
    class Tiles;
    int few(const Tiles& tiles, int pixels, const ncnn::Option& option) const;

    LowRankPassParameters p_;
    Factor expand_, reduce_;
    std::vector<float> slopes_;
};

// For ncnn::Net::register_custom_layer.
ncnn::Layer* make_low_rank_pass(void*);

}  // namespace bench

// The layer `RankPass` of our own graphs: from one small space to the next, through channels that never exist in memory.
// docs/resident.md has the mathematics.
#pragma once

#include <memory>
#include <vector>

#include <layer.h>

#include "layers/pass_rows.h"
#include "layers/row_source.h"

namespace bench {

// Its parameters in a graph: number, type, name, value when left out, meaning. A flag is 0 or 1.
// bench/export/rank_pass.py has the same names and numbers, which a test compares.
using Floats = std::vector<float>;
#define RANK_PASS_PARAMETERS(P)                                                                                   \
    P(0, int, channels, 0)        /* C of the wide space */                                                       \
    P(1, int, rank, 0)            /* of the input: y = E z, E the first columns of C's DCT; 0: the input is y */  \
    P(2, int, reduced, 0)         /* of the output: R y, rows of a DCT; 0: the output is the wide space itself */ \
    P(3, int, total, 0)           /* R is that of so many channels; 0: of C */                                    \
    P(4, int, first, 0)           /* of which these are the channels from here on */                              \
    P(5, bool, normalised, false) /* each channel by its own mean and variance over the image (InstanceNorm) */   \
    P(6, float, epsilon, 1e-5f)   /* of that */                                                                   \
    P(7, bool, relu, false)       /* after it */                                                                  \
    P(8, bool, pooled, false)     /* maximum of 2×2, stride 2, after it */                                        \
    P(9, int, vectors, 0)         /* how many blobs of C values follow the first: 1 bias, 2 bias and scale */     \
    P(10, bool, added, false)     /* the last input is added to the output: a concatenation is a sum */           \
    P(11, int, kept, 0)           /* R is D(reduced) core D(C)ᵀ, with a loaded core of so many columns */         \
    P(12, int, kept_out, 0)       /* and rows */                                                                  \
    P(13, int, samples, 0)        /* the wide space is computed at so many points; 0: at its channels */          \
    P(14, Floats, points, {})     /* t of each in (0, 1); none: in the middle of as many equal parts */           \
    P(15, Floats, weights, {})    /* the part of all channels that each stands for */                             \
    P(20, bool, measured, false)  /* the second input has the moments of the first, as RankCore makes them */     \
    P(21, bool, deferred, false)  /* the output is not made: the layer after it, one of ours, makes it row by row */

struct RankPassParameters {
#define FIELD(number, type, name, otherwise) type name = otherwise;
    RANK_PASS_PARAMETERS(FIELD)
#undef FIELD

    RankPassParameters() = default;
    explicit RankPassParameters(const ncnn::ParamDict& given);

    // Whether there is such a layer.
    bool make_sense() const;

    // Whether its steps are two matrices with nothing between, and whether every image has the same.
    bool is_linear() const { return rank > 0 && reduced > 0 && !relu && !pooled; }
    bool is_constant() const { return !normalised && vectors == 0; }

private:
    bool samples_make_sense() const;
};

// Inputs: z (or y), then its moments, then the vectors, then what is added.
class RankPass : public RowLayer {
public:
    RankPass();

    int load_param(const ncnn::ParamDict& parameters) override;
    int load_model(const ncnn::ModelBin& weights) override;
    bool defers() const override { return p_.deferred; }
    bool takes_rows(size_t input) const override { return input == 0 || (p_.added && input + 1 == bottoms.size()); }
    int forward(const std::vector<ncnn::Mat>& bottoms, std::vector<ncnn::Mat>& tops, const ncnn::Option& option) const override;

private:
    RankPassParameters p_;
    std::shared_ptr<const PassSteps> steps_;  // before norm and vectors
};

// For ncnn::Net::register_custom_layer.
ncnn::Layer* make_rank_pass(void*);

}  // namespace bench

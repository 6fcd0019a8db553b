// The layer `RankPass` of our own graphs: from one small space to the next, through channels that never exist in memory.
// docs/resident.md has the mathematics.
#pragma once

#include <vector>

#include <layer.h>

namespace bench {

// Parameters:   0 channels          of the wide space, C
//               1 rank              of the input: y = E z, E the first columns of the DCT basis of C; 0: the input is y itself
//               2 reduced           of the output: R y, R rows of the DCT basis of 3; 0: the output is the wide space itself
//               3 total, 4 first    R is that of `total` channels, of which these are the `channels` from `first` on
//               5 normalised        1: each channel by its own mean and variance over the image (InstanceNorm)
//               6 epsilon           of that
//               7 relu              1: after it
//               8 pooled            1: maximum of 2×2, stride 2, after it
//               9 vectors           how many blobs with `channels` values follow the first: 1 bias, 2 bias and scale
//              10 added             1: the last input is added to the output (concatenation is a sum of reductions)
//              11 weights           1: R is loaded, `reduced` × `channels`, instead
// Inputs: z (or y), then the vectors, then what is added.
class RankPass : public ncnn::Layer {
public:
    RankPass();

    int load_param(const ncnn::ParamDict& parameters) override;
    int load_model(const ncnn::ModelBin& weights) override;
    int forward(const std::vector<ncnn::Mat>& bottoms, std::vector<ncnn::Mat>& tops, const ncnn::Option& option) const override;

private:
    int channels_ = 0, rank_ = 0, reduced_ = 0, total_ = 0, first_ = 0, vectors_ = 0;
    float epsilon_ = 1e-5f;
    bool normalised_ = false, relu_ = false, pooled_ = false, added_ = false, loaded_ = false;
    std::vector<float> expand_;  // channels × rank
    std::vector<float> reduce_;  // channels × reduced
};

// For ncnn::Net::register_custom_layer.
ncnn::Layer* make_rank_pass(void*);

}  // namespace bench

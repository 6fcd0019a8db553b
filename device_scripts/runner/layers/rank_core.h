// The layer `RankCore` of our own graphs: a convolution of a few channels into a few, such as the one between two RankPass layers.
#pragma once

#include <vector>

#include <layer.h>

#include "layers/row_source.h"

namespace bench {

// Parameters are those of ncnn's Convolution: 0 outputs, 1 and 11 kernel, 2 and 12 dilation, 3 and 13 stride, 4 and 14 to 16
// padding with zeros, 6 number of weights; and 20: whether there is a second output with the moments of the first, 21: for how
// many channels the first has memory, at least, since others are to be written over it. No bias and no activation: those belong
// to the wide channels.
// It goes down the image by strips of a few rows. Its input is there for one strip at a time and is never unfolded: a kernel's
// column is the same row of memory from another pixel on. The result goes where the input of the pass before came from, if
// nothing else needs that.
class RankCore : public RowLayer {
public:
    RankCore();

    int load_param(const ncnn::ParamDict& parameters) override;
    int load_model(const ncnn::ModelBin& weights) override;
    bool takes_rows(size_t input) const override { return input == 0; }
    int forward(const std::vector<ncnn::Mat>& bottoms, std::vector<ncnn::Mat>& tops, const ncnn::Option& option) const override;

private:
    class Strip;

    int outputs_ = 0, inputs_ = 0, size_ = 0, room_ = 0;
    int kernel_w_ = 0, kernel_h_ = 0, dilation_w_ = 1, dilation_h_ = 1, stride_w_ = 1, stride_h_ = 1;
    int left_ = 0, right_ = 0, top_ = 0, bottom_ = 0;
    bool measures_ = false;
    std::vector<float> weight_;  // inputs × kernel_h × kernel_w × outputs
};

// For ncnn::Net::register_custom_layer.
ncnn::Layer* make_rank_core(void*);

}  // namespace bench

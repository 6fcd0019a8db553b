// The layer `RankUp` of our own graphs: a transposed convolution whose kernel is its stride, of a few channels into a few.
#pragma once

#include <vector>

#include <layer.h>

#include "layers/row_source.h"

namespace bench {

// Parameters are those of ncnn's Deconvolution: 0 outputs, 1 and 11 kernel and stride, 6 number of weights; and of its Padding:
// 20 to 23, rows of zeros above and below, columns at the left and at the right. Its output is deferred: see row_source.h. Its input
// never is: it reads a row again for each that it makes, and many of these with pooling between would never come to an end.
class RankUp : public RowLayer {
public:
    RankUp();

    int load_param(const ncnn::ParamDict& parameters) override;
    int load_model(const ncnn::ModelBin& weights) override;
    bool defers() const override { return true; }
    int forward(const std::vector<ncnn::Mat>& bottoms, std::vector<ncnn::Mat>& tops, const ncnn::Option& option) const override;

private:
    int outputs_ = 0, inputs_ = 0, size_ = 0, kernel_w_ = 0, kernel_h_ = 0;
    int above_ = 0, below_ = 0, left_ = 0, right_ = 0;
    std::vector<float> weight_;  // kernel_h × kernel_w × inputs × outputs
};

// For ncnn::Net::register_custom_layer.
ncnn::Layer* make_rank_up(void*);

}  // namespace bench

// A network that ncnn has loaded, and its inferences.
#pragma once

#include <string>

#include <net.h>

#include "job.h"
#include "samples.h"
#include "weights_source.h"

namespace bench {

// Throws Failure(unsupported) when neither this build nor this CPU can compute in that precision.
void expect_precision(Precision precision);

class Network {
public:
    // Loads graph and weights. Throws Failure.
    explicit Network(const Job& job);

    int64_t load_ns() const { return load_ns_; }
    const WeightsSource::Decoded* decoded() const { return weights_ ? weights_->decoded() : nullptr; }

    // A Mat of the right shape for samples, zeroed. Throws Failure(bad_samples) when the graph names another shape.
    ncnn::Mat make_input(const Samples& samples) const;

    // One inference as an application does it: a new extractor, the input, the output. Throws Failure(inference_failed).
    ncnn::Mat infer(const ncnn::Mat& input) const;

private:
    std::string input_, output_;
    int input_index_ = -1, output_index_ = -1, width_ = 0, height_ = 0, channels_ = 0;
    int64_t load_ns_ = 0;
    std::unique_ptr<WeightsSource> weights_;
    ncnn::Net net_;
};

}  // namespace bench

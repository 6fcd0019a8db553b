// A network that ncnn has loaded, and its inferences.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <allocator.h>
#include <net.h>

#include "contract/job.h"
#include "contract/samples.h"
#include "measure/session.h"
#include "ncnn/best_fit.h"
#include "ncnn/graph.h"
#include "ncnn/layerwise.h"
#include "ncnn/weights_source.h"

namespace bench {

// Throws Failure(unsupported) when neither this build nor this CPU can compute in that precision.
void expect_precision(Precision precision);

class Network {
public:
    // Loads graph and weights. `before` is the source of a network of the same files that is gone: what it has in memory need
    // not be read again. Throws Failure.
    explicit Network(const Job& job, std::unique_ptr<WeightsSource> before = nullptr);

    int64_t load_ns() const { return load_ns_; }
    const WeightsSource::Decoded* decoded() const { return weights_->decoded(); }
    const WeightsSource& weights() const { return *weights_; }
    // For the network that comes after this one, which can load no more.
    std::unique_ptr<WeightsSource> take_weights() { return std::move(weights_); }
    const Accelerator* accelerator() const { return accelerator_ ? &*accelerator_ : nullptr; }

    // One Mat for each input, zeroed. Throws Failure(bad_samples) when the graph names other shapes.
    std::vector<ncnn::Mat> make_inputs(const std::vector<InputShape>& shapes) const;

    // One inference as an application does it: a new extractor, the inputs, the outputs in the order of the job, in
    // float32. Inputs that are moved here are freed as soon as they are used. The answers may not outlive the network. Throws
    // Failure(inference_failed).
    std::vector<ncnn::Mat> infer(std::vector<ncnn::Mat> inputs) const;

    // The same layer by layer, when the job's mode is layers; `take` may be null.
    void infer_layers(const std::vector<ncnn::Mat>& inputs, bool timed, const Layerwise::Take& take);
    // Only when the mode is layers.
    Layerwise& layerwise() { return *layerwise_; }
    const Layerwise& layerwise() const { return *layerwise_; }

private:
    struct Blob {
        std::string name;
        int index;     // ncnn's
        size_t place;  // in the job
    };
    ncnn::Extractor extractor_of(const std::vector<ncnn::Mat>& inputs) const;
    ncnn::Mat answer(ncnn::Extractor& extractor, const Blob& output) const;
    Blob find(const std::string& name, size_t place) const;

    // Throws Failure(bad_graph) when a deferred blob is read anywhere but once, by a layer of ours that takes its rows, or is
    // made of too many others.
    void expect_readers() const;

    std::vector<Blob> inputs_, outputs_;
    std::map<std::string, Graph::Extents> extents_;
    int64_t load_ns_ = 0;
    std::optional<Accelerator> accelerator_;
    std::unique_ptr<WeightsSource> weights_;
    BestFit memory_;                         // of the blobs, outlives the net and every answer
    ncnn::PoolAllocator blobs_, workspace_;  // for layers
    ncnn::Net net_;
    std::unique_ptr<Layerwise> layerwise_;
};

}  // namespace bench

// ncnn's inferences layer by layer: in the order in which it executes them itself, each timed alone.
#pragma once

#include <functional>
#include <vector>

#include <net.h>

#include "measure/session.h"

namespace bench {

// What lies in a blob without packing, as the core reads it.
OutputMemory memory_of(const ncnn::Mat& blob);

class Layerwise {
public:
    // Of a network that stays, and those of its blobs that are asked for, in that order.
    Layerwise(const ncnn::Net& net, const std::vector<int>& outputs);

    // Takes an output, `place` among them, out of an extractor in which it is computed.
    using Answer = std::function<void(ncnn::Extractor&, size_t place)>;
    using Take = std::function<void(const OutputMemory&)>;

    // One inference by an extractor that has its inputs; `take` may be null. What lies between layers is freed when ncnn frees
    // it: nothing here holds a blob while a layer runs. Throws Failure(out_of_memory) or Failure(inference_failed).
    void infer(ncnn::Extractor& extractor, bool timed, const Answer& answer, const Take& take);

    size_t count() const { return steps_.size(); }

    // After an inference: the layers with their medians of those that were timed.
    std::vector<TimedLayer> layers();

private:
    struct Step {
        const ncnn::Layer* layer;
        std::vector<size_t> answers;  // places of its outputs among those that are asked for
        bool deferred;
        TimedLayer facts;
        std::vector<int64_t> ns;
    };
    void run(ncnn::Extractor& extractor, Step& step, bool timed, const Answer& answer) const;
    void describe(ncnn::Extractor& extractor, Step& step) const;
    // Its outputs that have values, those that are deferred and those that it did not make aside.
    void each(ncnn::Extractor& extractor, const Step& step, int type, const std::function<void(int blob, const ncnn::Mat&)>& see) const;

    const ncnn::Net& net_;
    std::vector<Step> steps_;
    bool described_ = false;
};

}  // namespace bench

#include "ncnn/layerwise.h"

#include <algorithm>
#include <utility>

#include "contract/process.h"
#include "layers/row_source.h"
#include "measure/loops.h"

namespace bench {
namespace {

constexpr int kAsIs = 1, kUnpacked = 0;  // how Extractor::extract hands out a blob

std::vector<int64_t> extents_of(const ncnn::Mat& blob) {
    std::vector<int64_t> extents;
    switch (blob.dims) {
        case 1: extents = {blob.w}; break;
        case 2: extents = {blob.h, blob.w}; break;
        case 3: extents = {blob.c, blob.h, blob.w}; break;
        default: extents = {blob.c, blob.d, blob.h, blob.w};
    }
    extents[0] *= blob.elempack;
    return extents;
}

// The layers that these blobs need, in the order in which ncnn comes to them: before a layer, what makes its inputs.
std::vector<int> order_of(const ncnn::Net& net, const std::vector<int>& outputs) {
    std::vector<int> order;
    std::vector<bool> met(net.layers().size(), false);
    struct Visit {
        int layer;
        size_t next;  // of its inputs
    };
    for (const int output : outputs) {
        std::vector<Visit> open{{net.blobs()[static_cast<size_t>(output)].producer, 0}};
        while (!open.empty()) {
            Visit& visit = open.back();
            const ncnn::Layer& layer = *net.layers()[static_cast<size_t>(visit.layer)];
            if (visit.next == 0 && met[static_cast<size_t>(visit.layer)]) {
                open.pop_back();
            } else if (visit.next < layer.bottoms.size()) {
                met[static_cast<size_t>(visit.layer)] = true;
                const int blob = layer.bottoms[visit.next++];
                const int producer = net.blobs()[static_cast<size_t>(blob)].producer;
                if (!met[static_cast<size_t>(producer)]) open.push_back({producer, 0});
            } else {
                met[static_cast<size_t>(visit.layer)] = true;
                if (layer.type != "Input") order.push_back(visit.layer);
                open.pop_back();
            }
        }
    }
    return order;
}

}  // namespace

OutputMemory memory_of(const ncnn::Mat& blob) {
    const size_t values = static_cast<size_t>(blob.w) * static_cast<size_t>(blob.h) * static_cast<size_t>(blob.d);
    return {blob, static_cast<size_t>(blob.c), values, blob.cstep * sizeof(float)};
}

Layerwise::Layerwise(const ncnn::Net& net, const std::vector<int>& outputs) : net_(net) {
    for (const int index : order_of(net, outputs)) {
        const ncnn::Layer* layer = net.layers()[static_cast<size_t>(index)];
        const auto* ours = dynamic_cast<const RowLayer*>(layer);
        Step step{layer, {}, ours && ours->defers(), {}, {}};
        for (size_t place = 0; place < outputs.size(); place++) {
            if (std::count(layer->tops.begin(), layer->tops.end(), outputs[place]) > 0) step.answers.push_back(place);
        }
        steps_.push_back(std::move(step));
    }
}

void Layerwise::run(ncnn::Extractor& extractor, Step& step, bool timed, const Answer& answer) const {
    const int64_t start = now_ns();
    int status = 0;
    {
        ncnn::Mat blob;
        if (!step.layer->tops.empty()) status = extractor.extract(step.layer->tops[0], blob, kAsIs);
    }
    if (status == 0) {
        for (const size_t place : step.answers) answer(extractor, place);
    }
    if (timed) step.ns.push_back(now_ns() - start);
    if (status == 0) return;
    const std::string& name = step.facts.name.empty() ? step.layer->type : step.facts.name;
    if (status == kOutOfMemory) throw Failure(Exit::out_of_memory, "not enough memory to compute the layer " + name);
    throw Failure(Exit::inference_failed, "ncnn cannot compute the layer " + name + " from this input");
}

void Layerwise::each(
    ncnn::Extractor& extractor, const Step& step, int type, const std::function<void(int blob, const ncnn::Mat&)>& see) const {
    const std::vector<int>& tops = step.layer->tops;
    for (size_t i = step.deferred ? 1 : 0; i < tops.size(); i++) {
        ncnn::Mat blob;
        if (extractor.extract(tops[i], blob, type) == kOutOfMemory) {
            throw Failure(Exit::out_of_memory, "not enough memory to read the layer " + step.facts.name);
        }
        if (!blob.empty()) see(tops[i], blob);
    }
}

void Layerwise::describe(ncnn::Extractor& extractor, Step& step) const {
    const auto name_of = [this](int blob) { return net_.blobs()[static_cast<size_t>(blob)].name; };
    step.facts = {step.layer->name, step.layer->type, {}, {}, 0, -1, 0, -1, step.deferred};
    for (const int blob : step.layer->bottoms) step.facts.inputs.push_back(name_of(blob));
    each(extractor, step, kAsIs, [&](int blob, const ncnn::Mat& values) {
        step.facts.outputs.push_back({name_of(blob), extents_of(values)});
        step.facts.bytes += static_cast<int64_t>(values.total() * values.elemsize);
    });
}

void Layerwise::infer(ncnn::Extractor& extractor, bool timed, const Answer& answer, const Take& take) {
    for (Step& step : steps_) {
        run(extractor, step, timed, answer);
        if (!described_) describe(extractor, step);
        if (!take) continue;
        each(extractor, step, kUnpacked, [&](int, const ncnn::Mat& values) { take(memory_of(values)); });
    }
    described_ = true;
}

std::vector<TimedLayer> Layerwise::layers() {
    std::vector<TimedLayer> found;
    for (Step& step : steps_) {
        if (!step.ns.empty()) step.facts.ns = median(step.ns);
        found.push_back(step.facts);
    }
    return found;
}

}  // namespace bench

#include "ncnn/network.h"

#include <algorithm>

#include <cpu.h>
#include <datareader.h>

#include "contract/guard.h"
#include "contract/process.h"
#include "layers/low_rank_pass.h"
#include "layers/rank_core.h"
#include "layers/rank_pass.h"
#include "layers/rank_split.h"
#include "layers/rank_up.h"
#include "layers/row_source.h"
#include "ncnn/gpu.h"

namespace bench {
namespace {

ncnn::Option options_for(const Job& job) {
    ncnn::Option options;
    const bool half_storage = job.precision == Precision::fp16s || job.precision == Precision::fp16a;
    options.num_threads = job.threads;
    options.use_fp16_packed = half_storage;
    options.use_fp16_storage = half_storage;
    options.use_fp16_arithmetic = job.precision == Precision::fp16a;
    options.use_bf16_packed = false;
    options.use_bf16_storage = job.precision == Precision::bf16;
    options.use_int8_inference = job.precision == Precision::int8;
    options.use_int8_packed = job.precision == Precision::int8;
    options.use_int8_storage = job.precision == Precision::int8;
    options.use_int8_arithmetic = job.precision == Precision::int8;
    return options;
}

bool differs(int named, int given) { return named != 0 && named != given; }

// Without values: rank 1 is a row of them, and so on to rank 4, planes of depth × height × width.
ncnn::Mat mat_of(const InputShape& shape) {
    const std::vector<int>& n = shape.extents;
    switch (n.size()) {
        case 1: return ncnn::Mat(n[0]);
        case 2: return ncnn::Mat(n[1], n[0]);
        case 3: return ncnn::Mat(n[2], n[1], n[0]);
        default: return ncnn::Mat(n[3], n[2], n[1], n[0]);
    }
}

}  // namespace

// Half storage without half arithmetic in the CPU exists in ncnn for single layers only (VFPv4); the others would compute
// in float32 and nobody would know.
void expect_precision(Precision precision) {
    if (precision != Precision::fp16s && precision != Precision::fp16a) return;
#if NCNN_ARM82
    if (ncnn::cpu_support_arm_asimdhp()) return;
#endif
    throw Failure(Exit::unsupported, "half precision (ARMv8.2 FP16) is not in this CPU or this build");
}

Network::Network(const Job& job, std::unique_ptr<WeightsSource> before) {
    const int64_t start = now_ns();
    enter_phase(Exit::bad_graph, "reading the graph");
    Graph graph(job.graph, job.inputs, job.outputs);
    enter_phase(Exit::bad_weights, "reading the weights");
    weights_ = open_weights(job, graph, before.get());
    before.reset();

    net_.opt = options_for(job);
    use_gpu(net_);
    enter_phase(Exit::bad_graph, "preparing the graph");
    // Where blobs are few and small, what a pool keeps beside them is most of the memory.
    const bool has_passes = graph.text.find("\nLowRankPass ") != std::string::npos;
    if (job.execution == Execution::resident || has_passes) net_.opt.blob_allocator = net_.opt.workspace_allocator = &memory_;
    // Of its own pools ncnn copies all that is taken out, also what only lies between two layers. So layers are timed in two
    // that are the same but ours, and only answers are copied.
    if (job.mode == Mode::layers && !net_.opt.blob_allocator) {
        blobs_.set_size_compare_ratio(0.f);
        workspace_.set_size_compare_ratio(0.f);
        net_.opt.blob_allocator = &blobs_;
        net_.opt.workspace_allocator = &workspace_;
    }
    const auto* text = reinterpret_cast<const unsigned char*>(graph.text.c_str());  // ncnn wants its null at the end
    const ncnn::DataReaderFromMemory reader(text, graph.text.size());
    net_.register_custom_layer("LowRankPass", make_low_rank_pass);
    net_.register_custom_layer("RankCore", make_rank_core);
    net_.register_custom_layer("RankPass", make_rank_pass);
    net_.register_custom_layer("RankSplit", make_rank_split);
    net_.register_custom_layer("RankUp", make_rank_up);
    if (net_.load_param(reader) != 0) {
        throw Failure(Exit::bad_graph, job.graph + ": ncnn refuses it; its own words are on standard error");
    }
    for (const std::string& name : job.inputs) inputs_.push_back(find(name, inputs_.size()));
    for (const std::string& name : job.outputs) outputs_.push_back(find(name, outputs_.size()));
    // ncnn keeps an output that was asked for, and forgets what it has used up: so those that others are made of come first.
    std::sort(outputs_.begin(), outputs_.end(), [](const Blob& a, const Blob& b) { return a.index < b.index; });
    extents_ = std::move(graph.inputs);
    expect_readers();

    enter_phase(Exit::bad_weights, "loading the weights");
    const int status = net_.load_model(*weights_);
    weights_->finish(status == 0);
    if (status != 0) {
        throw Failure(Exit::bad_graph, job.graph + ": ncnn cannot prepare it for these weights; its own words are on standard error");
    }
    if (job.precision == Precision::int8 && !weights_->has_int8()) {
        throw Failure(Exit::unsupported, "the network has no int8 weights");
    }
    if (job.mode == Mode::layers) {
        std::vector<int> wanted;
        for (const Blob& output : outputs_) wanted.push_back(output.index);
        layerwise_ = std::make_unique<Layerwise>(net_, wanted);
    }
    accelerator_ = accelerator_of(net_);
    load_ns_ = now_ns() - start;
}

void Network::expect_readers() const {
    constexpr int kDeepest = 64;  // each makes its rows inside the one before, on the stack of a thread
    struct Promise {
        int depth = 0, readers = 0;  // depth 0: an ordinary blob
    };
    std::vector<Promise> promises(net_.blobs().size());
    const auto refuse = [this](size_t blob, const char* why) {
        throw Failure(Exit::bad_graph, "the blob " + net_.blobs()[blob].name + " is deferred, and " + why);
    };
    // Not Blob::consumer, which is the last of them only. Layers come after those whose blobs they read.
    for (const ncnn::Layer* layer : net_.layers()) {
        const auto* ours = dynamic_cast<const RowLayer*>(layer);
        int deepest = 0;
        for (size_t i = 0; i < layer->bottoms.size(); i++) {
            const size_t blob = static_cast<size_t>(layer->bottoms[i]);
            if (promises[blob].depth == 0) continue;
            if (!ours || !ours->takes_rows(i)) refuse(blob, "what reads it cannot make its rows");
            promises[blob].readers++;
            deepest = std::max(deepest, promises[blob].depth);
        }
        if (!ours || !ours->defers() || layer->tops.empty()) continue;
        const size_t made = static_cast<size_t>(layer->tops[0]);
        promises[made].depth = deepest + 1;
        if (deepest == kDeepest) refuse(made, "so are too many that it is made of");
    }
    for (const Blob& output : outputs_) {
        if (promises[static_cast<size_t>(output.index)].depth > 0) refuse(static_cast<size_t>(output.index), "the job asks for its values");
    }
    for (size_t i = 0; i < promises.size(); i++) {
        if (promises[i].depth > 0 && promises[i].readers != 1) refuse(i, "not read exactly once");
    }
}

Network::Blob Network::find(const std::string& name, size_t place) const {
    const std::vector<ncnn::Blob>& blobs = net_.blobs();
    for (size_t i = 0; i < blobs.size(); i++) {
        if (blobs[i].name == name) return {name, static_cast<int>(i), place};
    }
    throw Failure(Exit::bad_graph, "ncnn does not know the blob " + name);
}

std::vector<ncnn::Mat> Network::make_inputs(const std::vector<InputShape>& shapes) const {
    if (shapes.size() != inputs_.size()) {
        throw Failure(Exit::bad_samples,
                      "samples of " + std::to_string(shapes.size()) + " inputs for a job of " + std::to_string(inputs_.size()));
    }
    std::vector<ncnn::Mat> mats;
    for (size_t i = 0; i < shapes.size(); i++) {
        ncnn::Mat mat = mat_of(shapes[i]);
        const Graph::Extents& named = extents_.at(inputs_[i].name);
        if (differs(named.channels, mat.c) || differs(named.depth, mat.d) || differs(named.height, mat.h) || differs(named.width, mat.w)) {
            std::string wanted;
            for (const int extent : {named.channels, named.depth, named.height, named.width}) {
                if (extent != 0) wanted += (wanted.empty() ? "" : "×") + std::to_string(extent);
            }
            throw Failure(Exit::bad_samples,
                          "samples of " + shapes[i].words() + " for the input " + inputs_[i].name + ", which takes " + wanted);
        }
        mat.fill(0.0f);
        mats.push_back(std::move(mat));
    }
    return mats;
}

ncnn::Extractor Network::extractor_of(const std::vector<ncnn::Mat>& inputs) const {
    ncnn::Extractor extractor = net_.create_extractor();
    for (const Blob& input : inputs_) {
        if (extractor.input(input.index, inputs[input.place]) != 0) {
            throw Failure(Exit::inference_failed, "ncnn does not take the input " + input.name);
        }
    }
    return extractor;
}

ncnn::Mat Network::answer(ncnn::Extractor& extractor, const Blob& output) const {
    ncnn::Mat answer;
    const int status = extractor.extract(output.index, answer);
    if (status == 0 && answer.allocator == &blobs_) answer = answer.clone();  // as ncnn does
    if (status == kOutOfMemory) throw Failure(Exit::out_of_memory, "not enough memory to compute " + output.name);
    if (status != 0) {
        throw Failure(Exit::inference_failed, "ncnn cannot compute " + output.name + " from this input");
    }
    if (answer.empty() || answer.elempack != 1 || answer.elemsize != sizeof(float)) {
        throw Failure(Exit::inference_failed, "the output " + output.name + " is not float32");
    }
    return answer;
}

std::vector<ncnn::Mat> Network::infer(std::vector<ncnn::Mat> inputs) const {
    ncnn::Extractor extractor = extractor_of(inputs);
    inputs.clear();
    std::vector<ncnn::Mat> answers(outputs_.size());
    for (const Blob& output : outputs_) answers[output.place] = answer(extractor, output);
    return answers;
}

void Network::infer_layers(const std::vector<ncnn::Mat>& inputs, bool timed, const Layerwise::Take& take) {
    ncnn::Extractor extractor = extractor_of(inputs);
    std::vector<ncnn::Mat> answers(outputs_.size());  // kept until the end, as an application does
    layerwise_->infer(
        extractor, timed, [&](ncnn::Extractor& from, size_t place) { answers[place] = answer(from, outputs_[place]); }, take);
}

}  // namespace bench

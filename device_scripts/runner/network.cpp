#include "network.h"

#include <cpu.h>
#include <datareader.h>

#include "graph.h"
#include "guard.h"
#include "process.h"
#include "rank_core.h"
#include "rank_pass.h"

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

int index_of(const ncnn::Net& net, const std::string& blob) {
    const std::vector<ncnn::Blob>& blobs = net.blobs();
    for (size_t i = 0; i < blobs.size(); i++) {
        if (blobs[i].name == blob) return static_cast<int>(i);
    }
    throw Failure(Exit::bad_graph, "ncnn does not know the blob " + blob);
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

Network::Network(const Job& job) : input_(job.input), output_(job.output) {
    const int64_t start = now_ns();
    enter_phase(Exit::bad_graph, "reading the graph");
    Graph graph(job.graph, job.input, job.output);
    enter_phase(Exit::bad_weights, "reading the weights");
    weights_ = open_weights(job, graph.text);

    enter_phase(Exit::bad_graph, "preparing the graph");
    net_.opt = options_for(job);
    const auto* text = reinterpret_cast<const unsigned char*>(graph.text.c_str());  // ncnn wants its null at the end
    const ncnn::DataReaderFromMemory reader(text, graph.text.size());
    net_.register_custom_layer("RankCore", make_rank_core);
    net_.register_custom_layer("RankPass", make_rank_pass);
    if (net_.load_param(reader) != 0) {
        throw Failure(Exit::bad_graph, job.graph + ": ncnn refuses it; its own words are on standard error");
    }
    input_index_ = index_of(net_, input_);
    output_index_ = index_of(net_, output_);
    width_ = graph.width;
    height_ = graph.height;
    channels_ = graph.channels;

    enter_phase(Exit::bad_weights, "loading the weights");
    const int status = net_.load_model(*weights_);
    weights_->finish(status == 0);
    if (status != 0) {
        throw Failure(Exit::bad_graph, job.graph + ": ncnn cannot prepare it for these weights; its own words are on standard error");
    }
    if (job.precision == Precision::int8 && !weights_->has_int8()) {
        throw Failure(Exit::unsupported, "the network has no int8 weights");
    }
    load_ns_ = now_ns() - start;
}

ncnn::Mat Network::make_input(const Samples& samples) const {
    const auto differs = [](int named, int given) { return named != 0 && named != given; };
    if (differs(channels_, samples.channels()) || differs(height_, samples.height()) || differs(width_, samples.width())) {
        const auto words = [](int c, int h, int w) { return std::to_string(c) + "×" + std::to_string(h) + "×" + std::to_string(w); };
        throw Failure(Exit::bad_samples, "samples of " + words(samples.channels(), samples.height(), samples.width()) +
                                             " for a graph that takes " + words(channels_, height_, width_));
    }
    ncnn::Mat input(samples.width(), samples.height(), samples.channels());
    input.fill(0.0f);
    return input;
}

ncnn::Mat Network::infer(const ncnn::Mat& input) const {
    ncnn::Extractor extractor = net_.create_extractor();
    ncnn::Mat output;
    if (extractor.input(input_index_, input) != 0 || extractor.extract(output_index_, output) != 0) {
        throw Failure(Exit::inference_failed, "ncnn cannot compute " + output_ + " from this input");
    }
    if (output.empty() || output.elempack != 1 || output.elemsize != sizeof(float)) {
        throw Failure(Exit::inference_failed, "the blob " + output_ + " is not float32");
    }
    return output;
}

}  // namespace bench

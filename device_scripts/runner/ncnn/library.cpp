// ncnn as the library that the runner is linked with.

#include <algorithm>
#include <cstdlib>
#include <memory>
#include <optional>
#include <utility>

#include <cpu.h>

#include "contract/process.h"
#include "elm/train.h"
#include "measure/session.h"
#include "ncnn/gpu.h"
#include "ncnn/kernels.h"
#include "ncnn/network.h"

namespace bench {
namespace {

class NcnnSession : public Session {
public:
    explicit NcnnSession(const Job& job) : job_(job), network_(std::make_unique<Network>(job)) {
        if (const auto* decoded = network_->decoded()) decoding_ = Decoding{decoded->ns, decoded->coefficients, decoded->values};
        if (job_.capacity == 0) job_.capacity = capacities();
    }

    int64_t load_ns() const override { return network_->load_ns(); }
    const Decoding* decoding() const override { return decoding_ ? &*decoding_ : nullptr; }
    const Accelerator* accelerator() const override { return network_->accelerator(); }
    void make_inputs(const std::vector<InputShape>& shapes) override { inputs_ = network_->make_inputs(shapes); }

    std::vector<InputMemory> inputs() override {
        std::vector<InputMemory> memory;
        for (ncnn::Mat& input : inputs_) memory.push_back({input.data, input.cstep * sizeof(float)});
        return memory;
    }

    void infer(bool last) override { answers_ = network_->infer(last ? std::move(inputs_) : inputs_); }

    std::vector<OutputMemory> outputs() const override {
        std::vector<OutputMemory> memory;
        for (const ncnn::Mat& answer : answers_) memory.push_back(memory_of(answer));
        return memory;
    }

    int capacities() const override { return std::max(1, network_->weights().capacities()); }
    int capacity() const override { return std::max(1, job_.capacity); }
    int64_t capacity_bytes(int capacity) const override { return network_->weights().capacity_bytes(capacity); }
    int64_t loaded_bytes() const override {
        return network_->weights().loaded_bytes(job_.capacity > 0 ? job_.capacity : capacities());
    }
    int64_t use_capacity(int capacity) override {
        if (network_->weights().capacities() == 0 || capacity < 1 || capacity > capacities()) return Session::use_capacity(capacity);
        const int64_t paged = network_->weights().paged_bytes(job_.capacity, capacity);
        if (graph_.empty()) graph_ = job_.graph;
        const auto own = job_.graphs.find(capacity);
        job_.graph = own == job_.graphs.end() ? graph_ : own->second;
        job_.capacity = capacity;
        answers_.clear();
        std::unique_ptr<WeightsSource> weights = network_->take_weights();
        network_.reset();  // first: never are both in memory
        network_ = std::make_unique<Network>(job_, std::move(weights));
        return paged;
    }

    void infer_layers(bool timed) override { network_->infer_layers(inputs_, timed, nullptr); }
    size_t layer_count() const override { return network_->layerwise().count(); }
    std::vector<TimedLayer> layers(size_t) override { return network_->layerwise().layers(); }
    void answer_layers(const std::function<void(const OutputMemory&)>& take) override { network_->infer_layers(inputs_, false, take); }

private:
    Job job_;
    std::string graph_;  // what the job named, after a switch
    std::unique_ptr<Network> network_;  // outlives the answers
    std::optional<Decoding> decoding_;
    std::vector<ncnn::Mat> inputs_, answers_;
};

class Ncnn : public Library {
public:
    std::string name() const override { return "ncnn " NCNN_VERSION_STRING; }
    std::vector<std::string> kernels_built() const override { return kernels().built; }
    std::vector<std::string> kernels_used() const override { return kernels().used; }
    void expect(const Job& job) const override {
        expect_gpu_can(job);
        expect_precision(job.precision);
    }

    std::unique_ptr<Session> open(const Job& job) const override {
        // ncnn makes its pool as large, whatever it is asked for.
        if (job.threads > 1) expect_threads(ncnn::get_cpu_count());
        return std::make_unique<NcnnSession>(job);
    }

    void learn(const Job& job) const override { train(job); }
};

}  // namespace

std::unique_ptr<Library> open_library(const std::vector<std::string>& named) {
    if (!named.empty()) throw Failure(Exit::bad_job, "this program has ncnn in it, and loads no backend");
    return std::make_unique<Ncnn>();
}

}  // namespace bench

#include "measure/cascade.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <string>
#include <utility>

namespace bench {
namespace {

const float* plane_of(const OutputMemory& scores, size_t plane) {
    const auto* bytes = reinterpret_cast<const uint8_t*>(scores.data);
    return reinterpret_cast<const float*>(bytes + plane * scores.plane_step);
}

// The job of the small network: its own files, and all outputs but the last, which the cascade itself gives.
Job small_job(const Job& job) {
    Job small = job;
    small.graph = job.small_graph;
    small.weights = job.small_weights;
    small.weights_format = WeightsFormat::runtime;
    small.execution = Execution::stock;
    small.outputs.pop_back();
    return small;
}

Job robust_job(const Job& job) {
    Job robust = job;
    robust.outputs.pop_back();
    return robust;
}

class Cascade : public Session {
public:
    Cascade(const Library& library, const Job& job)
        : threshold_(job.threshold),
          temperature_(job.temperature),
          small_(library.open(small_job(job))),
          robust_(library.open(robust_job(job))) {
        merge_accelerators();
    }

    int64_t load_ns() const override { return small_->load_ns() + robust_->load_ns(); }
    const Decoding* decoding() const override { return robust_->decoding(); }
    const Accelerator* accelerator() const override { return accelerator_.get(); }

    void make_inputs(const std::vector<InputShape>& shapes) override {
        small_->make_inputs(shapes);
        robust_->make_inputs(shapes);
        shapes_ = shapes;
    }
    std::vector<InputMemory> inputs() override { return small_->inputs(); }

    void infer(bool last) override {
        small_->infer(false);  // its input is still to be copied
        const std::vector<OutputMemory> answers = small_->outputs();
        if (answers[0].values() < 2) throw Failure(Exit::unsupported, "a cascade needs the scores of two classes or more");
        // Not `<`: where the confidence is not a number, the robust one is asked.
        asked_ = !(confidence_of(answers[0], temperature_) >= threshold_) ? 1.0f : 0.0f;
        if (asked_ == 0.0f) return;
        copy_inputs();
        robust_->infer(last);
    }

    // The small one was opened first, so it can tell the threads of both from those that were there before.
    void expect_as_asked(int sessions) const override { small_->expect_as_asked(2 * sessions); }

    int asked() const override { return asked_ != 0.0f ? 1 : 0; }

    std::vector<OutputMemory> outputs() const override {
        std::vector<OutputMemory> memory = asked_ != 0.0f ? robust_->outputs() : small_->outputs();
        memory.push_back({&asked_, 1, 1, sizeof asked_});
        return memory;
    }

    void infer_layers(bool) override {
        throw Failure(Exit::unsupported,
                      "which layers a cascade executes depends on the sample: time those of its two networks by themselves");
    }

private:
    void copy_inputs() {
        const std::vector<InputMemory> from = small_->inputs(), to = robust_->inputs();
        for (size_t i = 0; i < shapes_.size(); i++) {
            const size_t bytes = shapes_[i].values() / shapes_[i].planes() * sizeof(float);
            for (size_t plane = 0; plane < shapes_[i].planes(); plane++) {
                std::memcpy(static_cast<uint8_t*>(to[i].data) + plane * to[i].plane_step,
                            static_cast<const uint8_t*>(from[i].data) + plane * from[i].plane_step, bytes);
            }
        }
    }

    void merge_accelerators() {
        const Accelerator *small = small_->accelerator(), *robust = robust_->accelerator();
        if (!small || !robust) return;
        accelerator_ = std::make_unique<Accelerator>(*robust);
        accelerator_->layers += small->layers;
        accelerator_->elsewhere.insert(accelerator_->elsewhere.end(), small->elsewhere.begin(), small->elsewhere.end());
    }

    const double threshold_, temperature_;
    std::unique_ptr<Session> small_, robust_;
    std::unique_ptr<Accelerator> accelerator_;
    std::vector<InputShape> shapes_;
    float asked_ = 0.0f;
};

}  // namespace

double confidence_of(const OutputMemory& scores, double temperature) {
    double largest = -std::numeric_limits<double>::infinity();
    for (size_t plane = 0; plane < scores.planes; plane++) {
        const float* values = plane_of(scores, plane);
        for (size_t i = 0; i < scores.plane_values; i++) largest = std::max(largest, static_cast<double>(values[i]));
    }
    double sum = 0;
    for (size_t plane = 0; plane < scores.planes; plane++) {
        const float* values = plane_of(scores, plane);
        for (size_t i = 0; i < scores.plane_values; i++) sum += std::exp((static_cast<double>(values[i]) - largest) / temperature);
    }
    return 1 / sum;
}

std::unique_ptr<Session> open_session(const Library& library, const Job& job) {
    if (job.small_graph.empty()) return library.open(job);
    return std::make_unique<Cascade>(library, job);
}

}  // namespace bench

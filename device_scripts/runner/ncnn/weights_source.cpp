#include "ncnn/weights_source.h"

#include <cstring>
#include <functional>
#include <memory>
#include <vector>

#include "contract/process.h"
#include "elm/package.h"
#include "ncnn/factor.h"
#include "nested/stream.h"
#include "weights/dct.h"
#include "weights/frq.h"
#include "weights/widened.h"

namespace bench {
namespace {

constexpr uint32_t kFloat32Flag = 0;        // ModelBin::load type 0: float32 values follow
constexpr uint32_t kInt8Flag = 0x000D4B38;  // the same for int8 weights
constexpr uint64_t kLargestPackage = 0x7FFFFFFF;

// An ordinary ncnn .bin file, read front to back; int8 weights of layers that compute in float are widened.
class NcnnFile : public WeightsSource {
public:
    NcnnFile(const std::string& path, bool int8_wanted, std::vector<size_t> int8)
        : file_(path), int8_wanted_(int8_wanted), int8_(std::move(int8)) {}

    bool has_int8() const override { return has_int8_; }

protected:
    void serve(void* buffer, size_t size) override {
        if (widened_) {
            if (size % sizeof(float) != 0) refuse("the graph asks for half a weight");
            offset_ = widened_->write(file_, static_cast<float*>(buffer), size / sizeof(float));
            widened_.reset();
            return;
        }
        if (integer_) expect_int8(size);
        if (!file_.read_at(offset_, buffer, size)) refuse("it ends too early for this graph");
        offset_ += size;
        uint32_t flag = 0;
        if (integer_ || size != sizeof flag) {
            integer_ = false;
            return;
        }
        std::memcpy(&flag, buffer, sizeof flag);
        if (flag == kWidenedFlag) {
            widened_ = std::make_unique<Widened>(file_, offset_);
            std::memcpy(buffer, &kFloat32Flag, sizeof kFloat32Flag);
        } else if (flag == kInt8Flag) {
            integer_ = has_int8_ = true;
            if (!int8_wanted_) {
                throw Failure(Exit::unsupported, "the network has int8 weights, so its precision can only be int8");
            }
        }
    }

    std::string left_over() const override {
        if (next_int8_ != int8_.size() && has_int8_) return file_.path() + ": not all layers that compute in int8 have int8 weights";
        if (offset_ == file_.size()) return "";
        return file_.path() + ": the graph uses " + std::to_string(offset_) + " of its " + std::to_string(file_.size()) + " bytes";
    }

private:
    [[noreturn]] void refuse(const std::string& why) const { throw Failure(Exit::bad_weights, file_.path() + ": " + why); }

    // ncnn believes the flag: a layer that computes in float would read past the end of int8 weights.
    void expect_int8(size_t size) {
        if (next_int8_ == int8_.size() || size != (int8_[next_int8_] + 3) / 4 * 4) {
            refuse("int8 weights for a layer that does not compute in int8");
        }
        next_int8_++;
    }

    File file_;
    uint64_t offset_ = 0;
    bool int8_wanted_, has_int8_ = false;
    bool integer_ = false;              // the weights that come next are in int8
    std::unique_ptr<Widened> widened_;  // those that come next, of a layer that computes in float
    std::vector<size_t> int8_;          // of the graph
    size_t next_int8_ = 0;
};

// One run of floats that ncnn will ask for at once, with a flag word before it unless it is a bias or norm parameter.
struct Blob {
    bool flagged;
    size_t size;  // floats
    std::function<void(float*)> write;
};

void copy_raw(const FrqTensor& tensor, float* to) {
    if (!tensor.transposed) {
        for (uint32_t i = 0; i < tensor.size; i++) to[i] = tensor.value(i);
        return;
    }
    const uint32_t in = static_cast<uint32_t>(tensor.shape[0]), out = static_cast<uint32_t>(tensor.shape[1]);
    const uint32_t kernel = tensor.size / in / out;
    for (uint32_t o = 0; o < out; o++) {
        for (uint32_t i = 0; i < in; i++) {
            for (uint32_t k = 0; k < kernel; k++) *to++ = tensor.value((i * out + o) * kernel + k);
        }
    }
}

// The byte stream that a .bin file with the decoded weights would have. ncnn reads a blob straight into the memory it
// keeps it in, so that is where it is decoded: no second copy, and no more than one blob at a time.
class FrqStream : public WeightsSource {
public:
    FrqStream(const Job& job, std::string& graph)
        : started_(now_ns()),
          package_(read_whole(job.weights, kLargestPackage, Exit::bad_weights), job.weights),
          tensors_(tensors_of(package_, job)),
          path_(job.weights),
          resident_(job.execution == Execution::resident),
          factored_(job.execution == Execution::factored ? factor(graph, tensors_) : std::vector<bool>(tensors_.size(), false)) {
        decoded_.ns = now_ns() - started_;
    }

    int capacities() const override { return package_.capacities() > 1 ? package_.capacities() : 0; }
    int64_t capacity_bytes(int capacity) const override { return package_.bytes_of(capacity); }
    int64_t paged_bytes(int from, int to) const override { return package_.bytes_between(from, to); }
    const Decoded* decoded() const override { return &decoded_; }

protected:
    void serve(void* buffer, size_t size) override {
        const int64_t start = now_ns();
        if (next_blob_ == blobs_.size()) open_next_tensor();
        if (flag_sent_ && size != blobs_[next_blob_].size * sizeof(float)) take_parts(size);
        const Blob& blob = blobs_[next_blob_];
        if (blob.flagged && !flag_sent_) {
            if (size != sizeof kFloat32Flag) refuse("weights", "a vector");
            std::memcpy(buffer, &kFloat32Flag, sizeof kFloat32Flag);
            flag_sent_ = true;
        } else {
            if (blob.size > SIZE_MAX / sizeof(float)) {
                throw Failure(Exit::out_of_memory, path_ + ": a weight of " + std::to_string(blob.size) + " values");
            }
            if (size != blob.size * sizeof(float)) {
                refuse(std::to_string(blob.size) + " values", std::to_string(size / sizeof(float)));
            }
            blob.write(static_cast<float*>(buffer));
            decoded_.values += static_cast<int64_t>(blob.size);
            flag_sent_ = false;
            next_blob_++;
        }
        decoded_.ns += now_ns() - start;
    }

    std::string left_over() const override {
        const size_t count = tensors_.size();
        if (next_tensor_ == count && next_blob_ == blobs_.size() && !flag_sent_) return "";
        return path_ + ": the graph does not use all of its " + std::to_string(count) + " tensors";
    }

private:
    static std::vector<FrqTensor> tensors_of(const FrqPackage& package, const Job& job) {
        const int largest = package.capacities(), capacity = job.capacity == 0 ? largest : job.capacity;
        if (capacity > largest) {
            throw Failure(Exit::bad_job, "capacity = " + std::to_string(capacity) + ": the network has " + std::to_string(largest));
        }
        return package.at(capacity);
    }

    [[noreturn]] void refuse(const std::string& given, const std::string& wanted) const {
        throw Failure(Exit::bad_weights,
                      path_ + ": tensor " + std::to_string(next_tensor_ - 1) + " gives " + given + " where the graph asks for " + wanted);
    }

    // A resident graph has some layers on the core alone and some as three; how many values it asks for tells which.
    void take_parts(size_t size) {
        if (!parts_ || next_blob_ != 0) return;
        if (size == parts_->spatial_core_size() * sizeof(float)) {
            blobs_ = {core_of(parts_)};
        } else if (size == parts_->factor_size(1) * sizeof(float)) {
            blobs_ = three_of(parts_);
        }
    }

    static Blob core_of(const std::shared_ptr<const Core>& core) {
        return {true, core->spatial_core_size(), [core](float* to) { core->decode_spatial_core(to); }};
    }

    static std::vector<Blob> three_of(const std::shared_ptr<const Core>& core) {
        return {{true, core->factor_size(1), [core](float* to) { core->write_in_factor(to); }},
                core_of(core),
                {true, core->factor_size(0), [core](float* to) { core->write_out_factor(to); }}};
    }

    void open_next_tensor() {
        if (next_tensor_ == tensors_.size()) {
            throw Failure(Exit::bad_weights, path_ + ": the graph asks for more than its " + std::to_string(next_tensor_) + " tensors");
        }
        const FrqTensor& tensor = tensors_[next_tensor_++];
        blobs_.clear();
        parts_.reset();
        next_blob_ = 0;
        if (tensor.kind == FrqTensor::Kind::raw) {
            blobs_.push_back({!tensor.vector, tensor.size, [&tensor](float* to) { copy_raw(tensor, to); }});
            return;
        }
        decoded_.coefficients += tensor.kept;
        const auto core = std::make_shared<const Core>(tensor);
        if (factored_[next_tensor_ - 1]) {
            blobs_ = three_of(core);
        } else {
            blobs_.push_back({true, core->dense_size(), [core](float* to) { core->decode_dense(to); }});
            if (resident_) parts_ = core;
        }
    }

    int64_t started_;
    FrqPackage package_;
    std::vector<FrqTensor> tensors_;  // of the job's capacity
    std::string path_;
    bool resident_;
    std::vector<bool> factored_;  // by tensor
    Decoded decoded_;
    std::vector<Blob> blobs_;            // of the tensor before next_tensor_
    std::shared_ptr<const Core> parts_;  // of the same, for a graph that asks for them instead
    size_t next_tensor_ = 0, next_blob_ = 0;
    bool flag_sent_ = false;
};

// A random layer as it is made of its seed, and the output weights behind it: what a .bin file with both would have.
class ElmStream : public WeightsSource {
public:
    explicit ElmStream(const std::string& path)
        : started_(now_ns()), package_(read_elm(read_whole(path, kLargestPackage, Exit::bad_weights), path)), path_(path) {
        const size_t hidden = static_cast<size_t>(package_.hidden.inputs);
        sizes_ = {kFlag, hidden * package_.neurons * sizeof(float), package_.neurons * sizeof(float), kFlag, package_.stored.size() * sizeof(float)};
        decoded_.coefficients = static_cast<int64_t>(package_.stored.size());
        decoded_.ns = now_ns() - started_;
    }

    const Decoded* decoded() const override { return &decoded_; }

protected:
    void serve(void* buffer, size_t size) override {
        const int64_t start = now_ns();
        if (next_ == sizes_.size()) refuse("the graph asks for more than its two layers");
        if (size != sizes_[next_]) {
            refuse("the graph asks for " + std::to_string(size) + " bytes where it gives " + std::to_string(sizes_[next_]));
        }
        auto* to = static_cast<float*>(buffer);
        const HiddenLayer& layer = package_.hidden;
        switch (next_++) {
            case 0:
            case 3: std::memcpy(buffer, &kFloat32Flag, sizeof kFloat32Flag); break;
            case 1:
                for (uint64_t m = 0; m < package_.neurons; m++) {
                    for (uint64_t k = 0; k < layer.inputs; k++) *to++ = layer.weight(k, m);
                }
                break;
            case 2:
                for (uint64_t m = 0; m < package_.neurons; m++) *to++ = layer.bias(m);
                break;
            default: {
                const std::vector<float> weights = package_.output_weights();
                std::memcpy(buffer, weights.data(), size);
            }
        }
        if (size != kFlag) decoded_.values += static_cast<int64_t>(size / sizeof(float));
        decoded_.ns += now_ns() - start;
    }

    std::string left_over() const override { return next_ == sizes_.size() ? "" : path_ + ": the graph does not use all of it"; }

private:
    static constexpr size_t kFlag = sizeof kFloat32Flag;
    [[noreturn]] void refuse(const std::string& why) const { throw Failure(Exit::bad_weights, path_ + ": " + why); }

    int64_t started_;
    ElmPackage package_;
    std::string path_;
    std::vector<size_t> sizes_;  // of what ncnn reads, in bytes
    size_t next_ = 0;
    Decoded decoded_;
};

}  // namespace

size_t WeightsSource::read(void* buffer, size_t size) const {
    if (refusal_) return 0;
    try {
        const_cast<WeightsSource*>(this)->serve(buffer, size);  // ncnn's interface says const and means "read on"
        return size;
    } catch (const Failure& failure) {
        refusal_ = std::make_unique<Failure>(failure);
        return 0;
    }
}

void WeightsSource::finish(bool loaded) const {
    if (refusal_) throw *refusal_;
    if (loaded && !left_over().empty()) throw Failure(Exit::bad_weights, left_over());
}

std::unique_ptr<WeightsSource> open_weights(const Job& job, Graph& graph, const WeightsSource* before) {
    if (job.weights_format == WeightsFormat::nested) return NestedStream::open(job, graph, before);
    if (job.weights_format == WeightsFormat::runtime) {
        return std::make_unique<NcnnFile>(job.weights, job.precision == Precision::int8, graph.int8);
    }
    if (job.weights_format == WeightsFormat::elm) return std::make_unique<ElmStream>(job.weights);
    return std::make_unique<FrqStream>(job, graph.text);
}

}  // namespace bench

// The data of a training, and its random hidden layer as a machine that never keeps it: values are made when they are needed.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "contract/samples.h"
#include "elm/package.h"
#include "elm/products.h"
#include "elm/triangle.h"

namespace bench {

constexpr size_t kBatch = 256;

// Some samples: inputs × kBatch values, put in order by `(x − mean) / deviation`, and their classes.
struct Batch {
    size_t count = 0;
    std::vector<float> values;
    std::vector<uint32_t> classes;
};

// A packed sample file of two inputs: one of float32, and the class as one int32.
class Labelled {
public:
    // Throws Failure(missing_file) or Failure(bad_samples).
    Labelled(const std::string& path, uint32_t classes);

    size_t count() const { return samples_.count(); }
    size_t batches() const { return (count() + kBatch - 1) / kBatch; }
    size_t inputs() const { return samples_.inputs()[0].values(); }
    void read(size_t batch, float mean, float deviation, Batch& into) const;
    // Of all values, and of all samples; throws Failure(bad_samples) where all values are the same.
    void moments(float& mean, float& deviation) const;

private:
    const uint8_t* sample(uint32_t number) const;

    Samples samples_;
    std::string path_;
    uint32_t classes_;
    mutable std::vector<float> one_;
};

// The hidden layer's answers, by blocks of neurons. Beyond the last neuron they are 0.
class Hidden {
public:
    Hidden(const ElmPackage& package, int threads);

    size_t blocks() const { return (package_.neurons + kBlock - 1) / kBlock; }
    // Of blocks 0 to `count` − 1, side by side: batch.count rows of blocks()·1024 values.
    const float* answers(const Batch& batch, size_t count);
    size_t step() const { return blocks() * kBlock; }
    int threads() const { return threads_; }
    Packed& packed(size_t thread) { return works_[thread].packed; }

private:
    struct Work {
        std::vector<float> weights, biases;
        Packed packed;
    };
    void block(const Batch& batch, size_t number, Work& work);

    const ElmPackage& package_;
    int threads_;
    std::vector<Work> works_;
    std::vector<float> answers_;
};

// What the output layer answers for each sample of a batch: y[s][0..16) for `weights` of 16 columns.
void outputs_of(Hidden& hidden, const float* answers, size_t count, const float* weights, std::vector<float>& y);

// How many samples are answered rightly by the package as it is shipped.
size_t right_of(const ElmPackage& package, const Labelled& data, Hidden& hidden);

}  // namespace bench

#include "elm/learning.h"

#include <algorithm>
#include <cmath>

namespace bench {

Labelled::Labelled(const std::string& path, uint32_t classes) : samples_(path), path_(path), classes_(classes) {
    const std::vector<InputShape>& shown = samples_.inputs();
    if (shown.size() != 2 || shown[0].integer || !shown[1].integer || shown[1].values() != 1) {
        throw Failure(Exit::bad_samples, path + ": not samples of float32 values and one class (int32) each");
    }
    if (inputs() > kMostElmInputs) throw Failure(Exit::unsupported, path + ": samples of " + std::to_string(inputs()) + " values");
    one_.resize(inputs());
}

void Labelled::read(size_t batch, float mean, float deviation, Batch& into) const {
    const size_t first = batch * kBatch;
    into.count = std::min(kBatch, count() - first);
    into.values.resize(inputs() * kBatch);
    into.classes.resize(kBatch);
    const InputShape &values = samples_.inputs()[0], &label = samples_.inputs()[1];
    const size_t plane = values.values() / values.planes() * sizeof(float);
    for (size_t s = 0; s < into.count; s++) {
        const auto number = static_cast<uint32_t>(first + s);
        int32_t which = 0;
        samples_.read(number, values, one_.data(), plane);
        samples_.read(number, label, &which, sizeof which);
        if (which < 0 || static_cast<uint32_t>(which) >= classes_) {
            throw Failure(Exit::bad_samples, path_ + ": sample " + std::to_string(number) + " is of class " + std::to_string(which) +
                                                 ", and there are " + std::to_string(classes_));
        }
        into.classes[s] = static_cast<uint32_t>(which);
        for (size_t i = 0; i < one_.size(); i++) into.values[i * kBatch + s] = (one_[i] - mean) / deviation;
    }
}

void Labelled::moments(float& mean, float& deviation) const {
    double sum = 0, squares = 0;
    const InputShape& values = samples_.inputs()[0];
    const size_t plane = values.values() / values.planes() * sizeof(float);
    for (size_t s = 0; s < count(); s++) {
        samples_.read(static_cast<uint32_t>(s), values, one_.data(), plane);
        for (const double value : one_) sum += value, squares += value * value;
    }
    const double total = static_cast<double>(count()) * static_cast<double>(inputs());
    const double middle = sum / total, spread = std::sqrt(std::max(0.0, squares / total - middle * middle));
    mean = static_cast<float>(middle);
    deviation = static_cast<float>(spread);
    if (!std::isfinite(mean) || !std::isfinite(deviation)) throw Failure(Exit::bad_samples, path_ + ": values that are not finite");
    if (!(spread > 1e-9 * std::fabs(middle)) || !(deviation > 0)) throw Failure(Exit::bad_samples, path_ + ": all values are the same");
}

Hidden::Hidden(const ElmPackage& package, int threads) : package_(package), threads_(threads), works_(static_cast<size_t>(threads)) {
    answers_.resize(kBatch * step());
    for (Work& work : works_) {
        work.weights.resize(static_cast<size_t>(package.hidden.inputs) * kBlock);
        work.biases.resize(kBlock);
    }
}

void Hidden::block(const Batch& batch, size_t number, Work& work) {
    const HiddenLayer& layer = package_.hidden;
    const size_t first = number * kBlock, neurons = std::min(kBlock, package_.neurons - first), inputs = layer.inputs;
    for (size_t k = 0; k < inputs; k++) {
        float* row = work.weights.data() + k * kBlock;
        for (size_t m = 0; m < neurons; m++) row[m] = layer.weight(k, first + m);
    }
    for (size_t m = 0; m < neurons; m++) work.biases[m] = layer.bias(first + m);
    float* answers = answers_.data() + first;
    for (size_t s = 0; s < batch.count; s++) {
        std::copy_n(work.biases.begin(), neurons, answers + s * step());
        std::fill(answers + s * step() + neurons, answers + s * step() + kBlock, 0.0f);
    }
    add_product({batch.values.data(), kBatch, work.weights.data(), kBlock, answers, step(), inputs, batch.count, neurons}, work.packed);
    for (size_t s = 0; s < batch.count; s++) tanh_all(answers + s * step(), neurons);
}

const float* Hidden::answers(const Batch& batch, size_t count) {
    in_threads(threads_, count, [&](size_t number, size_t thread) { block(batch, number, works_[thread]); });
    return answers_.data();
}

void outputs_of(Hidden& hidden, const float* answers, size_t count, const float* weights, std::vector<float>& y) {
    y.assign(kBatch * kSixteen, 0.0f);
    const auto threads = static_cast<size_t>(hidden.threads());
    const size_t share = (count + threads - 1) / threads;
    in_threads(hidden.threads(), threads, [&](size_t part, size_t) {
        const size_t first = std::min(count, part * share), rows = std::min(count, first + share) - first;
        for (size_t j = 0; j < hidden.step(); j += kBlock) {
            add_sixteen(answers + first * hidden.step() + j, hidden.step(), weights + j * kSixteen, y.data() + first * kSixteen, rows, kBlock, 1.0f);
        }
    });
}

size_t right_of(const ElmPackage& package, const Labelled& data, Hidden& hidden) {
    const std::vector<float> weights = package.output_weights();
    std::vector<float> sixteen(hidden.step() * kSixteen), y;
    Batch batch;
    size_t right = 0;
    for (size_t b = 0; b < data.batches(); b++) {
        data.read(b, package.mean, package.deviation, batch);
        const float* answers = hidden.answers(batch, hidden.blocks());
        std::vector<float> best(batch.count, -INFINITY);
        std::vector<uint32_t> chosen(batch.count);
        for (uint32_t first = 0; first < package.classes; first += kSixteen) {
            const uint32_t some = std::min<uint32_t>(kSixteen, package.classes - first);
            std::fill(sixteen.begin(), sixteen.end(), 0.0f);
            for (uint32_t c = 0; c < some; c++) {
                const float* from = weights.data() + static_cast<size_t>(first + c) * package.neurons;
                for (size_t m = 0; m < package.neurons; m++) sixteen[m * kSixteen + c] = from[m];
            }
            outputs_of(hidden, answers, batch.count, sixteen.data(), y);
            for (size_t s = 0; s < batch.count; s++) {
                for (uint32_t c = 0; c < some; c++) {
                    if (y[s * kSixteen + c] > best[s]) best[s] = y[s * kSixteen + c], chosen[s] = first + c;
                }
            }
        }
        for (size_t s = 0; s < batch.count; s++) right += chosen[s] == batch.classes[s];
    }
    return right;
}

}  // namespace bench

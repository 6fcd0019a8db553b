#include "ncnn/factor.h"

#include <cstdlib>
#include <map>
#include <set>
#include <sstream>
#include <utility>

#include "weights/dct.h"

namespace bench {
namespace {

using Parameters = std::map<int, std::string>;

// How ncnn numbers the parameters of a type of layer with a weight, and where each goes when the layer becomes three.
struct Kind {
    const char* pointwise = nullptr;  // the type of the first and the last of the three; null where there is no such form
    int outputs = 0, inputs = -1;     // inputs: -1 where they are not said
    int size = -1;                    // of the weight; -1 where it is outputs × inputs
    std::set<int> bias;               // to the last
    std::set<int> geometry;           // to the core
    std::set<int> copied;             // to all three
    Parameters required;              // what they must be, in all three as well
    Parameters unbiased;              // what says that there is no bias
    Parameters one_pixel;             // what makes the first and the last pointwise
};

Kind convolution(const char* pointwise, std::set<int> geometry) {
    Kind kind;
    kind.pointwise = pointwise;
    kind.size = 6;
    kind.bias = {5};
    kind.geometry = std::move(geometry);
    kind.one_pixel = {{1, "1"}};
    return kind;
}

Kind grouped() {
    Kind kind;
    kind.size = 6;
    return kind;
}

Kind inner_product() {
    Kind kind;
    kind.pointwise = "InnerProduct";
    kind.size = 2;
    kind.bias = {1};
    return kind;
}

// Rows times the transpose of a constant matrix.
Kind gemm() {
    Kind kind;
    kind.pointwise = "Gemm";
    kind.outputs = 8;
    kind.inputs = 9;
    kind.bias = {6, 10};
    kind.copied = {7};
    kind.required = {{3, "1"}, {5, "1"}};
    kind.unbiased = {{6, "1"}, {10, "-1"}};
    return kind;
}

const std::map<std::string, Kind> kKinds = {
    {"Convolution", convolution("Convolution", {1, 2, 3, 4, 11, 12, 13, 14, 15, 16})},
    {"Convolution1D", convolution("Convolution1D", {1, 2, 3, 4, 15})},
    {"ConvolutionDepthWise", grouped()},
    {"Deconvolution", convolution("Convolution", {1, 2, 3, 4, 11, 12, 13, 14, 15, 16, 18, 19, 20, 21})},
    {"DeconvolutionDepthWise", grouped()},
    {"Gemm", gemm()},
    {"InnerProduct", inner_product()},
};
const std::set<int> kActivation = {9, 10, -23310};  // to the last, of all that can have one

struct Layer {
    std::string type, name, input, output;
    int inputs = 0, outputs = 0;
    Parameters parameters;

    long long number(int key) const {
        const auto found = parameters.find(key);
        return found == parameters.end() ? 0 : std::atoll(found->second.c_str());
    }
};

Layer parse(const std::string& line) {
    std::istringstream words(line);
    Layer layer;
    words >> layer.type >> layer.name >> layer.inputs >> layer.outputs;
    std::string word;
    for (int i = 0; i < layer.inputs && words >> word; i++) layer.input = word;
    for (int i = 0; i < layer.outputs && words >> word; i++) layer.output = word;
    while (words >> word) {
        const size_t equals = word.find('=');
        if (equals != std::string::npos) layer.parameters[std::atoi(word.c_str())] = word.substr(equals + 1);
    }
    return layer;
}

Parameters only(const Parameters& parameters, const std::set<int>& keys) {
    Parameters kept;
    for (const auto& entry : parameters) {
        if (keys.count(entry.first) > 0) kept.insert(entry);
    }
    return kept;
}

// How many values the weight of a layer has.
long long weight_of(const Layer& layer, const Kind& kind) {
    if (kind.size >= 0) return layer.number(kind.size);
    const long long outputs = layer.number(kind.outputs), inputs = layer.number(kind.inputs);
    return outputs > 0 && inputs > 0 && inputs <= INT32_MAX / outputs ? outputs * inputs : 0;
}

// Whether every parameter has its place in one of the three layers.
bool has_a_form(const Layer& layer, const Kind& kind) {
    const std::set<int> own = {kind.outputs, kind.inputs, kind.size};
    const bool acts = kind.inputs < 0;
    for (const auto& [key, value] : layer.parameters) {
        const bool placed = own.count(key) + kind.bias.count(key) + kind.geometry.count(key) + kind.copied.count(key) > 0;
        if (!placed && kind.required.count(key) == 0 && !(acts && kActivation.count(key) > 0) && value != "0") return false;
    }
    for (const auto& [key, value] : kind.required) {
        const auto given = layer.parameters.find(key);
        if (given == layer.parameters.end() || given->second != value) return false;
    }
    return kind.pointwise != nullptr && layer.inputs == 1 && layer.outputs == 1;
}

// Names for blobs that nothing in a graph has.
class Names {
public:
    explicit Names(const std::string& graph) {
        while (graph.find(mark_) != std::string::npos) mark_ += '\'';
    }

    std::string next() { return mark_ + std::to_string(count_++); }

private:
    std::string mark_ = "'";
    int count_ = 0;
};

// The three layers in place of one.
std::string three(const Layer& layer, const Kind& kind, const Core& core, Names& names) {
    Parameters common = only(layer.parameters, kind.copied);
    common.insert(kind.required.begin(), kind.required.end());
    const auto line = [&](const char* type, const std::string& from, const std::string& to, Parameters own, int inputs, int outputs,
                          size_t size) {
        own.insert(common.begin(), common.end());
        own[kind.outputs] = std::to_string(outputs);
        if (kind.inputs >= 0) own[kind.inputs] = std::to_string(inputs);
        if (kind.size >= 0) own[kind.size] = std::to_string(size);
        std::string text = std::string(type) + ' ' + layer.name + " 1 1 " + from + ' ' + to;
        for (const auto& [key, value] : own) text += ' ' + std::to_string(key) + '=' + value;
        return text + '\n';
    };
    const std::string reduced = names.next(), mixed = names.next();
    Parameters first = kind.one_pixel, middle = only(layer.parameters, kind.geometry);
    first.insert(kind.unbiased.begin(), kind.unbiased.end());
    middle.insert(kind.unbiased.begin(), kind.unbiased.end());
    Parameters last = only(layer.parameters, kind.bias);
    if (kind.inputs < 0) last.merge(only(layer.parameters, kActivation));
    last.insert(kind.one_pixel.begin(), kind.one_pixel.end());
    const auto &box = core.box(), &shape = core.shape();
    return line(kind.pointwise, layer.input, reduced, first, shape[1], box[1], core.factor_size(1)) +
           line(layer.type.c_str(), reduced, mixed, middle, box[1], box[0], core.spatial_core_size()) +
           line(kind.pointwise, mixed, layer.output, last, box[0], shape[0], core.factor_size(0));
}

}  // namespace

std::vector<bool> factor(std::string& graph, const std::vector<FrqTensor>& tensors) {
    std::vector<bool> factored(tensors.size(), false);
    Names names(graph);
    std::istringstream lines(graph);
    std::string magic, line, layers;
    long layer_count = 0, blob_count = 0;
    lines >> magic >> layer_count >> blob_count;
    std::getline(lines, line);
    size_t next = 0;
    while (std::getline(lines, line)) {
        const Layer layer = parse(line);
        const auto found = kKinds.find(layer.type);
        if (found != kKinds.end()) {
            const long long size = weight_of(layer, found->second);
            size_t own = next;
            while (own < tensors.size() && (tensors[own].vector || static_cast<long long>(tensors[own].size) != size)) own++;
            if (own < tensors.size()) {
                next = own + 1;
                const FrqTensor& tensor = tensors[own];
                if (tensor.kind != FrqTensor::Kind::raw && has_a_form(layer, found->second)) {
                    const Core core(tensor);
                    if (core.gains_by_factors() && layer.number(found->second.outputs) == core.shape()[0]) {
                        layers += three(layer, found->second, core, names);
                        layer_count += 2;
                        blob_count += 2;
                        factored[own] = true;
                        continue;
                    }
                }
            }
        }
        layers += line + '\n';
    }
    graph = magic + '\n' + std::to_string(layer_count) + ' ' + std::to_string(blob_count) + '\n' + layers;
    return factored;
}

}  // namespace bench

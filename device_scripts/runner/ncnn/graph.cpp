#include "ncnn/graph.h"

#include <algorithm>
#include <cstdlib>
#include <memory>
#include <set>
#include <sstream>

#include <layer.h>

#include "contract/files.h"

namespace bench {
namespace {

constexpr uint64_t kLargestGraph = 16 * 1024 * 1024;
constexpr const char* kMagic = "7767517";
const std::set<std::string> kInteger = {"Convolution", "ConvolutionDepthWise", "InnerProduct"};  // with int8 kernels
const std::set<std::string> kOwn = {"LowRankPass", "RankCore", "RankPass", "RankSplit", "RankUp"};

// Whether this build of ncnn, or we, can make such a layer.
bool is_built(const std::string& type) {
    if (kOwn.count(type) > 0) return true;
    const std::unique_ptr<ncnn::Layer> layer(ncnn::create_layer_cpu(type.c_str()));
    return layer != nullptr;
}

}  // namespace

Graph::Graph(const std::string& path, const std::vector<std::string>& wanted, const std::vector<std::string>& outputs) {
    const std::vector<uint8_t> bytes = read_whole(path, kLargestGraph, Exit::bad_graph);
    const auto refuse = [&](const std::string& why) { throw Failure(Exit::bad_graph, path + ": " + why); };
    text.assign(bytes.begin(), bytes.end());
    if (text.find('\0') != std::string::npos) refuse("not text");

    std::istringstream lines(text);
    std::string magic;
    long layer_count = 0, blob_count = 0, layers = 0;
    if (!(lines >> magic) || magic != kMagic) refuse(std::string("it does not begin with ") + kMagic);
    if (!(lines >> layer_count >> blob_count) || layer_count < 1 || blob_count < 1) refuse("no counts of layers and blobs");

    std::set<std::string> blobs, known_types;
    std::string line;
    std::getline(lines, line);
    while (std::getline(lines, line)) {
        std::istringstream words(line);
        std::string type, name, blob, parameter;
        if (!(words >> type)) continue;
        int bottoms = 0, tops = 0;
        if (!(words >> name >> bottoms >> tops) || bottoms < 0 || tops < 0) refuse("no numbers of blobs in: " + line);
        const std::string where = "layer " + name + " (" + type + "): ";
        if (known_types.count(type) == 0 && !is_built(type)) refuse(where + "this build of ncnn has no such layer");
        known_types.insert(type);
        for (int i = 0; i < bottoms; i++) {
            if (!(words >> blob) || blobs.count(blob) == 0) refuse(where + "input blob '" + blob + "' comes from nowhere");
        }
        for (int i = 0; i < tops; i++) {
            if (!(words >> blob) || !blobs.insert(blob).second) refuse(where + "output blob '" + blob + "' is missing or appears twice");
        }
        layers++;
        if (kInteger.count(type) > 0) {
            const char* size_key = type == "InnerProduct" ? "2=" : "6=";
            long term = 0, size = 0;
            while (words >> parameter) {
                if (parameter.compare(0, 2, "8=") == 0) term = std::atol(parameter.c_str() + 2);
                if (parameter.compare(0, 2, size_key) == 0) size = std::atol(parameter.c_str() + 2);
            }
            if (term != 0 && size <= 0) refuse(where + "computes in int8 and has no weights");
            if (term != 0) int8.push_back(static_cast<size_t>(size));
        }
        if (type != "Input" || tops == 0) continue;
        Extents& extents = inputs[blob];
        while (words >> parameter) {
            const size_t equals = std::min(parameter.find('='), parameter.size() - 1);
            const int value = std::atoi(parameter.c_str() + equals + 1);
            switch (std::atoi(parameter.c_str())) {
                case 0: extents.width = value; break;
                case 1: extents.height = value; break;
                case 2: extents.channels = value; break;
                case 11: extents.depth = value; break;
            }
        }
    }
    if (layers != layer_count) refuse(std::to_string(layers) + " layers where it promises " + std::to_string(layer_count));
    if (static_cast<long>(blobs.size()) > blob_count) refuse("more blobs than the " + std::to_string(blob_count) + " it promises");
    for (const std::string& input : wanted) {
        if (inputs.count(input) == 0) refuse("no Input layer gives the blob " + input);
    }
    for (const auto& [input, extents] : inputs) {
        if (std::count(wanted.begin(), wanted.end(), input) == 0)
            refuse("it also takes the input " + input + ", which the job does not give");
    }
    for (const std::string& output : outputs) {
        if (blobs.count(output) == 0) refuse("no layer gives the blob " + output);
    }
}

}  // namespace bench

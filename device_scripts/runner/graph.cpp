#include "graph.h"

#include <cstdlib>
#include <memory>
#include <set>
#include <sstream>

#include <layer.h>

#include "files.h"

namespace bench {
namespace {

constexpr uint64_t kLargestGraph = 16 * 1024 * 1024;
constexpr const char* kMagic = "7767517";

// Whether this build of ncnn, or we, can make such a layer.
bool is_built(const std::string& type) {
    if (type == "RankCore" || type == "RankPass") return true;
    const std::unique_ptr<ncnn::Layer> layer(ncnn::create_layer_cpu(type.c_str()));
    return layer != nullptr;
}

}  // namespace

Graph::Graph(const std::string& path, const std::string& input, const std::string& output) {
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
    bool has_input = false;
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
        bool is_the_input = false;
        for (int i = 0; i < tops; i++) {
            if (!(words >> blob) || !blobs.insert(blob).second) refuse(where + "output blob '" + blob + "' is missing or there twice");
            is_the_input = is_the_input || (type == "Input" && blob == input);
        }
        layers++;
        if (!is_the_input) continue;
        has_input = true;
        while (words >> parameter) {
            const int value = std::atoi(parameter.c_str() + 2);
            if (parameter.rfind("0=", 0) == 0) width = value;
            if (parameter.rfind("1=", 0) == 0) height = value;
            if (parameter.rfind("2=", 0) == 0) channels = value;
        }
    }
    if (layers != layer_count) refuse(std::to_string(layers) + " layers where it promises " + std::to_string(layer_count));
    if (static_cast<long>(blobs.size()) > blob_count) refuse("more blobs than the " + std::to_string(blob_count) + " it promises");
    if (!has_input) refuse("no Input layer gives the blob " + input);
    if (blobs.count(output) == 0) refuse("no layer gives the blob " + output);
}

}  // namespace bench

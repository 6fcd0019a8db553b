// The ncnn param file, looked at before ncnn does: ncnn says little about what is wrong with one.
#pragma once

#include <map>
#include <string>
#include <vector>

namespace bench {

class Graph {
public:
    // What an Input layer says about its shape, 0 where it leaves it open.
    struct Extents {
        int width = 0, height = 0, depth = 0, channels = 0;
    };

    // Throws Failure(missing_file), or Failure(bad_graph) for anything but a param file whose layers this build has, whose
    // blobs are made before they are used, whose Input layers give exactly the blobs `inputs`, and that has all `outputs`.
    Graph(const std::string& path, const std::vector<std::string>& inputs, const std::vector<std::string>& outputs);

    std::string text;
    std::vector<size_t> int8;               // how many weights each layer has that computes in int8, in their order
    std::map<std::string, Extents> inputs;  // by blob
};

}  // namespace bench

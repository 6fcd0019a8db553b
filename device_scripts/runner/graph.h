// The ncnn param file, looked at before ncnn does: ncnn says little about what is wrong with one.
#pragma once

#include <string>
#include <vector>

namespace bench {

class Graph {
public:
    // Throws Failure(missing_file), or Failure(bad_graph) for anything but a param file whose layers this build has, whose
    // blobs are made before they are used, and that has the two blobs `input` (of an Input layer) and `output`.
    Graph(const std::string& path, const std::string& input, const std::string& output);

    std::string text;

    // What the Input layer says about the shape, 0 where it leaves it open.
    int width = 0, height = 0, channels = 0;
};

}  // namespace bench

#include "nested/substitute.h"

#include <algorithm>
#include <sstream>

#include "contract/failure.h"

namespace bench {

std::string at_capacity(const std::string& graph, const std::vector<NestedSubstitution>& substitutions, int capacity,
                        const std::string& path) {
    std::vector<std::string> lines;
    std::vector<size_t> layers;  // their lines
    std::istringstream text(graph);
    for (std::string line; std::getline(text, line);) {
        if (lines.size() >= 2 && line.find_first_not_of(" \t\r") != std::string::npos) layers.push_back(lines.size());
        lines.push_back(line);
    }
    for (const NestedSubstitution& one : substitutions) {
        const auto refuse = [&](const std::string& why) {
            throw Failure(Exit::bad_weights, path + ": layer " + std::to_string(one.layer) + ": " + why);
        };
        if (one.layer >= layers.size()) refuse("the graph has " + std::to_string(layers.size()));
        std::string& line = lines[layers[one.layer]];
        const std::string key = ' ' + std::to_string(one.key) + '=';
        const size_t at = line.find(key);
        if (at == std::string::npos) refuse("the graph gives it no parameter " + std::to_string(one.key));
        const size_t begin = at + key.size(), end = std::min(line.find(' ', begin), line.size());
        line.replace(begin, end - begin, std::to_string(one.values[static_cast<size_t>(capacity - 1)]));
    }
    std::string made;
    for (const std::string& line : lines) made += line + '\n';
    return made;
}

}  // namespace bench

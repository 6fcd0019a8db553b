// The graph of a capacity: that of the largest, with other numbers of channels.
#pragma once

#include <string>
#include <vector>

#include "nested/package.h"

namespace bench {

// The text of a param file with the parameters of that capacity. Throws Failure(bad_weights), with the `path` of the package,
// for a layer or a parameter that the graph does not have.
std::string at_capacity(const std::string& graph, const std::vector<NestedSubstitution>& substitutions, int capacity,
                        const std::string& path);

}  // namespace bench

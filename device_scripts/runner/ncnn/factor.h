// A graph of ordinary layers rewritten to run on truncated coefficients as they are: docs/formats/frq.md, "factored".
#pragma once

#include <string>
#include <vector>

#include "weights/frq.h"

namespace bench {

// Replaces each layer of `graph` (a param file that class Graph has accepted) whose weight is a coefficient tensor by three:
// inputs to r_in, the small core, r_out to outputs. A layer's weight is the next tensor of as many values. Grouped layers and
// others that have no such form stay, and those that would only become larger. Says for each tensor whether its layer was replaced.
std::vector<bool> factor(std::string& graph, const std::vector<FrqTensor>& tensors);

}  // namespace bench

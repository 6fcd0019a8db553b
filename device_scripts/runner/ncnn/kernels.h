// Which of ncnn's kernels for single CPU generations this build has, and which of them this CPU runs.
#pragma once

#include <string>
#include <vector>

namespace bench {

struct Kernels {
    std::vector<std::string> built, used;  // names of CPU features
};

Kernels kernels();

}  // namespace bench

// Several networks at once, each on its share of the processor, exchanged for others as the shares change.
#pragma once

#include <vector>

#include "contract/job.h"
#include "measure/session.h"

namespace bench {

// The job files of the candidates. Throws as read_job() does, and Failure(bad_job) for one of another mode than memory.
std::vector<Job> read_candidates(const Serving& serving);

// All phases. Call it before this process has threads. Throws Failure, with the words of a network's process that failed.
void serve(const Serving& serving, const std::vector<Job>& candidates, const Library& library);

}  // namespace bench

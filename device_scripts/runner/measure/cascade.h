// Two networks as one: a small one answers, and the network itself is asked where the small one is not sure.
#pragma once

#include <memory>
#include <vector>

#include "contract/job.h"
#include "measure/session.h"

namespace bench {

// The network of a job, or both of a cascade as one session. Throws Failure.
std::unique_ptr<Session> open_session(const Library& library, const Job& job);

// The largest of the probabilities that `scores` stand for at a temperature: softmax(scores / temperature). Not a number where
// a score is none.
double confidence_of(const OutputMemory& scores, double temperature);

}  // namespace bench

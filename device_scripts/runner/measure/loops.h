// The loops that time a network, and what they report.
#pragma once

#include <functional>
#include <vector>

#include "contract/job.h"
#include "contract/samples.h"
#include "measure/neighbours.h"
#include "measure/session.h"

namespace bench {

// Puts a sample into the inputs of the session; empty where all inferences have the one that is there.
using Show = std::function<void()>;

// That of a job which cycles over the samples: another one each time, in an order that is spread over all of them.
Show cycling(const Job& job, const SampleSource& samples, Session& session);

// Inferences after a warm-up, with the neighbours at work: each one's time, the clocks, how much the neighbours did.
void measure_latency(const Job& job, Session& session, Neighbours& neighbours, const Show& show);

// Inferences layer by layer after a warm-up, and what each layer took.
void measure_layers(const Job& job, Session& session);

// Inferences without a pause for the seconds of the job: the median of each second as it ends, and the clocks.
void measure_sustained(const Job& job, Session& session, const Show& show);

// One sample into the inputs of the session.
void read_sample(const SampleSource& samples, uint32_t sample, Session& session);

// The shape of the one input with the job's extents. Throws Failure(bad_samples) when there is no such input, and
// Failure(unsupported) for a picture beyond what can be addressed.
std::vector<InputShape> enlarged(const Job& job, const SampleSource& samples);

// The middle one of some times, which come into another order; of an even number the mean of two.
int64_t median(std::vector<int64_t>& values);

// Fills the input of that `shape` with the first sample, repeated from its upper left corner on.
void tile_first_sample(const SampleSource& samples, const InputShape& shape, const InputMemory& input);

}  // namespace bench

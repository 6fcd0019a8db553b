// How long it takes to change the capacity of a network that is loaded, and what that moves.
#pragma once

#include <functional>

#include "contract/job.h"
#include "measure/session.h"

namespace bench {

// The walks of the job through all capacities of a session that has just inferred; `shown` makes its inputs again. Throws
// Failure(unsupported) for a network of one capacity, and Failure(inference_failed) where one answers otherwise than before.
void measure_switches(const Job& job, Session& session, const std::function<void()>& shown);

}  // namespace bench

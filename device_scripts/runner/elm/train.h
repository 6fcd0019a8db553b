// The mode `train`: an extreme learning machine (Huang, Zhu and Siew 2006) from samples and classes to a .elm package, by
// normal equations in blocks as Akusok, Eirola, Björk and Lendasse (2019) have them on a phone.
#pragma once

#include "contract/job.h"

namespace bench {

// Sends progress, solution and trained events. Throws Failure.
void train(const Job& job);

}  // namespace bench

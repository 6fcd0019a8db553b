// ncnn on this device's GPU, in a build that has Vulkan in it; without, the CPU is all there is.
#pragma once

#include <optional>

#include <net.h>

#include "contract/job.h"
#include "measure/session.h"

namespace bench {

// Throws Failure(unsupported) for a job that this build can do on no GPU. Loads no driver: a process that is a copy of
// this one could not use it.
void expect_gpu_can(const Job& job);

// Lets `net`, before anything is loaded into it, compute on the GPU. Throws Failure(unsupported) where there is none.
void use_gpu(ncnn::Net& net);

// What computes the layers of `net`, which is loaded; nothing where it is the CPU for want of Vulkan in this build.
std::optional<Accelerator> accelerator_of(const ncnn::Net& net);

}  // namespace bench

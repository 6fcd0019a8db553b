#include "ncnn/gpu.h"

#include <gpu.h>

#include "contract/guard.h"

namespace bench {

#if NCNN_VULKAN

void expect_gpu_can(const Job& job) {
    const auto refuse = [](const char* why) { throw Failure(Exit::unsupported, why); };
    if (job.precision != Precision::fp32) refuse("this build computes in fp32 alone on a GPU");
    if (job.weights_format != WeightsFormat::runtime) refuse("frq weights are for layers of our own, which no GPU computes");
    if (job.mode == Mode::layers) refuse("a GPU is given whole stretches of a network at once, and no layer has a time of its own");
    if (job.mode == Mode::largest) refuse("the memory test looks for the end of the system's memory, which is not a GPU's");
}

void use_gpu(ncnn::Net& net) {
    enter_phase(Exit::unsupported, "opening the Vulkan driver");
    if (ncnn::create_gpu_instance() != 0) {
        throw Failure(Exit::unsupported, "no Vulkan driver can be opened on this device; what was tried is on standard error");
    }
    const int device = ncnn::get_gpu_count() > 0 ? ncnn::get_default_gpu_index() : -1;
    if (device < 0 || !ncnn::get_gpu_device(device) || !ncnn::get_gpu_device(device)->is_valid()) {
        throw Failure(Exit::unsupported, "the Vulkan driver of this device has no device that can compute");
    }
    net.opt.use_vulkan_compute = true;
    net.set_vulkan_device(device);
}

std::optional<Accelerator> accelerator_of(const ncnn::Net& net) {
    constexpr int kCpu = 3;  // of GpuInfo::type()
    const ncnn::GpuInfo& info = net.vulkan_device()->info;
    Accelerator found{info.device_name(), info.driver_name(), info.type() == kCpu, 0, {}};
    for (const ncnn::Layer* layer : net.layers()) {
        if (layer->type == "Input") continue;  // computes nothing
        found.layers++;
        // What forward_layer() asks. A layer whose parameters Vulkan's cannot take was replaced when it was loaded, and one
        // whose pipeline cannot be made ends the loading.
        const bool there = net.opt.use_vulkan_compute && layer->support_vulkan;
        if (!there) found.elsewhere.push_back(layer->name + " (" + layer->type + ")");
    }
    return found;
}

#else

void expect_gpu_can(const Job&) {}
void use_gpu(ncnn::Net&) {}
std::optional<Accelerator> accelerator_of(const ncnn::Net&) { return std::nullopt; }

#endif

}  // namespace bench

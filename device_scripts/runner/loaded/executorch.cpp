// ExecuTorch behind backend.h: its runtime, XNNPACK for what the file delegates to it, and its own kernels for the rest.
//
// Inputs and outputs of a program have places, not names; in0, in1, … and out0, out1, … stand for those.

#include <dlfcn.h>
#include <executorch/extension/data_loader/file_data_loader.h>
#include <executorch/extension/memory_allocator/malloc_memory_allocator.h>
#include <executorch/runtime/backend/interface.h>
#include <executorch/runtime/executor/method.h>
#include <executorch/runtime/executor/program.h>
#include <executorch/runtime/platform/platform.h>
#include <executorch/runtime/platform/runtime.h>

#include <array>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <mutex>
#include <new>
#include <optional>
#include <string>
#include <vector>

#include "loaded/backend.h"
#include "loaded/statuses.h"

#define TEXT(words) TEXT_OF(words)
#define TEXT_OF(words) #words

namespace executorch::extension::threadpool {

// In the library, in none of its headers.
class ThreadPool {
public:
    size_t get_thread_count() const;
    bool _unsafe_reset_threadpool(uint32_t new_thread_count);
};
ThreadPool* get_threadpool();

}  // namespace executorch::extension::threadpool

namespace {

using executorch::aten::ScalarType;
using executorch::aten::Tensor;
using executorch::aten::TensorImpl;
using executorch::extension::FileDataLoader;
using executorch::extension::MallocMemoryAllocator;
using executorch::runtime::Error;
using executorch::runtime::EValue;
using executorch::runtime::HierarchicalAllocator;
using executorch::runtime::MemoryManager;
using executorch::runtime::Method;
using executorch::runtime::Program;
using executorch::runtime::Span;
using executorch::runtime::TensorInfo;

constexpr const char* kMethod = "forward";
constexpr size_t kAlignment = 64;

// The library returns numbers and logs words. The first that it logs is closest to the cause. Its threads log, too.
std::mutex listening;
char heard[300];

void listen(et_timestamp_t, et_pal_log_level_t level, const char*, const char*, size_t, const char* message, size_t length) {
    if (level != kError && level != kFatal) return;
    const std::lock_guard<std::mutex> one(listening);
    if (heard[0] == 0) std::snprintf(heard, sizeof heard, "%.*s", static_cast<int>(length), message);
}

__attribute__((format(printf, 3, 4))) int refuse(int status, BenchWhy* why, const char* words, ...) {
    va_list values;
    va_start(values, words);
    std::vsnprintf(why->text, sizeof why->text, words, values);
    va_end(values);
    return status;
}

// 0 when there was no error; otherwise `status`, unless memory ended.
int checked(Error error, int status, BenchWhy* why) {
    if (error == Error::Ok) return 0;
    const bool memory = error == Error::MemoryAllocationFailed || error == Error::DelegateMemoryAllocationFailed;
    const std::lock_guard<std::mutex> one(listening);
    refuse(memory ? kOutOfMemory : status, why, "%s%s%s", executorch::runtime::to_string(error), heard[0] ? ": " : "", heard);
    heard[0] = 0;
    return memory ? kOutOfMemory : status;
}

#define TRY(call, status)                                  \
    do {                                                   \
        const int failed = checked((call), (status), why); \
        if (failed) return failed;                         \
    } while (0)

// Runs what may run out of memory in C++'s own way, which must not leave this library.
template <typename Work>
int guarded(BenchWhy* why, Work work) {
    try {
        return work();
    } catch (const std::bad_alloc&) {
        return refuse(kOutOfMemory, why, "an allocation failed");
    } catch (const std::exception& error) {
        return refuse(kInferenceFailed, why, "%s", error.what());
    }
}

// The place that a name like in0 stands for; -1 when it is none of so many.
int place_of(const char* name, const char* kind, size_t count) {
    for (size_t i = 0; i < count; i++) {
        if (kind + std::to_string(i) == name) return static_cast<int>(i);
    }
    return -1;
}

std::string shape_of(const TensorInfo& tensor) {
    std::string text;
    for (const int32_t extent : tensor.sizes()) text += (text.empty() ? "" : "x") + std::to_string(extent);
    return text;
}

bool in_order(const TensorInfo& tensor) {
    for (size_t axis = 0; axis < tensor.dim_order().size(); axis++) {
        if (tensor.dim_order()[axis] != axis) return false;
    }
    return true;
}

struct Freed {
    void operator()(void* memory) const { std::free(memory); }
};

struct Input {
    std::vector<TensorImpl::SizesType> sizes;
    std::vector<TensorImpl::DimOrderType> order;
    std::optional<TensorImpl> tensor;
};

struct Output {
    size_t place;
    size_t values;
};

}  // namespace

struct BenchNetwork {
    std::optional<FileDataLoader> file;
    std::optional<Program> program;
    std::vector<std::unique_ptr<uint8_t, Freed>> planned;
    std::vector<Span<uint8_t>> spans;
    MallocMemoryAllocator method_memory, scratch;
    std::optional<HierarchicalAllocator> buffers;
    std::optional<MemoryManager> memory;
    std::optional<Method> method;
    std::vector<Input> inputs;  // by their places
    std::vector<Output> outputs;
};

namespace {

int load(const char* path, char* name, size_t room, BenchWhy* why) {
    return guarded(why, [&] {
        executorch::runtime::register_pal(executorch::runtime::PalImpl::create(listen, "bench"));
        executorch::runtime::runtime_init();
        if (!dlopen(path, RTLD_NOW)) return refuse(kMissingFile, why, "%s", dlerror());
        if (!executorch::runtime::get_backend_class("XnnpackBackend")) return refuse(kMissingFile, why, "XNNPACK is not in %s", path);
        std::snprintf(name, room, "executorch %s", TEXT(BENCH_EXECUTORCH));
        return 0;
    });
}

int set_threads(int count, BenchWhy* why) {
    auto* pool = executorch::extension::threadpool::get_threadpool();
    if (!pool || !pool->_unsafe_reset_threadpool(static_cast<uint32_t>(count)) || pool->get_thread_count() != static_cast<size_t>(count)) {
        return refuse(kUnsupported, why, "the library does not take %d threads", count);
    }
    return 0;
}

// The memory that the file asks for; its size was fixed when the file was written.
int plan_memory(const executorch::runtime::MethodMeta& meta, BenchNetwork& network, BenchWhy* why) {
    for (size_t i = 0; i < meta.num_memory_planned_buffers(); i++) {
        const auto size = meta.memory_planned_buffer_size(i);
        TRY(size.error(), kBadGraph);
        if (*size < 0) return refuse(kBadGraph, why, "a buffer of %lld bytes", static_cast<long long>(*size));
        const size_t bytes = static_cast<size_t>(*size);
        // XNNPACK may read a little beyond the end of a tensor.
        void* memory = bytes > SIZE_MAX / 2 ? nullptr : std::aligned_alloc(kAlignment, (bytes / kAlignment + 3) * kAlignment);
        if (!memory) return refuse(kOutOfMemory, why, "no memory for a buffer of %zu bytes", bytes);
        network.planned.emplace_back(static_cast<uint8_t*>(memory));
        network.spans.emplace_back(network.planned.back().get(), bytes);
    }
    network.buffers.emplace(Span<Span<uint8_t>>(network.spans.data(), network.spans.size()));
    network.memory.emplace(&network.method_memory, &*network.buffers, &network.scratch);
    return 0;
}

int find_outputs(const BenchOpen& what, const executorch::runtime::MethodMeta& meta, BenchNetwork& network, BenchWhy* why) {
    for (int i = 0; i < what.output_count; i++) {
        const char* name = what.outputs[i];
        const int place = place_of(name, "out", meta.num_outputs());
        if (place < 0) return refuse(kBadGraph, why, "the graph has no output %.200s", name);
        const auto tensor = meta.output_tensor_meta(static_cast<size_t>(place));
        TRY(tensor.error(), kBadGraph);
        if (tensor->scalar_type() != ScalarType::Float) return refuse(kBadGraph, why, "%.200s is not float32", name);
        if (!in_order(*tensor)) return refuse(kBadGraph, why, "the axes of %.200s are not in row-major order", name);
        network.outputs.push_back({static_cast<size_t>(place), tensor->nbytes() / sizeof(float)});
    }
    return 0;
}

int open_program(const BenchOpen& what, BenchNetwork& network, BenchWhy* why) {
    if (const int failed = set_threads(what.threads, why)) return failed;
    auto file = FileDataLoader::from(what.graph, kAlignment);
    TRY(file.error(), file.error() == Error::AccessFailed ? kMissingFile : kBadGraph);
    network.file.emplace(std::move(*file));
    auto program = Program::load(&*network.file, Program::Verification::InternalConsistency);
    TRY(program.error(), kBadGraph);
    network.program.emplace(std::move(*program));
    const auto meta = network.program->method_meta(kMethod);
    TRY(meta.error(), kBadGraph);
    if (const int failed = plan_memory(*meta, network, why)) return failed;
    auto method = network.program->load_method(kMethod, &*network.memory);
    TRY(method.error(), kBadGraph);
    network.method.emplace(std::move(*method));
    return find_outputs(what, *meta, network, why);
}

int open_network(const BenchOpen* what, BenchNetwork** made, BenchWhy* why) {
    return guarded(why, [&] {
        auto network = std::make_unique<BenchNetwork>();
        if (const int failed = open_program(*what, *network, why)) return failed;
        *made = network.release();
        return 0;
    });
}

int bind_one(const BenchInput& given, BenchNetwork& network, BenchWhy* why) {
    const auto meta = network.method->method_meta();
    const int place = place_of(given.name, "in", meta.num_inputs());
    if (place < 0) return refuse(kBadGraph, why, "the graph has no input %.200s", given.name);
    const auto tensor = meta.input_tensor_meta(static_cast<size_t>(place));
    TRY(tensor.error(), kBadGraph);
    const ScalarType type = given.integer ? ScalarType::Int : ScalarType::Float;
    bool fits = tensor->scalar_type() == type && tensor->sizes().size() == static_cast<size_t>(given.axes) && in_order(*tensor);
    for (int axis = 0; fits && axis < given.axes; axis++) fits = tensor->sizes()[static_cast<size_t>(axis)] == given.extents[axis];
    if (!fits) {
        return refuse(kBadSamples, why, "the graph takes %s of another type, or of another shape than %.100s", given.name,
                      shape_of(*tensor).c_str());
    }
    Input& input = network.inputs[static_cast<size_t>(place)];
    for (int axis = 0; axis < given.axes; axis++) {
        input.sizes.push_back(static_cast<TensorImpl::SizesType>(given.extents[axis]));
        input.order.push_back(static_cast<TensorImpl::DimOrderType>(axis));
    }
    input.tensor.emplace(type, given.axes, input.sizes.data(), given.values, input.order.data());
    return 0;
}

int bind(BenchNetwork* network, const BenchInput* inputs, int count, BenchWhy* why) {
    return guarded(why, [&] {
        network->inputs.resize(network->method->inputs_size());
        if (static_cast<size_t>(count) != network->inputs.size()) {
            return refuse(kBadSamples, why, "the graph takes %zu inputs, not %d", network->inputs.size(), count);
        }
        for (int i = 0; i < count; i++) {
            if (const int failed = bind_one(inputs[i], *network, why)) return failed;
        }
        return 0;
    });
}

int run(BenchNetwork* network, BenchOutput* outputs, BenchWhy* why) {
    return guarded(why, [&] {
        // Points to the values where the memory plan has no place for an input, as in files that bench writes.
        for (size_t i = 0; i < network->inputs.size(); i++) {
            TRY(network->method->set_input(EValue(Tensor(&*network->inputs[i].tensor)), i), kBadSamples);
        }
        TRY(network->method->execute(), kInferenceFailed);
        for (size_t i = 0; i < network->outputs.size(); i++) {
            const EValue& value = network->method->get_output(network->outputs[i].place);
            if (!value.isTensor()) return refuse(kInferenceFailed, why, "output %zu is no tensor", i);
            const Tensor& tensor = value.toTensor();
            outputs[i] = {tensor.const_data_ptr<float>(), static_cast<size_t>(tensor.numel())};
            if (!outputs[i].data || outputs[i].values != network->outputs[i].values) {
                return refuse(kInferenceFailed, why, "output %zu has another shape than the file says", i);
            }
        }
        return 0;
    });
}

void close_network(BenchNetwork* network) { delete network; }

}  // namespace

const BenchBackend* bench_backend(void) {
    static const BenchBackend backend = {BENCH_BACKEND_VERSION, 0, load, open_network, bind, run, close_network};
    return &backend;
}

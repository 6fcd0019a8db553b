// What the core asks of an inference library. The core owns the job, time, memory, samples and events, and knows none of
// them: a program is built with one, or with the one that loads another by name (loaded/).
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "contract/events.h"
#include "contract/failure.h"
#include "contract/job.h"
#include "contract/samples.h"

namespace bench {

// Memory to be filled with one input: its planes are `plane_step` bytes apart.
struct InputMemory {
    void* data;
    size_t plane_step;
};

// The values of one output: `planes` of so many values each, `plane_step` bytes apart.
struct OutputMemory {
    const float* data;
    size_t planes, plane_values, plane_step;

    int64_t values() const { return static_cast<int64_t>(planes * plane_values); }
};

// What decoding a package of weights took.
struct Decoding {
    int64_t ns, coefficients, values;
};

// One layer as it was executed: what it is, and what it took.
struct TimedLayer {
    std::string name, type;
    std::vector<std::string> inputs;
    std::vector<NamedShape> outputs;
    int64_t ns = 0;      // median of its iterations
    int64_t read = -1;   // bytes of its inputs in memory, -1 where unknown
    int64_t bytes = 0;   // of its outputs in memory
    int64_t weights = -1;
    bool deferred = false;
};

// What computes layers other than this process's own CPUs: a device and its driver, in their own words. `software`: a driver
// that computes on the CPUs after all. `elsewhere` names those of the `layers` that the library computes without it.
struct Accelerator {
    std::string device, driver;
    bool software;
    int64_t layers;
    std::vector<std::string> elsewhere;
};

// A network that a library has loaded, with its inputs and its latest answer.
class Session {
public:
    virtual ~Session() = default;

    // From the files to a network that can infer, in nanoseconds.
    virtual int64_t load_ns() const = 0;
    // Null unless the weights were a package.
    virtual const Decoding* decoding() const { return nullptr; }

    // Null where this process's CPUs compute all.
    virtual const Accelerator* accelerator() const { return nullptr; }

    // Memory for inputs of these shapes, zeroed. Throws Failure(bad_samples) when the network takes others.
    virtual void make_inputs(const std::vector<InputShape>& shapes) = 0;
    virtual std::vector<InputMemory> inputs() = 0;

    // One inference as an application does it. After the `last` one the inputs are not needed again. Throws Failure.
    virtual void infer(bool last = false) = 0;
    // Of the latest inference, in the order of the job; they last until the next one.
    virtual std::vector<OutputMemory> outputs() const = 0;

    // Of a cascade: whether the latest inference asked its second network, 1 or 0; -1 of everything else.
    virtual int asked() const { return -1; }

    // One inference layer by layer, of which the time of each layer is kept when it is `timed`. Throws Failure, and
    // Failure(unsupported) unless the job's mode is layers and the library can.
    virtual void infer_layers(bool timed);
    // How many layers an inference executes, and whether infer() does not time them: after the first infer_layers().
    virtual size_t layer_count() const { return 0; }
    virtual bool infers_untimed() const { return true; }
    // Them, in the order in which they are executed, with their medians of the latest `iterations`. Throws Failure.
    virtual std::vector<TimedLayer> layers(size_t iterations);
    // One more inference layer by layer, which hands on the values of every output of every layer in the same order. Throws
    // Failure(unsupported) when the library does not give them.
    virtual void answer_layers(const std::function<void(const OutputMemory&)>& take);

    // How many capacities its package has, each containing the one before. Every capacity has the inputs and outputs of all.
    virtual int capacities() const { return 1; }
    // Infer at that one from now on, 1 the smallest; the inputs have to be made again. Returns how many bytes of weights were
    // brought in or dropped. Throws Failure(unsupported) where there is no such capacity.
    virtual int64_t use_capacity(int capacity);
    // The one that it infers at now, and how many bytes of weights each is made of.
    virtual int capacity() const { return 1; }
    virtual int64_t capacity_bytes(int) const { return 0; }
    // How many bytes of the file of its weights were read to load it, where the rest was left; -1 for all.
    virtual int64_t loaded_bytes() const { return -1; }

    // After the first inference: that the library runs as it was asked to, for so many sessions opened from this one on,
    // since each may have threads of its own. Throws Failure(unsupported).
    virtual void expect_as_asked(int) const {}
};

inline int64_t Session::use_capacity(int capacity) {
    if (capacity != 1) throw Failure(Exit::unsupported, "this network has one capacity, and " + std::to_string(capacity) + " was asked for");
    return 0;
}
inline void Session::infer_layers(bool) { throw Failure(Exit::unsupported, "this library does not time its layers"); }
inline std::vector<TimedLayer> Session::layers(size_t) { throw Failure(Exit::unsupported, "this library does not time its layers"); }
inline void Session::answer_layers(const std::function<void(const OutputMemory&)>&) {
    throw Failure(Exit::unsupported, "this library does not give the values between its layers");
}

// An inference library.
class Library {
public:
    virtual ~Library() = default;

    // Name and version, e.g. "ncnn 1.0.20261020".
    virtual std::string name() const = 0;
    // The CPU features that it has code for, and those of them that this CPU has; empty where it does not say.
    virtual std::vector<std::string> kernels_built() const { return {}; }
    virtual std::vector<std::string> kernels_used() const { return {}; }
    // Bytes of this process that are resident before any network is loaded; -1 for a library that is part of the program.
    virtual int64_t resident_bytes() const { return -1; }

    // Throws Failure(unsupported) for what neither this library nor this CPU can do.
    virtual void expect(const Job& job) const = 0;
    // Throws Failure.
    virtual std::unique_ptr<Session> open(const Job& job) const = 0;

    // The mode train. Throws Failure, and Failure(unsupported) where the program has no training.
    virtual void learn(const Job& job) const;
};

inline void Library::learn(const Job&) const { throw Failure(Exit::unsupported, "only the runner with ncnn in it trains"); }

// The one that this program is linked with, when `named` is empty, or the one of these two files: a backend of ours and the
// library that it calls. Throws Failure.
std::unique_ptr<Library> open_library(const std::vector<std::string>& named);

}  // namespace bench

// A library that is loaded by name, through a backend of ours (backend.h).

#include <dirent.h>
#include <dlfcn.h>
#include <unistd.h>
#include <cctype>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <set>
#include <utility>

#include "contract/guard.h"
#include "contract/process.h"
#include "loaded/backend.h"
#include "loaded/statuses.h"
#include "measure/session.h"

namespace bench {
namespace {

static_assert(kBadJob == static_cast<int>(Exit::bad_job) && kMissingFile == static_cast<int>(Exit::missing_file) &&
                  kBadGraph == static_cast<int>(Exit::bad_graph) && kBadSamples == static_cast<int>(Exit::bad_samples) &&
                  kOutOfMemory == static_cast<int>(Exit::out_of_memory) && kUnsupported == static_cast<int>(Exit::unsupported) &&
                  kInferenceFailed == static_cast<int>(Exit::inference_failed),
              "the statuses of a backend are those of the contract");

void expect_good(int status, const BenchWhy& why) {
    if (status != 0) throw Failure(static_cast<Exit>(status), why.text);
}

// These libraries count CPUs by the kernel's lists, and some of them crash where they cannot.
void expect_cpu_lists() {
    const char* sysfs = std::getenv("BENCH_SYSFS_ROOT");  // of tests
    for (const char* name : {"possible", "present"}) {
        const std::string path = std::string(sysfs ? sysfs : "/sys") + "/devices/system/cpu/" + name;
        FILE* file = std::fopen(path.c_str(), "re");
        const bool readable = file && std::fgetc(file) != EOF;
        if (file) std::fclose(file);
        if (!readable) {
            throw Failure(Exit::unsupported, "this device does not let programs read " + path +
                                                 ", by which the library counts CPUs: measure with ncnn, which does without");
        }
    }
}

void* opened(const std::string& path) {
    void* library = dlopen(path.c_str(), RTLD_NOW);
    if (!library) throw Failure(Exit::missing_file, dlerror());
    return library;
}

// A library of GNU's C++ asks a handler of that when memory ends; without one it ends by a fault that says nothing of memory.
void handle_memory() {
    void* gnu = dlopen("libstdc++.so.6", RTLD_NOW | RTLD_NOLOAD);
    if (!gnu) return;
    auto* set = reinterpret_cast<void (*(*)(void (*)()))()>(dlsym(gnu, "_ZSt15set_new_handlerPFvvE"));
    if (set) set(out_of_memory);
}

// A value of /proc/self/task/*/status; empty where the thread has gone.
std::string field_of(const std::string& task, const char* name) {
    FILE* file = std::fopen(("/proc/self/task/" + task + "/status").c_str(), "re");
    if (!file) return "";
    char line[512];
    std::string value;
    while (std::fgets(line, sizeof line, file)) {
        if (std::strncmp(line, name, std::strlen(name)) == 0) value = line + std::strlen(name);
    }
    std::fclose(file);
    return value;
}

using Tasks = std::set<std::string>;

// The threads of this process. A translator such as qemu-user has some of its own from the start.
Tasks tasks() {
    DIR* folder = opendir("/proc/self/task");
    if (!folder) throw Failure(Exit::unsupported, std::string("/proc/self/task: ") + std::strerror(errno));
    Tasks found;
    while (const dirent* entry = readdir(folder)) {
        if (std::isdigit(static_cast<unsigned char>(entry->d_name[0]))) found.insert(entry->d_name);
    }
    closedir(folder);
    return found;
}

// Throws Failure(unsupported) when there are more than `most` threads that were not there `before`, or one of them may use
// other CPUs than this process was given.
void expect_tasks(const Tasks& before, int most) {
    const std::string allowed = field_of(std::to_string(getpid()), "Cpus_allowed_list:");
    int count = 0;
    for (const std::string& task : tasks()) {
        if (before.count(task) > 0) continue;
        count++;
        const std::string own = field_of(task, "Cpus_allowed_list:");
        if (!own.empty() && own != allowed) throw Failure(Exit::unsupported, "a thread of the library uses other CPUs than it was given");
    }
    if (count > most) {
        throw Failure(Exit::unsupported,
                      "the library runs " + std::to_string(1 + count) + " threads where at most " + std::to_string(1 + most) + " were to be");
    }
}

constexpr size_t kExpectedLayers = 1000;  // how many there are is known at the end alone

// So many values after the last of an input may be read, whatever they are: XNNPACK reads whole vectors.
constexpr size_t kReadBeyond = 32;

class LoadedSession : public Session {
public:
    LoadedSession(const BenchBackend& backend, const Job& job, int64_t library_ns)
        : backend_(backend), job_(job), before_(tasks()) {
        const int64_t start = now_ns();
        enter_phase(Exit::bad_graph, "loading the graph");
        std::vector<const char*> names;
        for (const std::string& name : job_.outputs) names.push_back(name.c_str());
        const bool is_timed = job_.mode == Mode::layers;
        if (is_timed && !backend_.layers) throw Failure(Exit::unsupported, "this library does not time its layers");
        if (is_timed && !job_.answers.empty()) {
            throw Failure(Exit::unsupported, "this library does not give the values between its layers");
        }
        const BenchOpen what{job_.graph.c_str(), job_.threads, names.data(), static_cast<int>(names.size()),
                             is_timed ? job_.scratch.c_str() : nullptr};
        BenchWhy why{};
        expect_good(backend_.open(&what, &network_, &why), why);
        load_ns_ = library_ns + now_ns() - start;
    }
    ~LoadedSession() override { backend_.close(network_); }
    LoadedSession(const LoadedSession&) = delete;
    LoadedSession& operator=(const LoadedSession&) = delete;

    int64_t load_ns() const override { return load_ns_; }

    void make_inputs(const std::vector<InputShape>& shapes) override {
        if (shapes.size() != job_.inputs.size()) {
            throw Failure(Exit::bad_samples, "samples of " + std::to_string(shapes.size()) + " inputs for a job of " +
                                                 std::to_string(job_.inputs.size()));
        }
        std::vector<BenchInput> inputs;
        for (size_t i = 0; i < shapes.size(); i++) {
            const InputShape& shape = shapes[i];
            values_.emplace_back(shape.values() + kReadBeyond);
            BenchInput input{job_.inputs[i].c_str(), shape.integer, 1 + static_cast<int>(shape.extents.size()), {1},
                             values_.back().data(), shape.values() * sizeof(float)};
            for (size_t axis = 0; axis < shape.extents.size(); axis++) input.extents[axis + 1] = shape.extents[axis];
            inputs.push_back(input);
            plane_steps_.push_back(shape.values() / shape.planes() * sizeof(float));
        }
        BenchWhy why{};
        expect_good(backend_.bind(network_, inputs.data(), static_cast<int>(inputs.size()), &why), why);
    }

    std::vector<InputMemory> inputs() override {
        std::vector<InputMemory> memory;
        for (size_t i = 0; i < values_.size(); i++) memory.push_back({values_[i].data(), plane_steps_[i]});
        return memory;
    }

    void infer(bool) override {
        BenchWhy why;
        outputs_.resize(job_.outputs.size());
        const int status = backend_.run(network_, outputs_.data(), &why);
        if (status != 0) throw Failure(static_cast<Exit>(status), why.text);
    }

    std::vector<OutputMemory> outputs() const override {
        std::vector<OutputMemory> memory;
        for (const BenchOutput& output : outputs_) memory.push_back({output.data, 1, output.values, 0});
        return memory;
    }

    void infer_layers(bool) override { infer(false); }
    size_t layer_count() const override { return kExpectedLayers; }
    bool infers_untimed() const override { return false; }

    std::vector<TimedLayer> layers(size_t iterations) override {
        std::vector<TimedLayer> found;
        BenchWhy why{};
        const auto tell = [](void* to, const BenchLayer* told) {
            TimedLayer layer{told->name, told->type, {}, {}, told->ns, told->read, told->bytes, told->weights, false};
            if (told->axes > 0) layer.outputs.push_back({told->name, {told->extents, told->extents + told->axes}});
            static_cast<std::vector<TimedLayer>*>(to)->push_back(std::move(layer));
        };
        expect_good(backend_.layers(network_, iterations, tell, &found, &why), why);
        return found;
    }

    void expect_as_asked(int sessions) const override {
        expect_tasks(before_, sessions * (job_.threads - 1 + backend_.own_threads));
    }

private:
    const BenchBackend& backend_;
    const Job job_;
    const Tasks before_;  // this thread among them
    BenchNetwork* network_ = nullptr;
    int64_t load_ns_ = 0;
    std::vector<std::vector<float>> values_;  // of the inputs; whole numbers have as many bytes
    std::vector<size_t> plane_steps_;
    std::vector<BenchOutput> outputs_;
};

class Loaded : public Library {
public:
    Loaded(const std::string& backend, const std::string& library) {
        expect_cpu_lists();
        enter_phase(Exit::unsupported, "loading the library");
        const int64_t start = now_ns();
        handle_memory();
        auto* table = reinterpret_cast<const BenchBackend* (*)()>(dlsym(opened(backend), "bench_backend"));
        if (!table || table()->version != BENCH_BACKEND_VERSION) {
            throw Failure(Exit::missing_file, backend + " is not a backend of this runner");
        }
        backend_ = table();
        char name[80];
        BenchWhy why{};
        expect_good(backend_->load(library.c_str(), name, sizeof name, &why), why);
        name_ = name;
        load_ns_ = now_ns() - start;
        resident_ = memory_now().rss;
    }

    std::string name() const override { return name_; }
    int64_t resident_bytes() const override { return resident_; }

    void expect(const Job& job) const override {
        if (job.precision != Precision::fp32) throw Failure(Exit::unsupported, name_ + " computes in fp32 here");
        if (job.weights_format != WeightsFormat::runtime) {
            const char* kind = job.weights_format == WeightsFormat::elm ? "elm" : "frq";
            throw Failure(Exit::unsupported, name_ + " does not load " + kind + " weights");
        }
    }

    std::unique_ptr<Session> open(const Job& job) const override {
        if (job.threads > 1) expect_threads(job.threads + backend_->own_threads);
        // It is loaded once, whether for one network or for both of a cascade.
        return std::make_unique<LoadedSession>(*backend_, job, std::exchange(load_ns_, 0));
    }

private:
    const BenchBackend* backend_;
    std::string name_;
    mutable int64_t load_ns_;  // until a session has told it
    int64_t resident_;
};

}  // namespace

std::unique_ptr<Library> open_library(const std::vector<std::string>& named) {
    if (named.empty()) throw Failure(Exit::bad_job, "this program loads a library, and none is named: --backend FILE LIBRARY");
    return std::make_unique<Loaded>(named[0], named[1]);
}

}  // namespace bench

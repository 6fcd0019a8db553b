// bench-runner: measures one network on the device it runs on. contract.h says what goes in and what comes out.

#include <unistd.h>
#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>
#include <stdexcept>
#include <utility>
#include <vector>

#include "contract/events.h"
#include "contract/guard.h"
#include "contract/job.h"
#include "contract/process.h"
#include "contract/samples.h"
#include "contract/seal.h"
#include "contract/sha256.h"
#include "measure/cascade.h"
#include "measure/loops.h"
#include "measure/neighbours.h"
#include "measure/serve.h"
#include "measure/session.h"
#include "measure/switches.h"
#include "picture/pictures.h"
#include "update/patch.h"

namespace bench {
namespace {

using Outputs = std::vector<OutputMemory>;

void send_environment(const Library& library, int threads, const std::string& precision) {
    Event event("environment");
    event.number("contract", kContract)
        .text("runner", BENCH_RUNNER_VERSION)
        .text("runtime", library.name())
        .text("abi", BENCH_ABI)
        .text("compiler", BENCH_COMPILER)
        .texts("kernels", library.kernels_built())
        .texts("kernels_used", library.kernels_used())
        .number("pid", getpid())
        .number("threads", threads)
        .text("cpus_allowed", cpus_allowed())
        .text("precision", precision)
        .text("network", network_state());
    if (library.resident_bytes() >= 0) event.number("library_rss", library.resident_bytes());
    event.send();
    flush_events();
}

void send_accelerator(const Accelerator& what) {
    constexpr size_t kMost = 40;  // names
    std::vector<std::string> named(what.elsewhere.begin(), what.elsewhere.begin() + std::min(kMost, what.elsewhere.size()));
    Event("accelerator")
        .text("device", what.device)
        .text("driver", what.driver)
        .number("software", what.software)
        .number("layers", what.layers)
        .number("elsewhere", static_cast<int64_t>(what.elsewhere.size()))
        .texts("names", named)
        .send();
}

void send_memory() {
    const Memory memory = memory_now();
    Event("memory")
        .number("vm_hwm", memory.vm_hwm)
        .number("rss", memory.rss)
        .number("pss", memory.pss)
        .number("anonymous", memory.anonymous)
        .send();
}

// The file of all answers, written as they come.
class AnswersFile {
public:
    explicit AnswersFile(const std::string& path) : path_(path), file_(std::fopen(path.c_str(), "wbe")) {
        if (!file_) fail();
    }
    ~AnswersFile() {
        if (file_) std::fclose(file_);
    }
    AnswersFile(const AnswersFile&) = delete;
    AnswersFile& operator=(const AnswersFile&) = delete;

    void append(const OutputMemory& output) {
        const auto* at = reinterpret_cast<const uint8_t*>(output.data);
        for (size_t i = 0; i < output.planes; i++, at += output.plane_step) {
            if (std::fwrite(at, sizeof(float), output.plane_values, file_) != output.plane_values) fail();
            bytes_ += static_cast<int64_t>(output.plane_values * sizeof(float));
        }
    }

    // How many bytes there are, all of them handed to the system.
    int64_t finish() {
        const bool closed = std::fclose(file_) == 0;
        file_ = nullptr;
        if (!closed) fail();
        return bytes_;
    }

private:
    [[noreturn]] void fail() const { throw Failure(Exit::write_failed, path_ + ": " + std::strerror(errno)); }

    std::string path_;
    FILE* file_;
    int64_t bytes_ = 0;
};

std::vector<int64_t> counts_of(const Outputs& outputs) {
    std::vector<int64_t> counts;
    for (const OutputMemory& output : outputs) counts.push_back(output.values());
    return counts;
}

// The session has just answered the first sample.
void write_answers(const Job& job, Session& session, const SampleSource& samples) {
    AnswersFile file(job.answers);
    const std::vector<int64_t> counts = counts_of(session.outputs());
    for (uint32_t i = 0;;) {
        const Outputs outputs = session.outputs();
        if (counts_of(outputs) != counts) throw Failure(Exit::inference_failed, "the outputs do not have as many values for every sample");
        for (const OutputMemory& output : outputs) file.append(output);
        if (++i == samples.count()) break;
        read_sample(samples, i, session);
        session.infer();
    }
    const int64_t bytes = file.finish();
    Event("answers").text("path", job.answers).number("samples", samples.count()).number("bytes", bytes).numbers("counts", counts).send();
}

void write_layers(const Job& job, Session& session) {
    AnswersFile file(job.answers);
    std::vector<int64_t> counts;
    session.answer_layers([&](const OutputMemory& output) {
        file.append(output);
        counts.push_back(output.values());
    });
    const int64_t bytes = file.finish();
    Event("answers").text("path", job.answers).number("samples", 1).number("bytes", bytes).numbers("counts", counts).send();
}

// The network of the job, as one that infers for ever beside this process: the first sample, or all in turn.
Work prepare_copy(const Library& library, const Job& job) {
    const auto samples = std::make_shared<const Samples>(job.samples);
    const std::shared_ptr<Session> session = open_session(library, job);
    enter_phase(Exit::inference_failed, "computing the output");
    session->make_inputs(samples->inputs());
    read_sample(*samples, 0, *session);
    return [session, samples, show = cycling(job, *samples, *session)] {
        if (show) show();
        session->infer();
    };
}

void run_several(const Serving& serving, const Library& library) {
    const std::vector<Job> candidates = read_candidates(serving);
    for (const Job& candidate : candidates) library.expect(candidate);
    send_environment(library, candidates[0].threads, candidates[0].precision_name);
    serve(serving, candidates, library);
}

void run(const std::string& job_path, const std::vector<std::string>& named) {
    const Job job = read_job(job_path);
    if (job.mode == Mode::serve) return run_several(job.serving, *open_library(named));
    if (job.mode == Mode::largest) go_first_when_memory_ends();
    if (job.affinity != 0) restrict_to(job.affinity);
    const std::unique_ptr<Library> library = open_library(named);
    library->expect(job);
    send_environment(*library, job.threads, job.precision_name);
    if (job.mode == Mode::train) {
        library->learn(job);
        send_memory();
        return;
    }
    const std::unique_ptr<SampleSource> shown = open_samples(job);
    const SampleSource& samples = *shown;
    const std::vector<InputShape> shapes = job.mode == Mode::largest ? enlarged(job, samples) : samples.inputs();
    Neighbours neighbours(job.beside, job.load, [&] { return prepare_copy(*library, job); });

    const std::unique_ptr<Session> session = open_session(*library, job);
    if (job.capacity > session->capacities()) {
        throw Failure(Exit::bad_job, "capacity = " + std::to_string(job.capacity) + ": the network has " + std::to_string(session->capacities()));
    }
    if (const Decoding* decoding = session->decoding()) {
        Event("decode").number("ns", decoding->ns).number("coefficients", decoding->coefficients).number("values", decoding->values).send();
    }
    Event("load").number("ns", session->load_ns()).send();
    if (const Accelerator* accelerator = session->accelerator()) send_accelerator(*accelerator);
    flush_events();

    enter_phase(Exit::inference_failed, "computing the output");
    session->make_inputs(shapes);
    if (job.mode == Mode::largest) {
        tile_first_sample(samples, shapes[0], session->inputs()[0]);
    } else {
        read_sample(samples, 0, *session);
    }
    if (const auto* pictures = dynamic_cast<const Pictures*>(shown.get())) pictures->show_stages(job.stages);
    const int64_t start = now_ns();
    // An application that infers once has no more use for its input.
    session->infer(job.mode == Mode::memory || job.mode == Mode::largest);
    Event("first_inference").number("ns", now_ns() - start).send();
    flush_events();
    session->expect_as_asked(1);

    const Show show = cycling(job, samples, *session);
    switch (job.mode) {
        case Mode::latency: measure_latency(job, *session, neighbours, show); break;
        case Mode::accuracy: write_answers(job, *session, samples); break;
        case Mode::sustained: measure_sustained(job, *session, show); break;
        case Mode::layers:
            measure_layers(job, *session);
            if (!job.answers.empty()) write_layers(job, *session);
            break;
        case Mode::switching:
            measure_switches(job, *session, [&] {
                session->make_inputs(shapes);
                read_sample(samples, 0, *session);
            });
            break;
        case Mode::memory:
        case Mode::largest:
        case Mode::serve:
        case Mode::train: break;
    }
    send_memory();
}

int run_and_report(const std::string& job_path, const std::vector<std::string>& named) {
    Exit status = Exit::ok;
    try {
        run(job_path, named);
    } catch (const Failure& failure) {
        status = failure.exit;
        Event("error").text("kind", kind_of(status)).text("message", failure.what()).send();
    } catch (const std::length_error&) {  // what a vector throws for more elements than there are addresses
        status = Exit::out_of_memory;
        Event("error").text("kind", kind_of(status)).text("message", "more values than this device can address").send();
    }
    Event("end")
        .text("status", status == Exit::ok ? "ok" : "error")
        .number("exit", static_cast<int>(status))
        .number("ns", ns_since_start())
        .send();
    flush_events();
    return static_cast<int>(status);
}

// The exit status; a file that cannot be read does not keep the others from being read.
int print_sha256(const std::string& path) {
    try {
        std::printf("%s  %s\n", sha256_of(path).c_str(), path.c_str());
        flush_events();
        return static_cast<int>(Exit::ok);
    } catch (const Failure& failure) {
        std::fprintf(stderr, "bench-runner: %s\n", failure.what());
        return static_cast<int>(failure.exit);
    }
}

}  // namespace
}  // namespace bench

int main(int count, char** arguments) {
    bench::mark_start();
    bench::seal_network();  // before any file is opened
    int status = static_cast<int>(bench::Exit::ok);
    std::vector<std::string> given(arguments + 1, arguments + count), named;
    if (given.size() > 3 && given[0] == "--backend") {
        named.assign(given.begin() + 1, given.begin() + 3);
        given.erase(given.begin(), given.begin() + 3);
    }
    const std::string first = given.empty() ? "" : given[0];
    try {
        if (given.size() == 1 && first == "--version") {
            bench::send_environment(*bench::open_library(named), 0, "fp32");
        } else if (given.size() > 1 && first == "--sha256") {
            for (size_t i = 1; i < given.size(); i++) status = std::max(status, bench::print_sha256(given[i]));
        } else if (given.size() == 4 && first == "--update") {
            bench::apply_update(given[1], given[2], given[3]);
        } else if (given.size() == 1) {
            status = bench::run_and_report(first, named);
        } else {
            std::fprintf(stderr, "usage: bench-runner [--backend FILE LIBRARY] JOB | --version | --sha256 FILE... | --update UPDATE OLD NEW\n");
            status = static_cast<int>(bench::Exit::bad_job);
        }
    } catch (const bench::Failure& failure) {
        std::fprintf(stderr, "bench-runner: %s\n", failure.what());
        status = static_cast<int>(failure.exit);
    }
    _exit(status);  // idle threads of a library need no orderly end
}

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

#include <cpu.h>

#include "contract/events.h"
#include "contract/guard.h"
#include "contract/job.h"
#include "contract/process.h"
#include "contract/samples.h"
#include "contract/sha256.h"
#include "measure/loops.h"
#include "measure/neighbours.h"
#include "ncnn/kernels.h"
#include "ncnn/network.h"

namespace bench {
namespace {

using Mats = std::vector<ncnn::Mat>;

void send_environment(int threads, const std::string& precision) {
    const Kernels found = kernels();
    Event("environment")
        .number("contract", kContract)
        .text("runner", BENCH_RUNNER_VERSION)
        .text("runtime", "ncnn " NCNN_VERSION_STRING)
        .text("abi", BENCH_ABI)
        .text("compiler", BENCH_COMPILER)
        .texts("kernels", found.built)
        .texts("kernels_used", found.used)
        .number("pid", getpid())
        .number("threads", threads)
        .text("cpus_allowed", cpus_allowed())
        .text("precision", precision)
        .send();
    flush_events();
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

// How many values an output has, without the gaps that ncnn leaves between channels.
int64_t values_of(const ncnn::Mat& output) { return static_cast<int64_t>(output.w) * output.h * output.d * output.c; }

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

    void append(const ncnn::Mat& output) {
        const size_t plane = static_cast<size_t>(values_of(output) / output.c);
        for (int c = 0; c < output.c; c++) {
            if (std::fwrite(output.channel(c), sizeof(float), plane, file_) != plane) fail();
            bytes_ += static_cast<int64_t>(plane * sizeof(float));
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

std::vector<int64_t> counts_of(const Mats& outputs) {
    std::vector<int64_t> counts;
    for (const ncnn::Mat& output : outputs) counts.push_back(values_of(output));
    return counts;
}

void write_answers(const Job& job, const Network& network, const Samples& samples, Mats& inputs, const Mats& first) {
    AnswersFile file(job.answers);
    const std::vector<int64_t> counts = counts_of(first);
    for (const ncnn::Mat& output : first) file.append(output);
    for (uint32_t i = 1; i < samples.count(); i++) {
        read_sample(samples, i, inputs);
        const Mats outputs = network.infer(inputs);
        if (counts_of(outputs) != counts) throw Failure(Exit::inference_failed, "the outputs do not have as many values for every sample");
        for (const ncnn::Mat& output : outputs) file.append(output);
    }
    const int64_t bytes = file.finish();
    Event("answers").text("path", job.answers).number("samples", samples.count()).number("bytes", bytes).numbers("counts", counts).send();
}

// ncnn makes its pool as large, whatever it is asked for.
void expect_pool(const Job& job) {
    if (job.threads > 1) expect_threads(ncnn::get_cpu_count());
}

// The network of the job, as one that infers the first sample for ever beside this process.
Work prepare_copy(const Job& job) {
    const Samples samples(job.samples);
    expect_pool(job);
    const auto network = std::make_shared<Network>(job);
    enter_phase(Exit::inference_failed, "computing the output");
    Mats inputs = network->make_inputs(samples.inputs());
    read_sample(samples, 0, inputs);
    return [network, inputs] { network->infer(inputs); };
}

void run(const char* job_path) {
    const Job job = read_job(job_path);
    if (job.mode == Mode::largest) go_first_when_memory_ends();
    if (job.affinity != 0) restrict_to(job.affinity);
    expect_precision(job.precision);
    send_environment(job.threads, job.precision_name);
    const Samples samples(job.samples);
    const std::vector<InputShape> shapes = job.mode == Mode::largest ? enlarged(job, samples) : samples.inputs();
    Neighbours neighbours(job.beside, job.load, [&job] { return prepare_copy(job); });
    expect_pool(job);

    const Network network(job);
    if (const auto* decoded = network.decoded()) {
        Event("decode").number("ns", decoded->ns).number("coefficients", decoded->coefficients).number("values", decoded->values).send();
    }
    Event("load").number("ns", network.load_ns()).send();
    flush_events();

    enter_phase(Exit::inference_failed, "computing the output");
    Mats inputs = network.make_inputs(shapes);
    if (job.mode == Mode::largest) {
        tile_first_sample(samples, inputs[0]);
    } else {
        read_sample(samples, 0, inputs);
    }
    const int64_t start = now_ns();
    // An application that infers once has no more use for its input.
    const bool once = job.mode == Mode::memory || job.mode == Mode::largest;
    const Mats first = network.infer(once ? std::move(inputs) : inputs);
    Event("first_inference").number("ns", now_ns() - start).send();
    flush_events();

    switch (job.mode) {
        case Mode::latency: measure_latency(job, network, inputs, neighbours); break;
        case Mode::accuracy: write_answers(job, network, samples, inputs, first); break;
        case Mode::sustained: measure_sustained(job, network, inputs); break;
        case Mode::memory:
        case Mode::largest: break;
    }
    send_memory();
}

int run_and_report(const char* job_path) {
    Exit status = Exit::ok;
    try {
        run(job_path);
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
int print_sha256(const char* path) {
    try {
        std::printf("%s  %s\n", sha256_of(path).c_str(), path);
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
    int status = static_cast<int>(bench::Exit::ok);
    const std::string first = count > 1 ? arguments[1] : "";
    try {
        if (count == 2 && first == "--version") {
            bench::send_environment(0, "fp32");
        } else if (count > 2 && first == "--sha256") {
            for (int i = 2; i < count; i++) status = std::max(status, bench::print_sha256(arguments[i]));
        } else if (count == 2) {
            status = bench::run_and_report(arguments[1]);
        } else {
            std::fprintf(stderr, "usage: bench-runner JOB | --version | --sha256 FILE...\n");
            status = static_cast<int>(bench::Exit::bad_job);
        }
    } catch (const bench::Failure& failure) {
        std::fprintf(stderr, "bench-runner: %s\n", failure.what());
        status = static_cast<int>(failure.exit);
    }
    _exit(status);  // ncnn's idle threads need no orderly end
}

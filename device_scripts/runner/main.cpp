// bench-runner: measures one network on the device it runs on. contract.h says what goes in and what comes out.

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <stdexcept>
#include <unistd.h>
#include <vector>

#include <cpu.h>

#include "events.h"
#include "guard.h"
#include "job.h"
#include "network.h"
#include "process.h"
#include "samples.h"

namespace bench {
namespace {

void send_environment(int threads, const std::string& precision) {
#if NCNN_ARM82
    constexpr bool arm82 = true;
#else
    constexpr bool arm82 = false;
#endif
    Event("environment")
        .number("contract", kContract)
        .text("runner", BENCH_RUNNER_VERSION)
        .text("ncnn", NCNN_VERSION_STRING)
        .text("abi", BENCH_ABI)
        .text("compiler", BENCH_COMPILER)
        .flag("arm82", arm82)
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

// Until both the count and the time are reached, or `most` inferences; how long each took, in ns.
std::vector<int64_t> repeat(const Network& network, const ncnn::Mat& input, int64_t count, int64_t ms, int64_t most) {
    std::vector<int64_t> times;
    const int64_t until = now_ns() + ms * 1'000'000;
    while (static_cast<int64_t>(times.size()) < most && (static_cast<int64_t>(times.size()) < count || now_ns() < until)) {
        const int64_t start = now_ns();
        network.infer(input);
        times.push_back(now_ns() - start);
    }
    return times;
}

void measure_latency(const Job& job, const Network& network, const ncnn::Mat& input) {
    const int64_t start = now_ns();
    const std::vector<int64_t> warmup = repeat(network, input, job.warmup_iterations, job.warmup_ms, INT64_MAX);
    const int64_t warmup_ns = now_ns() - start;
    const std::vector<int64_t> times = repeat(network, input, job.min_iterations, job.min_ms, job.max_iterations);
    Event("warmup").number("iterations", static_cast<int64_t>(warmup.size())).number("ns", warmup_ns).send();
    for (size_t i = 0; i < times.size(); i++) {
        Event("iteration").number("i", static_cast<int64_t>(i)).number("ns", times[i]).send();
    }
}

// The file of all outputs, written as they come.
class OutputFile {
public:
    explicit OutputFile(const std::string& path) : path_(path), file_(std::fopen(path.c_str(), "wbe")) {
        if (!file_) fail();
    }
    ~OutputFile() {
        if (file_) std::fclose(file_);
    }
    OutputFile(const OutputFile&) = delete;
    OutputFile& operator=(const OutputFile&) = delete;

    void append(const ncnn::Mat& output) {
        const size_t values = static_cast<size_t>(output.w) * static_cast<size_t>(output.h) * static_cast<size_t>(output.d);
        for (int c = 0; c < output.c; c++) {
            if (std::fwrite(output.channel(c), sizeof(float), values, file_) != values) fail();
            bytes_ += static_cast<int64_t>(values * sizeof(float));
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

void write_outputs(const Job& job, const Network& network, const Samples& samples, ncnn::Mat& input, const ncnn::Mat& first) {
    OutputFile file(job.outputs);
    file.append(first);
    for (uint32_t i = 1; i < samples.count(); i++) {
        samples.read(i, input, input.cstep);
        file.append(network.infer(input));
    }
    const int64_t bytes = file.finish();
    Event("outputs").text("path", job.outputs).number("samples", samples.count()).number("bytes", bytes).send();
}

void run(const char* job_path) {
    const Job job = read_job(job_path);
    if (job.affinity != 0) restrict_to(job.affinity);
    expect_precision(job.precision);
    send_environment(job.threads, job.precision_name);
    const Samples samples(job.samples);
    if (job.threads > 1) expect_threads(ncnn::get_cpu_count());  // ncnn makes its pool as large, whatever it is asked for

    const Network network(job);
    if (const auto* decoded = network.decoded()) {
        Event("decode").number("ns", decoded->ns).number("coefficients", decoded->coefficients).number("values", decoded->values).send();
    }
    Event("load").number("ns", network.load_ns()).send();
    flush_events();

    enter_phase(Exit::inference_failed, "computing the output");
    ncnn::Mat input = network.make_input(samples);
    samples.read(0, input, input.cstep);
    const int64_t start = now_ns();
    const ncnn::Mat first = network.infer(input);
    Event("first_inference").number("ns", now_ns() - start).send();
    flush_events();

    switch (job.mode) {
        case Mode::latency: measure_latency(job, network, input); break;
        case Mode::memory: break;
        case Mode::accuracy: write_outputs(job, network, samples, input, first); break;
    }
    send_memory();
}

int run_and_tell(const char* job_path) {
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
    Event("end").text("status", status == Exit::ok ? "ok" : "error").number("exit", static_cast<int>(status)).number("ns", ns_since_start()).send();
    flush_events();
    return static_cast<int>(status);
}

}  // namespace
}  // namespace bench

int main(int count, char** arguments) {
    bench::mark_start();
    bench::stand_guard();
    int status = static_cast<int>(bench::Exit::bad_job);
    try {
        if (count == 2 && std::strcmp(arguments[1], "--version") == 0) {
            bench::send_environment(0, "fp32");
            status = static_cast<int>(bench::Exit::ok);
        } else if (count == 2) {
            status = bench::run_and_tell(arguments[1]);
        } else {
            std::fprintf(stderr, "usage: bench-runner JOB | --version\n");
        }
    } catch (const bench::Failure& failure) {
        std::fprintf(stderr, "bench-runner: %s\n", failure.what());
        status = static_cast<int>(failure.exit);
    }
    _exit(status);  // ncnn's idle threads need no orderly end
}

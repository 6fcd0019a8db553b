// bench-loop: what the runner's timing is held against, for benchmarks/loop.py alone.
//
//   bench-loop GRAPH WEIGHTS CHANNELSxHEIGHTxWIDTH WARMUP COUNT
//       the loop of ncnn's own benchncnn, with the network's real weights: one extractor an inference, timed by
//       ncnn::get_current_time. That counts in microseconds, so the same inference is timed outside of it in ns as well.
//       One thread, float32, ncnn's default allocators (a pool for the net), as in the runner. A JSON line an inference.
//   bench-loop --cost ROUNDS
//       what the runner's loop does beside an inference: ns a round.

#include <unistd.h>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

#include <benchmark.h>
#include <net.h>

#include "contract/clocks.h"
#include "contract/process.h"

namespace {

using bench::now_ns;

int time_network(char** arguments) {
    int channels, height, width;
    if (std::sscanf(arguments[3], "%dx%dx%d", &channels, &height, &width) != 3) return 2;
    const int warmup = std::atoi(arguments[4]), count = std::atoi(arguments[5]);
    ncnn::Net net;
    net.opt.num_threads = 1;
    net.opt.use_fp16_packed = net.opt.use_fp16_storage = net.opt.use_fp16_arithmetic = false;
    net.opt.use_int8_inference = net.opt.use_int8_packed = net.opt.use_int8_storage = net.opt.use_int8_arithmetic = false;
    if (net.load_param(arguments[1]) != 0 || net.load_model(arguments[2]) != 0) return 3;
    const int input = net.input_indexes()[0], output = net.output_indexes()[0];
    ncnn::Mat in(width, height, channels);
    in.fill(0.01f);
    struct Time {
        double ms;
        int64_t ns;
    };
    std::vector<Time> times;
    for (int i = -warmup; i < count; i++) {
        const int64_t outer = now_ns();
        const double start = ncnn::get_current_time();
        {
            ncnn::Extractor extractor = net.create_extractor();
            extractor.input(input, in);
            ncnn::Mat out;
            if (extractor.extract(output, out) != 0) return 4;
        }
        const double end = ncnn::get_current_time();
        const int64_t ns = now_ns() - outer;
        if (i >= 0) times.push_back({end - start, ns});
    }
    for (const Time& time : times) std::printf("{\"ms\":%.3f,\"ns\":%lld}\n", time.ms, static_cast<long long>(time.ns));
    return 0;
}

int time_nothing(int rounds) {
    std::vector<int64_t> times;
    bench::EndedOn ended_on;
    const int64_t begin = now_ns();
    for (int i = 0; i < rounds; i++) {
        const int64_t start = now_ns();
        times.push_back(now_ns() - start);
        ended_on.count();
    }
    const int64_t all = now_ns() - begin;
    std::printf("{\"ns\":%.2f,\"ended_on\":%lld}\n", static_cast<double>(all) / rounds, static_cast<long long>(ended_on.all()));
    return 0;
}

}  // namespace

int main(int count, char** arguments) {
    int status = 2;
    if (count == 6) status = time_network(arguments);
    if (count == 3 && std::strcmp(arguments[1], "--cost") == 0) status = time_nothing(std::atoi(arguments[2]));
    if (status == 2) std::fprintf(stderr, "usage: bench-loop GRAPH WEIGHTS CxHxW WARMUP COUNT | --cost ROUNDS\n");
    std::fflush(stdout);
    _exit(status);
}

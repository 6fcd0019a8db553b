// The job file, read strictly: contract.h lists its keys.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace bench {

enum class Mode { latency, memory, accuracy, sustained, largest, layers, switching, serve, train };
enum class WeightsFormat { runtime, frq, elm, nested };
enum class Execution { stock, dense, factored, resident };
enum class Precision { fp32, fp16s, fp16a, bf16, int8 };

// What the matrix of a training is kept as, and where.
enum class Keeping { float32, float16, file };

// Of serve: which of the candidates answers the requests of a network, and on how much of the processor.
struct Share {
    int candidate, thousandths;
};
struct Phase {
    int64_t ms;
    std::vector<Share> shares;  // one a network
};
struct Serving {
    std::vector<std::string> candidates;  // paths of their job files
    std::vector<int64_t> rates;           // of each network, in thousandths of a request a second
    int64_t period_us = 0;
    std::vector<Phase> phases;
};

struct Job {
    Mode mode;
    std::string graph, weights, samples, answers;  // answers: empty where none are wanted
    std::string pictures, preprocess, stages;  // instead of samples
    std::vector<std::string> inputs, outputs;
    WeightsFormat weights_format;
    Execution execution;
    int threads;
    uint64_t affinity;
    Precision precision;
    std::string precision_name;
    int64_t warmup_iterations = 0, warmup_ms = 0, min_iterations = 0, min_ms = 0, max_iterations = 0;
    int beside = 0, load = 0;
    int64_t seconds = 0;
    int capacity = 0;  // of a nested package, 1 the smallest; 0 where none is named
    std::map<int, std::string> graphs;  // of the capacities that have one of their own, beside the job's
    int height = 0, width = 0;  // extents
    int walks = 0;              // through all capacities
    std::string small_graph, small_weights;  // of a cascade; empty otherwise
    double threshold = 0, temperature = 1;   // of a cascade
    bool cycle = false;                      // over all samples
    Serving serving;            // serve, and of the keys above it has none
    // train only
    std::string validation, test, package;  // the first two may be empty
    int64_t neurons = 0, classes = 0;
    uint64_t seed = 0;
    std::vector<double> alphas;
    Keeping keeping = Keeping::float32;
    std::string scratch;        // how the names of files may begin that are removed again
};

// Throws Failure(missing_file) or Failure(bad_job).
Job read_job(const std::string& path);

}  // namespace bench

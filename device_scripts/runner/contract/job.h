// The job file, read strictly: contract.h lists its keys.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace bench {

enum class Mode { latency, memory, accuracy, sustained, largest, layers, switching };
enum class WeightsFormat { runtime, frq };
enum class Execution { stock, dense, factored, resident };
enum class Precision { fp32, fp16s, fp16a, bf16, int8 };

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
    std::string scratch;        // how the names of files may begin that are removed again
};

// Throws Failure(missing_file) or Failure(bad_job).
Job read_job(const std::string& path);

}  // namespace bench

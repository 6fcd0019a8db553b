// What the runner calls of an inference library, in C: a backend is a shared library of ours with this one table, compiled
// for one library that it opens by path. Statuses are those of contract.h; a status other than 0 comes with `why`.
#pragma once

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define BENCH_BACKEND_VERSION 1
#define BENCH_MOST_AXES 5

// Its own words, cut to what has room.
typedef struct {
    char text[400];
} BenchWhy;

// One input: `values` of float32, or int32, in row-major order. `extents` begin with the batch axis, 1.
typedef struct {
    const char* name;
    int integer;
    int axes;
    int64_t extents[BENCH_MOST_AXES];
    void* values;
    size_t bytes;
} BenchInput;

typedef struct {
    const char* graph;
    int threads;
    const char* const* outputs;
    int output_count;
    // Where the layers are to be timed: how the names of files begin that may be written for it. Else NULL.
    const char* profile;
} BenchOpen;

typedef struct {
    const float* data;
    size_t values;
} BenchOutput;

// One layer: `ns` is what stands for its iterations, the median or nearly; `read` and `bytes` those of its inputs and outputs in
// memory, `weights` how many values: -1 where unknown. `extents` are of its first output, without the batch axis.
typedef struct {
    const char* name;
    const char* type;
    int64_t ns, read, bytes, weights;
    int axes;
    int64_t extents[BENCH_MOST_AXES];
} BenchLayer;

typedef void (*BenchTell)(void* to, const BenchLayer* layer);

typedef struct BenchNetwork BenchNetwork;

typedef struct {
    int version;
    // Threads beside those asked for that the library keeps for itself.
    int own_threads;
    // Opens the library; `name` gets its name and version.
    int (*load)(const char* library, char* name, size_t room, BenchWhy* why);
    int (*open)(const BenchOpen* what, BenchNetwork** network, BenchWhy* why);
    // Once, before the first run. The values stay where they are, and change between runs.
    int (*bind)(BenchNetwork* network, const BenchInput* inputs, int count, BenchWhy* why);
    // `outputs` has room for as many as were asked for; they last until the next run.
    int (*run)(BenchNetwork* network, BenchOutput* outputs, BenchWhy* why);
    void (*close)(BenchNetwork* network);
    // NULL, or left out, unless the library times its layers. Once, after the last run of a network that was opened with a
    // `profile`: tells its layers in the order of execution, by the latest `iterations` runs.
    int (*layers)(BenchNetwork* network, size_t iterations, BenchTell tell, void* to, BenchWhy* why);
} BenchBackend;

// The one symbol of a backend.
__attribute__((visibility("default"))) const BenchBackend* bench_backend(void);

#ifdef __cplusplus
}
#endif

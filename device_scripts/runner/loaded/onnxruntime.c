// ONNX Runtime behind backend.h.
//
// Its C interface is a table of functions whose order never changes and which only grows (docs of onnxruntime_c_api.h), so
// what is used of it is declared here, at its places in the table, and no header of the library is needed. Version 18 of the
// table has all of it.

#include <dlfcn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "loaded/backend.h"
#include "loaded/onnxruntime.h"
#include "loaded/statuses.h"

enum { kApiVersion = 18, kMostInputs = 8, kMostOutputs = 64 };
enum { kWarning = 2, kEnableAll = 99, kArenaAllocator = 1, kDefaultMemory = 0, kFloat = 1, kInt32 = 6 };

typedef struct OrtStatus OrtStatus;
typedef struct OrtEnv OrtEnv;
typedef struct OrtSession OrtSession;
typedef struct OrtSessionOptions OrtSessionOptions;
typedef struct OrtAllocator OrtAllocator;
typedef struct OrtMemoryInfo OrtMemoryInfo;
typedef struct OrtValue OrtValue;
typedef struct OrtTensorInfo OrtTensorInfo;
typedef void (*Unused)(void);

typedef struct {
    Unused to_2[2];
    const char* (*GetErrorMessage)(const OrtStatus*);  // 2
    OrtStatus* (*CreateEnv)(int level, const char* name, OrtEnv**);
    Unused to_7[3];
    OrtStatus* (*CreateSession)(const OrtEnv*, const char* path, const OrtSessionOptions*, OrtSession**);  // 7
    Unused to_9[1];
    OrtStatus* (*Run)(OrtSession*, const void* options, const char* const* input_names, const OrtValue* const* inputs,
                      size_t input_count, const char* const* output_names, size_t output_count, OrtValue** outputs);  // 9
    OrtStatus* (*CreateSessionOptions)(OrtSessionOptions**);
    Unused to_14[3];
    OrtStatus* (*EnableProfiling)(OrtSessionOptions*, const char* prefix);  // 14
    Unused to_23[8];
    OrtStatus* (*SetSessionGraphOptimizationLevel)(OrtSessionOptions*, int level);  // 23
    OrtStatus* (*SetIntraOpNumThreads)(OrtSessionOptions*, int count);
    OrtStatus* (*SetInterOpNumThreads)(OrtSessionOptions*, int count);
    Unused to_31[5];
    OrtStatus* (*SessionGetOutputCount)(const OrtSession*, size_t* count);  // 31
    Unused to_37[5];
    OrtStatus* (*SessionGetOutputName)(const OrtSession*, size_t index, OrtAllocator*, char** name);  // 37
    Unused to_49[11];
    OrtStatus* (*CreateTensorWithDataAsOrtValue)(const OrtMemoryInfo*, void* data, size_t bytes, const int64_t* extents,
                                                 size_t axes, int type, OrtValue**);  // 49
    Unused to_51[1];
    OrtStatus* (*GetTensorMutableData)(OrtValue*, void** data);  // 51
    Unused to_60[8];
    OrtStatus* (*GetTensorElementType)(const OrtTensorInfo*, int* type);  // 60
    Unused to_64[3];
    OrtStatus* (*GetTensorShapeElementCount)(const OrtTensorInfo*, size_t* count);  // 64
    OrtStatus* (*GetTensorTypeAndShape)(const OrtValue*, OrtTensorInfo**);
    Unused to_69[3];
    OrtStatus* (*CreateCpuMemoryInfo)(int allocator, int memory, OrtMemoryInfo**);  // 69
    Unused to_76[6];
    OrtStatus* (*AllocatorFree)(OrtAllocator*, void*);  // 76
    Unused to_78[1];
    OrtStatus* (*GetAllocatorWithDefaultOptions)(OrtAllocator**);  // 78
    Unused to_92[13];
    void (*ReleaseEnv)(OrtEnv*);  // 92
    void (*ReleaseStatus)(OrtStatus*);
    void (*ReleaseMemoryInfo)(OrtMemoryInfo*);
    void (*ReleaseSession)(OrtSession*);
    void (*ReleaseValue)(OrtValue*);
    Unused to_99[2];
    void (*ReleaseTensorInfo)(OrtTensorInfo*);  // 99
    void (*ReleaseSessionOptions)(OrtSessionOptions*);
    Unused to_110[9];
    OrtStatus* (*SessionEndProfiling)(OrtSession*, OrtAllocator*, char** path);  // 110
    Unused to_130[19];
    OrtStatus* (*AddSessionConfigEntry)(OrtSessionOptions*, const char* key, const char* value);  // 130
} OrtApi;

_Static_assert(offsetof(OrtApi, AddSessionConfigEntry) == 130 * sizeof(Unused), "the places in the table");
_Static_assert(offsetof(OrtApi, EnableProfiling) == 14 * sizeof(Unused), "the places in the table");
_Static_assert(offsetof(OrtApi, SessionEndProfiling) == 110 * sizeof(Unused), "the places in the table");
_Static_assert(offsetof(OrtApi, ReleaseEnv) == 92 * sizeof(Unused), "the places in the table");
_Static_assert(offsetof(OrtApi, CreateTensorWithDataAsOrtValue) == 49 * sizeof(Unused), "the places in the table");

typedef struct {
    const OrtApi* (*GetApi)(uint32_t version);
    const char* (*GetVersionString)(void);
} OrtApiBase;

struct BenchNetwork {
    OrtEnv* environment;
    OrtSession* session;
    OrtMemoryInfo* memory;
    const char* input_names[kMostInputs];
    OrtValue* inputs[kMostInputs];
    size_t input_count;
    char* output_names[kMostOutputs];
    OrtValue* outputs[kMostOutputs];
    size_t output_count;
};

static const OrtApi* api;

static int refuse(int status, const char* words, BenchWhy* why) {
    snprintf(why->text, sizeof why->text, "%s", words);
    return status;
}

// 0 when `given` is no error; otherwise `status`, unless its words say that memory ended.
static int checked(OrtStatus* given, int status, BenchWhy* why) {
    if (!given) return 0;
    const char* words = api->GetErrorMessage(given);
    const bool memory = strstr(words, "bad_alloc") || strstr(words, "Failed to allocate memory");
    refuse(memory ? kOutOfMemory : status, words, why);
    api->ReleaseStatus(given);
    return memory ? kOutOfMemory : status;
}

#define TRY(call, status)                                  \
    do {                                                   \
        const int failed = checked((call), (status), why); \
        if (failed) return failed;                         \
    } while (0)

static int load(const char* path, char* name, size_t room, BenchWhy* why) {
    // Since 1.29 the official builds report how they are used to their maker, from a thread of their own that also writes a
    // file. Nothing measured here may do that. The library looks at this once, when it is loaded.
    setenv("ORT_DISABLE_TELEMETRY", "1", 1);
    void* library = dlopen(path, RTLD_NOW);
    if (!library) return refuse(kMissingFile, dlerror(), why);
    const OrtApiBase* (*base)(void) = (const OrtApiBase* (*)(void))dlsym(library, "OrtGetApiBase");
    if (!base) return refuse(kMissingFile, "OrtGetApiBase is not in it: not ONNX Runtime", why);
    api = base()->GetApi(kApiVersion);
    if (!api) return refuse(kMissingFile, "this ONNX Runtime is older than version 1.18", why);
    snprintf(name, room, "onnxruntime %s", base()->GetVersionString());
    return 0;
}

static int find_outputs(const BenchOpen* what, BenchNetwork* network, BenchWhy* why) {
    OrtAllocator* allocator;
    size_t count;
    TRY(api->GetAllocatorWithDefaultOptions(&allocator), kBadGraph);
    TRY(api->SessionGetOutputCount(network->session, &count), kBadGraph);
    for (int i = 0; i < what->output_count; i++) {
        bool found = false;
        for (size_t at = 0; at < count && !found; at++) {
            char* name;
            TRY(api->SessionGetOutputName(network->session, at, allocator, &name), kBadGraph);
            found = strcmp(name, what->outputs[i]) == 0;
            TRY(api->AllocatorFree(allocator, name), kBadGraph);
        }
        if (!found) {
            snprintf(why->text, sizeof why->text, "the graph has no output %.200s", what->outputs[i]);
            return kBadGraph;
        }
        network->output_names[network->output_count++] = strdup(what->outputs[i]);
    }
    return 0;
}

static int open_session(const BenchOpen* what, BenchNetwork* network, BenchWhy* why) {
    OrtSessionOptions* options;
    TRY(api->CreateEnv(kWarning, "bench", &network->environment), kBadGraph);
    TRY(api->CreateSessionOptions(&options), kBadGraph);
    TRY(api->SetIntraOpNumThreads(options, what->threads), kBadGraph);
    TRY(api->SetInterOpNumThreads(options, 1), kBadGraph);
    TRY(api->SetSessionGraphOptimizationLevel(options, kEnableAll), kBadGraph);
    // A thread that waits by spinning takes a core from what is at work beside, and heats what is not at work.
    TRY(api->AddSessionConfigEntry(options, "session.intra_op.allow_spinning", "0"), kBadGraph);
    if (what->profile) TRY(api->EnableProfiling(options, what->profile), kBadGraph);
    TRY(api->CreateSession(network->environment, what->graph, options, &network->session), kBadGraph);
    api->ReleaseSessionOptions(options);
    TRY(api->CreateCpuMemoryInfo(kArenaAllocator, kDefaultMemory, &network->memory), kBadGraph);
    return find_outputs(what, network, why);
}

static void forget_outputs(BenchNetwork* network) {
    for (size_t i = 0; i < network->output_count; i++) {
        if (network->outputs[i]) api->ReleaseValue(network->outputs[i]);
        network->outputs[i] = NULL;
    }
}

static void close_network(BenchNetwork* network) {
    forget_outputs(network);
    for (size_t i = 0; i < network->input_count; i++) api->ReleaseValue(network->inputs[i]);
    for (size_t i = 0; i < network->output_count; i++) free(network->output_names[i]);
    if (network->memory) api->ReleaseMemoryInfo(network->memory);
    if (network->session) api->ReleaseSession(network->session);
    if (network->environment) api->ReleaseEnv(network->environment);
    free(network);
}

static int open_network(const BenchOpen* what, BenchNetwork** made, BenchWhy* why) {
    if (what->output_count > kMostOutputs) return refuse(kBadJob, "too many outputs", why);
    BenchNetwork* network = calloc(1, sizeof *network);
    if (!network) return refuse(kOutOfMemory, "not enough memory to open the graph", why);
    const int status = open_session(what, network, why);
    if (status != 0) {
        close_network(network);
        return status;
    }
    *made = network;
    return 0;
}

static int bind(BenchNetwork* network, const BenchInput* inputs, int count, BenchWhy* why) {
    if (count > kMostInputs) return refuse(kBadJob, "too many inputs", why);
    for (int i = 0; i < count; i++) {
        network->input_names[i] = inputs[i].name;
        TRY(api->CreateTensorWithDataAsOrtValue(network->memory, inputs[i].values, inputs[i].bytes, inputs[i].extents,
                                                (size_t)inputs[i].axes, inputs[i].integer ? kInt32 : kFloat, &network->inputs[i]),
            kBadSamples);
        network->input_count++;
    }
    return 0;
}

static int run(BenchNetwork* network, BenchOutput* outputs, BenchWhy* why) {
    forget_outputs(network);
    TRY(api->Run(network->session, NULL, network->input_names, (const OrtValue* const*)network->inputs, network->input_count,
                 (const char* const*)network->output_names, network->output_count, network->outputs),
        kInferenceFailed);
    for (size_t i = 0; i < network->output_count; i++) {
        OrtTensorInfo* info;
        void* data;
        int type;
        TRY(api->GetTensorTypeAndShape(network->outputs[i], &info), kInferenceFailed);
        TRY(api->GetTensorElementType(info, &type), kInferenceFailed);
        TRY(api->GetTensorShapeElementCount(info, &outputs[i].values), kInferenceFailed);
        api->ReleaseTensorInfo(info);
        TRY(api->GetTensorMutableData(network->outputs[i], &data), kInferenceFailed);
        if (type != kFloat) return refuse(kInferenceFailed, "an output is not float32", why);
        outputs[i].data = data;
    }
    return 0;
}

static int layers(BenchNetwork* network, size_t iterations, BenchTell tell, void* to, BenchWhy* why) {
    OrtAllocator* allocator;
    char* path;
    TRY(api->GetAllocatorWithDefaultOptions(&allocator), kInferenceFailed);
    TRY(api->SessionEndProfiling(network->session, allocator, &path), kInferenceFailed);
    const int status = onnxruntime_layers(path, iterations, tell, to, why);
    unlink(path);
    TRY(api->AllocatorFree(allocator, path), kInferenceFailed);
    return status;
}

const BenchBackend* bench_backend(void) {
    static const BenchBackend backend = {BENCH_BACKEND_VERSION, 0, load, open_network, bind, run, close_network, layers};
    return &backend;
}

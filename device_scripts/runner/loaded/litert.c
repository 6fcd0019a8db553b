// LiteRT behind backend.h.
//
// No header of the library is published for C alone, so what is used of it is declared here as its version BENCH_VERSION
// has it. Its maker promises nothing of other versions: a file of another size than BENCH_BYTES is refused.

#include <dlfcn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "loaded/backend.h"
#include "loaded/statuses.h"

#define WORDS_OF(version) WORDS(version)
#define WORDS(version) #version

enum { kMostInputs = 8, kMostOutputs = 64, kMostRank = 8 };
enum { kCpu = 1, kAccelerators = 24, kLogSeverity = 25, kWholeNumber = 2, kErrors = 3, kRead = 0, kWrite = 1 };
enum { kRanked = 0, kFloat = 1, kInt32 = 2 };

typedef struct LiteRtObject* Handle;  // of whatever kind

typedef struct {
    int tag;
    struct {
        int type;
        int64_t number;
    } value;
} Option;

typedef struct {
    int type;
    unsigned rank : 7;
    unsigned has_strides : 1;
    int32_t extents[kMostRank];
    uint32_t strides[kMostRank];
} TensorType;

// Every function that is called: its result, its name without LiteRt, what it takes.
#define FUNCTIONS(X)                                                                                          \
    X(int, CreateEnvironment, (int count, const Option*, Handle * environment))                               \
    X(int, CreateModelFromFile, (Handle environment, const char* path, Handle* model))                        \
    X(int, GetNumModelSignatures, (Handle model, size_t* count))                                              \
    X(int, GetModelSignature, (Handle model, size_t index, Handle* signature))                                \
    X(int, GetNumSignatureInputs, (Handle signature, size_t* count))                                          \
    X(int, GetNumSignatureOutputs, (Handle signature, size_t* count))                                         \
    X(int, GetSignatureInputName, (Handle signature, size_t index, const char** name))                        \
    X(int, GetSignatureOutputName, (Handle signature, size_t index, const char** name))                       \
    X(int, GetSignatureInputTensorByIndex, (Handle signature, size_t index, Handle* tensor))                  \
    X(int, GetSignatureOutputTensorByIndex, (Handle signature, size_t index, Handle* tensor))                 \
    X(int, GetTensorTypeId, (Handle tensor, int* kind))                                                       \
    X(int, GetRankedTensorType, (Handle tensor, TensorType*))                                                 \
    X(int, CreateOptions, (Handle * options))                                                                 \
    X(int, SetOptionsHardwareAccelerators, (Handle options, int set))                                         \
    X(int, CreateOpaqueOptions, (const char* name, void* data, void (*release)(void*), Handle* options))      \
    X(int, AddOpaqueOptions, (Handle options, Handle opaque))                                                 \
    X(int, CreateCompiledModel, (Handle environment, Handle model, Handle options, Handle* compiled))         \
    X(int, GetCompiledModelInputBufferRequirements, (Handle compiled, size_t signature, size_t, Handle*))     \
    X(int, GetCompiledModelOutputBufferRequirements, (Handle compiled, size_t signature, size_t, Handle*))    \
    X(int, CreateManagedTensorBufferFromRequirements, (Handle environment, const TensorType*, Handle, Handle*)) \
    X(int, GetTensorBufferPackedSize, (Handle buffer, size_t* bytes))                                         \
    X(int, LockTensorBuffer, (Handle buffer, void** data, int mode))                                          \
    X(int, UnlockTensorBuffer, (Handle buffer))                                                               \
    X(int, RunCompiledModel, (Handle compiled, size_t signature, size_t, Handle*, size_t, Handle*))           \
    X(void, DestroyTensorBuffer, (Handle))                                                                    \
    X(void, DestroyCompiledModel, (Handle))                                                                   \
    X(void, DestroyOptions, (Handle))                                                                         \
    X(void, DestroyModel, (Handle))                                                                           \
    X(void, DestroyEnvironment, (Handle))

#define DECLARED(result, name, arguments) static result(*name) arguments;
FUNCTIONS(DECLARED)

struct BenchNetwork {
    Handle environment, model, options, compiled, signature;
    size_t input_count, output_count;            // of the signature
    Handle inputs[kMostInputs], outputs[kMostOutputs];  // buffers in the signature's order
    const void* values[kMostInputs];             // of the runner, in the signature's order
    size_t bytes[kMostInputs];
    size_t asked[kMostOutputs];  // places in the signature, in the job's order
    size_t asked_count;
};

static int refuse(int status, const char* words, BenchWhy* why) {
    snprintf(why->text, sizeof why->text, "%s", words);
    return status;
}

static const char* words_of(int given) {
    switch (given) {
        case 1: return "an argument that it does not take";
        case 2: return "not enough memory";
        case 3: return "a failure at run time";
        case 4: return "an input is missing";
        case 5: return "something in the graph that it does not support";
        case 6: return "something is not found";
        case 8: return "another version";
        case 500: return "the file cannot be read";
        case 501: return "not a whole .tflite file";
        case 502: return "a library cannot be loaded";
        case 504: return "the graph cannot be compiled";
        case 1000: return "a place outside a list";
        case 1001: return "a type of tensor that it does not know";
        case 1002: return "a graph that contradicts itself";
        case 4000: return "a file for a newer version";
        default: return "an error that it does not explain";
    }
}

// 0 when `given` is no error; otherwise `status`, unless memory ended.
static int checked(int given, const char* doing, int status, BenchWhy* why) {
    if (given == 0) return 0;
    snprintf(why->text, sizeof why->text, "LiteRT says of %s: %s (status %d)", doing, words_of(given), given);
    return given == 2 ? kOutOfMemory : status;
}

#define TRY(call, doing, status)                                    \
    do {                                                            \
        const int failed = checked((call), (doing), (status), why); \
        if (failed) return failed;                                  \
    } while (0)

static int load(const char* path, char* name, size_t room, BenchWhy* why) {
    struct stat found;
    if (stat(path, &found) != 0) return refuse(kMissingFile, "the library cannot be read", why);
    if (found.st_size != BENCH_BYTES) return refuse(kMissingFile, "this is not LiteRT " WORDS_OF(BENCH_VERSION), why);
    void* library = dlopen(path, RTLD_NOW);
    if (!library) return refuse(kMissingFile, dlerror(), why);
#define FOUND(result, name, arguments) \
    if (!(*(void**)&name = dlsym(library, "LiteRt" #name))) return refuse(kMissingFile, dlerror(), why);
    FUNCTIONS(FOUND)
    snprintf(name, room, "litert %s", WORDS_OF(BENCH_VERSION));
    return 0;
}

// Nothing is ordered in a signature but by its own tables: everything is found by name.
static int find_outputs(const BenchOpen* what, BenchNetwork* network, BenchWhy* why) {
    for (int i = 0; i < what->output_count; i++) {
        size_t place = network->output_count;
        for (size_t j = 0; j < network->output_count && place == network->output_count; j++) {
            const char* name;
            TRY(GetSignatureOutputName(network->signature, j, &name), "an output's name", kBadGraph);
            if (strcmp(name, what->outputs[i]) == 0) place = j;
        }
        if (place == network->output_count) {
            snprintf(why->text, sizeof why->text, "the graph has no output %s", what->outputs[i]);
            return kBadGraph;
        }
        network->asked[network->asked_count++] = place;
    }
    return 0;
}

static int set_options(int threads, BenchNetwork* network, BenchWhy* why) {
    TRY(CreateOptions(&network->options), "its options", kOutOfMemory);
    TRY(SetOptionsHardwareAccelerators(network->options, kCpu), "running on the CPU", kUnsupported);
    char* words = malloc(64);
    if (!words) return refuse(kOutOfMemory, "not enough memory for options", why);
    snprintf(words, 64, "num_threads = %d\n", threads);
    Handle opaque;
    TRY(CreateOpaqueOptions("xnnpack", words, free, &opaque), "threads", kUnsupported);
    TRY(AddOpaqueOptions(network->options, opaque), "threads", kUnsupported);
    return 0;
}

static int make_outputs(BenchNetwork* network, BenchWhy* why) {
    for (size_t i = 0; i < network->output_count; i++) {
        Handle tensor, wanted;
        int kind;
        TensorType type;
        TRY(GetSignatureOutputTensorByIndex(network->signature, i, &tensor), "an output", kBadGraph);
        TRY(GetTensorTypeId(tensor, &kind), "an output's type", kBadGraph);
        if (kind != kRanked) return refuse(kBadGraph, "an output has no known shape", why);
        TRY(GetRankedTensorType(tensor, &type), "an output's type", kBadGraph);
        if (type.type != kFloat) return refuse(kBadGraph, "an output is not float32", why);
        TRY(GetCompiledModelOutputBufferRequirements(network->compiled, 0, i, &wanted), "an output's memory", kBadGraph);
        TRY(CreateManagedTensorBufferFromRequirements(network->environment, &type, wanted, &network->outputs[i]),
            "an output's memory", kOutOfMemory);
    }
    return 0;
}

static int compile(const BenchOpen* what, BenchNetwork* network, BenchWhy* why) {
    // Only the CPU, so that no driver is looked for, and only errors are written to stderr.
    const Option options[] = {{kAccelerators, {kWholeNumber, kCpu}}, {kLogSeverity, {kWholeNumber, kErrors}}};
    TRY(CreateEnvironment(2, options, &network->environment), "its environment", kUnsupported);
    TRY(CreateModelFromFile(network->environment, what->graph, &network->model), "the file", kBadGraph);
    size_t signatures;
    TRY(GetNumModelSignatures(network->model, &signatures), "the file's signatures", kBadGraph);
    if (signatures == 0) return refuse(kBadGraph, "the file has no signature, which names inputs and outputs", why);
    TRY(GetModelSignature(network->model, 0, &network->signature), "the file's signature", kBadGraph);
    size_t inputs, outputs;
    TRY(GetNumSignatureInputs(network->signature, &inputs), "the inputs", kBadGraph);
    TRY(GetNumSignatureOutputs(network->signature, &outputs), "the outputs", kBadGraph);
    if (inputs == 0 || inputs > kMostInputs) return refuse(kBadGraph, "the graph has no input, or more than 8", why);
    if (outputs > kMostOutputs) return refuse(kBadGraph, "the graph has more than 64 outputs", why);
    network->input_count = inputs;
    network->output_count = outputs;
    int failed = find_outputs(what, network, why);
    if (!failed) failed = set_options(what->threads, network, why);
    if (failed) return failed;
    TRY(CreateCompiledModel(network->environment, network->model, network->options, &network->compiled), "the graph", kBadGraph);
    return make_outputs(network, why);
}

static void close_network(BenchNetwork* network) {
    if (!network) return;
    for (size_t i = 0; i < network->input_count; i++) {
        if (network->inputs[i]) DestroyTensorBuffer(network->inputs[i]);
    }
    for (size_t i = 0; i < network->output_count; i++) {
        if (network->outputs[i]) DestroyTensorBuffer(network->outputs[i]);
    }
    if (network->compiled) DestroyCompiledModel(network->compiled);
    if (network->options) DestroyOptions(network->options);
    if (network->model) DestroyModel(network->model);
    if (network->environment) DestroyEnvironment(network->environment);
    free(network);
}

static int open_network(const BenchOpen* what, BenchNetwork** made, BenchWhy* why) {
    if (what->output_count > kMostOutputs) return refuse(kBadJob, "too many outputs", why);
    BenchNetwork* network = calloc(1, sizeof *network);
    if (!network) return refuse(kOutOfMemory, "not enough memory to open the graph", why);
    const int status = compile(what, network, why);
    if (status != 0) {
        close_network(network);
        return status;
    }
    *made = network;
    return 0;
}

static const BenchInput* named(const BenchInput* inputs, int count, const char* name) {
    for (int i = 0; i < count; i++) {
        if (strcmp(inputs[i].name, name) == 0) return &inputs[i];
    }
    return NULL;
}

static int expect_type(const BenchInput* input, Handle tensor, TensorType* type, BenchWhy* why) {
    int kind;
    TRY(GetTensorTypeId(tensor, &kind), "an input's type", kBadGraph);
    bool same = kind == kRanked;
    if (same) {
        TRY(GetRankedTensorType(tensor, type), "an input's type", kBadGraph);
        same = type->type == (input->integer ? kInt32 : kFloat) && (int)type->rank == input->axes;
    }
    for (int axis = 0; same && axis < input->axes; axis++) same = type->extents[axis] == input->extents[axis];
    if (same) return 0;
    snprintf(why->text, sizeof why->text, "the samples of %s have another type or shape than the graph takes", input->name);
    return kBadSamples;
}

static int bind(BenchNetwork* network, const BenchInput* inputs, int count, BenchWhy* why) {
    if (count != (int)network->input_count) {
        snprintf(why->text, sizeof why->text, "the graph has %zu inputs, and the job %d", network->input_count, count);
        return kBadSamples;
    }
    for (size_t i = 0; i < network->input_count; i++) {
        const char* name;
        Handle tensor, wanted;
        TensorType type;
        TRY(GetSignatureInputName(network->signature, i, &name), "an input's name", kBadGraph);
        const BenchInput* input = named(inputs, count, name);
        if (!input) {
            snprintf(why->text, sizeof why->text, "the graph has an input %.100s that the job does not name", name);
            return kBadGraph;
        }
        TRY(GetSignatureInputTensorByIndex(network->signature, i, &tensor), "an input", kBadGraph);
        const int failed = expect_type(input, tensor, &type, why);
        if (failed) return failed;
        TRY(GetCompiledModelInputBufferRequirements(network->compiled, 0, i, &wanted), "an input's memory", kBadGraph);
        TRY(CreateManagedTensorBufferFromRequirements(network->environment, &type, wanted, &network->inputs[i]),
            "an input's memory", kOutOfMemory);
        size_t bytes;
        TRY(GetTensorBufferPackedSize(network->inputs[i], &bytes), "an input's memory", kBadGraph);
        if (bytes != input->bytes) return refuse(kBadSamples, "an input has another size in memory than its samples", why);
        network->values[i] = input->values;
        network->bytes[i] = input->bytes;
    }
    return 0;
}

// Its buffers have an alignment that the runner's do not, so inputs are copied, and the copy is part of an inference.
static int run(BenchNetwork* network, BenchOutput* outputs, BenchWhy* why) {
    for (size_t i = 0; i < network->input_count; i++) {
        void* data;
        TRY(LockTensorBuffer(network->inputs[i], &data, kWrite), "writing an input", kInferenceFailed);
        memcpy(data, network->values[i], network->bytes[i]);
        TRY(UnlockTensorBuffer(network->inputs[i]), "writing an input", kInferenceFailed);
    }
    TRY(RunCompiledModel(network->compiled, 0, network->input_count, network->inputs, network->output_count, network->outputs),
        "an inference", kInferenceFailed);
    for (size_t i = 0; i < network->asked_count; i++) {
        const Handle buffer = network->outputs[network->asked[i]];
        void* data;
        size_t bytes;
        TRY(GetTensorBufferPackedSize(buffer, &bytes), "an output", kInferenceFailed);
        TRY(LockTensorBuffer(buffer, &data, kRead), "reading an output", kInferenceFailed);
        TRY(UnlockTensorBuffer(buffer), "reading an output", kInferenceFailed);
        outputs[i].data = data;
        outputs[i].values = bytes / sizeof(float);
    }
    return 0;
}

const BenchBackend* bench_backend(void) {
    static const BenchBackend backend = {BENCH_BACKEND_VERSION, 0, load, open_network, bind, run, close_network};
    return &backend;
}

// MNN behind backend.h.
//
// The library is the engine in MNN's own Python package: the only build for Linux that is published. It exports its C++
// classes; a function of them is one of C whose first argument is the object, and the structures that pass are made of
// numbers and pointers, so all of it is declared here as version BENCH_VERSION has it. Another version is refused.
//
// The engine asks for Python's functions, and is given the ones below: nothing of MNN's interpreter calls them.

#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "loaded/backend.h"
#include "loaded/statuses.h"

#define WORDS_OF(version) WORDS(version)
#define WORDS(version) #version
#define VISIBLE __attribute__((visibility("default")))

#define PYTHON_FUNCTIONS(X)                                                                                                    \
    X(PyArg_ParseTuple) X(PyArg_ParseTupleAndKeywords) X(PyBytes_Size) X(PyCMethod_New) X(PyCallable_Check)                    \
    X(PyCapsule_GetPointer) X(PyCapsule_New) X(PyDict_GetItemString) X(PyDict_New) X(PyDict_Next) X(PyDict_SetItem)            \
    X(PyDict_SetItemString) X(PyErr_Clear) X(PyErr_ExceptionMatches) X(PyErr_Format) X(PyErr_Occurred) X(PyErr_SetString)      \
    X(PyEval_RestoreThread) X(PyEval_SaveThread) X(PyFloat_AsDouble) X(PyFloat_FromDouble) X(PyImport_AddModule)               \
    X(PyImport_Import) X(PyImport_ImportModule) X(PyList_GetItem) X(PyList_New) X(PyList_SetItem) X(PyList_Size)               \
    X(PyLong_AsLong) X(PyLong_AsLongLongAndOverflow) X(PyLong_AsVoidPtr) X(PyLong_FromLong) X(PyLong_FromLongLong)             \
    X(PyModule_AddObject) X(PyModule_Create2) X(PyModule_GetName) X(PyObject_Call) X(PyObject_CallObject)                      \
    X(PyObject_GetAttrString) X(PyObject_IsInstance) X(PyObject_SetAttrString) X(PySequence_Check) X(PySequence_Fast)          \
    X(PySequence_GetItem) X(PySequence_Size) X(PySlice_Unpack) X(PyTuple_GetItem) X(PyTuple_New) X(PyTuple_SetItem)            \
    X(PyTuple_Size) X(PyType_IsSubtype) X(PyType_Ready) X(PyUnicode_AsUTF8String) X(PyUnicode_DecodeUTF8)                      \
    X(PyUnicode_FromString) X(Py_BuildValue) X(_Py_Dealloc)
#define PYTHON_OBJECTS(X)                                                                                                      \
    X(PyCapsule_Type) X(PyEllipsis_Type) X(PyExc_Exception) X(PyExc_ModuleNotFoundError) X(PyExc_RuntimeError)                 \
    X(PyExc_TypeError) X(PyExc_ValueError) X(PyFloat_Type) X(PySlice_Type) X(_Py_FalseStruct) X(_Py_NoneStruct)                \
    X(_Py_TrueStruct)
#define PYTHON_FUNCTION(name)    \
    VISIBLE void* name(void);    \
    VISIBLE void* name(void) {   \
        return NULL;             \
    }
#define PYTHON_OBJECT(name)         \
    extern VISIBLE void* name[64];  \
    VISIBLE void* name[64];
PYTHON_FUNCTIONS(PYTHON_FUNCTION)
PYTHON_OBJECTS(PYTHON_OBJECT)

enum { kMostInputs = 8, kMostOutputs = 64 };
enum { kRelease = 1, kPrecisionHigh = 1, kResizeStatus = 3, kChannelsFirst = 1, kInteger = 0, kFloat = 2, kMemory = 1 };

typedef struct Interpreter Interpreter;
typedef struct Session Session;

typedef struct {  // std::vector of what has no destructor
    const void *begin, *end, *room;
} Vector;

typedef struct {
    int memory, power, precision;
    void* context;
} BackendConfig;

typedef struct {
    Vector kept;
    int type, threads;
    struct {
        Vector inputs, outputs;
        int mode;
    } path;
    int backup_type;
    const BackendConfig* config;
} ScheduleConfig;

typedef struct {
    int32_t code;
    uint8_t bits;
    uint16_t lanes;
} Type;

typedef struct {
    int32_t min, extent, stride;
    uint32_t flags;
} Axis;

typedef struct {  // its public part, halide_buffer_t
    uint64_t device;
    void* device_interface;
    void* host;
    uint64_t flags;
    Type type;
    int32_t axes;
    Axis* axis;
} Tensor;

_Static_assert(sizeof(void*) == 8, "the layouts are those of 64-bit processors");
_Static_assert(sizeof(ScheduleConfig) == 104, "ScheduleConfig");
_Static_assert(offsetof(Tensor, host) == 16 && offsetof(Tensor, axis) == 48, "halide_buffer_t");

// Every function that is called: its result, its name here, its symbol, what it takes.
#define FUNCTIONS(X)                                                                                                           \
    X(const char*, version, "_ZN3MNN10getVersionEv", (void))                                                                   \
    X(Interpreter*, create, "_ZN3MNN11Interpreter14createFromFileEPKc", (const char* path))                                    \
    X(void, destroy, "_ZN3MNN11Interpreter7destroyEPS0_", (Interpreter*))                                                      \
    X(void, set_mode, "_ZN3MNN11Interpreter14setSessionModeENS0_11SessionModeE", (Interpreter*, int))                          \
    X(Session*, create_session, "_ZN3MNN11Interpreter13createSessionERKNS_14ScheduleConfigE",                                  \
      (Interpreter*, const ScheduleConfig*))                                                                                   \
    X(bool, session_info, "_ZN3MNN11Interpreter14getSessionInfoEPKNS_7SessionENS0_15SessionInfoCodeEPv",                       \
      (Interpreter*, const Session*, int, void*))                                                                              \
    X(Tensor*, input_of, "_ZN3MNN11Interpreter15getSessionInputEPKNS_7SessionEPKc",                                            \
      (Interpreter*, const Session*, const char*))                                                                             \
    X(Tensor*, output_of, "_ZN3MNN11Interpreter16getSessionOutputEPKNS_7SessionEPKc",                                          \
      (Interpreter*, const Session*, const char*))                                                                             \
    X(int, run_session, "_ZNK3MNN11Interpreter10runSessionEPNS_7SessionE", (const Interpreter*, Session*))                     \
    X(Tensor*, make_tensor, "_ZN3MNN6Tensor6createERKSt6vectorIiSaIiEE13halide_type_tPvNS0_13DimensionTypeE",                  \
      (const Vector* extents, Type, void* values, int order))                                                                  \
    X(void, destroy_tensor, "_ZN3MNN6Tensor7destroyEPS0_", (Tensor*))                                                          \
    X(bool, copy_from, "_ZN3MNN6Tensor18copyFromHostTensorEPKS0_", (Tensor*, const Tensor*))                                   \
    X(bool, copy_to, "_ZNK3MNN6Tensor16copyToHostTensorEPS0_", (const Tensor*, Tensor*))

#define DECLARED(result, name, symbol, arguments) static result(*name) arguments;
FUNCTIONS(DECLARED)

struct BenchNetwork {
    Interpreter* interpreter;
    Session* session;
    Tensor *inputs[kMostInputs], *given[kMostInputs];    // MNN's, and those that are views of the runner's values
    Tensor *outputs[kMostOutputs], *copies[kMostOutputs];  // MNN's, and in the order of a job's answers
    size_t values[kMostOutputs];
    int input_count, output_count;
};

// MNN prints to standard output, where the runner's events are, and nowhere else.
static FILE* events;
static void hush(void) {
    events = stdout;
    stdout = stderr;
}
static void speak(void) {
    fflush(stdout);
    stdout = events;
}

static int refuse(int status, const char* words, BenchWhy* why) {
    snprintf(why->text, sizeof why->text, "%s", words);
    return status;
}

static const char* words_of(int given) {
    switch (given) {
        case 1: return "not enough memory";
        case 2: return "something in the graph that it does not support";
        case 3: return "a tensor whose size it cannot compute";
        case 4: return "a layer that it cannot execute";
        case 5: return "an invalid value";
        case 10: return "inputs that do not fit the graph";
        case 20: return "a tensor that it does not support";
        default: return "an error that it does not explain";
    }
}

static int load(const char* path, char* name, size_t room, BenchWhy* why) {
    // The engine looks for Python's functions among what the process shares, so this library has to be part of that.
    Dl_info self;
    if (dladdr((const void*)words_of, &self) == 0 || !dlopen(self.dli_fname, RTLD_NOW | RTLD_GLOBAL | RTLD_NOLOAD)) {
        return refuse(kUnsupported, "this system does not let the backend share its functions", why);
    }
    void* library = dlopen(path, RTLD_NOW);
    if (!library) return refuse(kMissingFile, dlerror(), why);
#define FOUND(result, name, symbol, arguments) \
    if (!(*(void**)&name = dlsym(library, symbol))) return refuse(kMissingFile, dlerror(), why);
    FUNCTIONS(FOUND)
    if (strcmp(version(), WORDS_OF(BENCH_VERSION)) != 0) {
        snprintf(why->text, sizeof why->text, "this is MNN %.20s, not " WORDS_OF(BENCH_VERSION), version());
        return kMissingFile;
    }
    snprintf(name, room, "mnn %s", version());
    return 0;
}

// A tensor in the order of a job's values: a view of `values`, or with memory of its own.
static Tensor* plain(const Tensor* like, void* values) {
    int extents[8];
    if (like->axes < 0 || like->axes > 8) return NULL;
    for (int i = 0; i < like->axes; i++) extents[i] = like->axis[i].extent;
    const Vector shape = {extents, extents + like->axes, extents + like->axes};
    return make_tensor(&shape, like->type, values, kChannelsFirst);
}

static int find_outputs(const BenchOpen* what, BenchNetwork* network, BenchWhy* why) {
    for (int i = 0; i < what->output_count; i++) {
        Tensor* found = output_of(network->interpreter, network->session, what->outputs[i]);
        if (!found) {
            snprintf(why->text, sizeof why->text, "the graph has no output %s", what->outputs[i]);
            return kBadGraph;
        }
        if (found->type.code != kFloat || found->type.bits != 32) return refuse(kBadGraph, "an output is not float32", why);
        network->outputs[i] = found;
        network->copies[i] = plain(found, NULL);
        if (!network->copies[i] || !network->copies[i]->host) return refuse(kOutOfMemory, "not enough memory for an output", why);
        network->output_count++;
        network->values[i] = 1;
        for (int axis = 0; axis < found->axes; axis++) network->values[i] *= (size_t)found->axis[axis].extent;
    }
    return 0;
}

static int prepare(const BenchOpen* what, BenchNetwork* network, BenchWhy* why) {
    network->interpreter = create(what->graph);
    if (!network->interpreter) return refuse(kBadGraph, "MNN cannot read the file: not whole, or not an .mnn file", why);
    set_mode(network->interpreter, kRelease);
    const BackendConfig precise = {.precision = kPrecisionHigh};  // float32, also where the processor has float16
    const ScheduleConfig asked = {.threads = what->threads, .config = &precise};
    network->session = create_session(network->interpreter, &asked);
    if (!network->session) return refuse(kBadGraph, "MNN cannot prepare the graph", why);
    int left = -1;
    if (!session_info(network->interpreter, network->session, kResizeStatus, &left) || left != 0) {
        return refuse(kBadGraph, "MNN cannot prepare the graph: a layer or a shape that it does not support", why);
    }
    return find_outputs(what, network, why);
}

static void close_network(BenchNetwork* network) {
    if (!network) return;
    hush();
    for (int i = 0; i < network->input_count; i++) destroy_tensor(network->given[i]);
    for (int i = 0; i < network->output_count; i++) destroy_tensor(network->copies[i]);
    if (network->interpreter) destroy(network->interpreter);
    speak();
    free(network);
}

static int open_network(const BenchOpen* what, BenchNetwork** made, BenchWhy* why) {
    if (what->output_count > kMostOutputs) return refuse(kBadJob, "too many outputs", why);
    BenchNetwork* network = calloc(1, sizeof *network);
    if (!network) return refuse(kOutOfMemory, "not enough memory to open the graph", why);
    hush();
    const int status = prepare(what, network, why);
    speak();
    if (status != 0) {
        close_network(network);
        return status;
    }
    *made = network;
    return 0;
}

static int bind_one(BenchNetwork* network, const BenchInput* input, BenchWhy* why) {
    Tensor* found = input_of(network->interpreter, network->session, input->name);
    if (!found) {
        snprintf(why->text, sizeof why->text, "the graph has no input %.100s", input->name);
        return kBadGraph;
    }
    bool same = found->axes == input->axes && found->type.bits == 32 && found->type.code == (input->integer ? kInteger : kFloat);
    for (int axis = 0; same && axis < input->axes; axis++) same = found->axis[axis].extent == input->extents[axis];
    if (!same) {
        snprintf(why->text, sizeof why->text, "the samples of %.100s have another type or shape than the graph takes", input->name);
        return kBadSamples;
    }
    network->inputs[network->input_count] = found;
    Tensor* view = plain(found, input->values);
    if (!view) return refuse(kOutOfMemory, "not enough memory for an input", why);
    network->given[network->input_count++] = view;
    return 0;
}

static int bind(BenchNetwork* network, const BenchInput* inputs, int count, BenchWhy* why) {
    if (count > kMostInputs) return refuse(kBadJob, "too many inputs", why);
    hush();
    int failed = 0;
    for (int i = 0; i < count && !failed; i++) failed = bind_one(network, &inputs[i], why);
    speak();
    return failed;
}

static int infer(BenchNetwork* network, BenchWhy* why) {
    for (int i = 0; i < network->input_count; i++) copy_from(network->inputs[i], network->given[i]);
    const int given = run_session(network->interpreter, network->session);
    if (given != 0) {
        snprintf(why->text, sizeof why->text, "MNN says of an inference: %s (status %d)", words_of(given), given);
        return given == kMemory ? kOutOfMemory : kInferenceFailed;
    }
    for (int i = 0; i < network->output_count; i++) copy_to(network->outputs[i], network->copies[i]);
    return 0;
}

// MNN keeps tensors in an order of its own, so inputs and outputs are copied, and the copies are part of an inference.
static int run(BenchNetwork* network, BenchOutput* outputs, BenchWhy* why) {
    hush();
    const int failed = infer(network, why);
    speak();
    for (int i = 0; i < network->output_count && !failed; i++) {
        outputs[i].data = network->copies[i]->host;
        outputs[i].values = network->values[i];
    }
    return failed;
}

const BenchBackend* bench_backend(void) {
    static const BenchBackend backend = {BENCH_BACKEND_VERSION, 0, load, open_network, bind, run, close_network};
    return &backend;
}

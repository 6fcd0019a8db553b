// bench-frq: what the runner's reader makes of .frq packages, for comparisons with other readers, and how fast it decodes.
//
//   bench-frq read PACKAGE…           a JSON line for each: {"refused":"…"}, or {"name":"…","tensors":[…]} with each
//                                     tensor's fields and [index…, bits of the float32] of each value; and of one with
//                                     capacities {"smaller":[…]} besides, the tensors of each but the largest
//   bench-frq time PACKAGE ROUNDS     a JSON line for each round: the ns to decode every weight to dense float32, and of
//                                     memset and memcpy of as many bytes, in memory never touched and touched before

#include <sys/mman.h>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

#include "contract/files.h"
#include "contract/process.h"
#include "weights/dct.h"

namespace bench {
namespace {

constexpr uint64_t kLargestPackage = 1 << 28;

std::string quoted(const std::string& utf8) {
    std::string text = "\"";
    for (const char c : utf8) {
        const auto byte = static_cast<unsigned char>(c);
        char escaped[8];
        std::snprintf(escaped, sizeof escaped, byte < 0x20 || c == '"' || c == '\\' ? "\\u%04x" : "%c", byte);
        text += byte == 0 ? "\\u0000" : escaped;
    }
    return text + '"';
}

void print_value(const Axes& index, int rank, float value, bool first) {
    uint32_t bits;
    std::memcpy(&bits, &value, sizeof bits);
    std::printf(first ? "[" : ",[");
    for (int axis = 0; axis < rank; axis++) std::printf("%d,", index[axis]);
    std::printf("%u]", bits);
}

void print_tensor(const FrqTensor& tensor) {
    std::printf("{\"kind\":%d,\"half\":%d,\"int8\":%d,\"vector\":%d,\"transposed\":%d,\"shape\":[", static_cast<int>(tensor.kind),
                tensor.half, tensor.scale > 0, tensor.vector, tensor.transposed);
    for (int axis = 0; axis < tensor.rank; axis++) std::printf(axis == 0 ? "%d" : ",%d", tensor.shape[axis]);
    std::printf("],\"values\":[");
    if (tensor.kind == FrqTensor::Kind::raw) {
        for (uint32_t i = 0; i < tensor.size; i++) print_value({}, 0, tensor.value(i), i == 0);
    } else {
        bool first = true;
        for (const Coefficient& c : tensor.coefficients()) {
            print_value(c.index, tensor.rank, c.value, first);
            first = false;
        }
    }
    std::printf("]}");
}

void print_tensors(const std::vector<FrqTensor>& tensors) {
    bool first = true;
    std::printf("[");
    for (const FrqTensor& tensor : tensors) {
        if (!first) std::printf(",");
        print_tensor(tensor);
        first = false;
    }
    std::printf("]");
}

void read(const char* path) {
    try {
        const FrqPackage package(read_whole(path, kLargestPackage, Exit::bad_weights), path);
        std::printf("{\"name\":%s,\"tensors\":", quoted(package.name()).c_str());
        print_tensors(package.tensors());
        if (package.capacities() > 1) std::printf(",\"smaller\":[");
        for (int capacity = 1; capacity < package.capacities(); capacity++) {
            if (capacity > 1) std::printf(",");
            print_tensors(package.at(capacity));
        }
        std::printf(package.capacities() > 1 ? "]}\n" : "}\n");
    } catch (const Failure& failure) {
        std::printf("{\"refused\":%s}\n", quoted(failure.what()).c_str());
    }
}

// As many bytes of memory as asked for, from the system and not touched yet.
class Pages {
public:
    explicit Pages(size_t bytes) : bytes_(bytes), start_(mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)) {
        if (start_ == MAP_FAILED) throw Failure(Exit::out_of_memory, "the weights do not fit into memory");
    }
    ~Pages() { munmap(start_, bytes_); }
    Pages(const Pages&) = delete;
    Pages& operator=(const Pages&) = delete;

    float* floats() const { return static_cast<float*>(start_); }

private:
    size_t bytes_;
    void* start_;
};

// Everything from the bytes of the package on, as loading a network does it.
int64_t time_decode(const char* path, float* to) {
    const int64_t start = now_ns();
    const FrqPackage package(read_whole(path, kLargestPackage, Exit::bad_weights), path);
    for (const FrqTensor& tensor : package.tensors()) {
        if (tensor.kind == FrqTensor::Kind::raw) continue;
        const Core core(tensor);
        core.decode_dense(to);
        to += core.dense_size();
    }
    return now_ns() - start;
}

// A memset of the target and then a memcpy to it.
int64_t time_copy(const void* from, float* to, size_t bytes) {
    const int64_t start = now_ns();
    std::memset(to, 1, bytes);
    asm volatile("" ::"r"(to) : "memory");  // both really happen
    std::memcpy(to, from, bytes);
    asm volatile("" ::"r"(to) : "memory");
    return now_ns() - start;
}

void time(const char* path, int rounds) {
    size_t values = 0;
    const FrqPackage package(read_whole(path, kLargestPackage, Exit::bad_weights), path);
    for (const FrqTensor& tensor : package.tensors()) values += tensor.kind == FrqTensor::Kind::raw ? 0 : tensor.size;
    if (values == 0) throw Failure(Exit::bad_weights, std::string(path) + ": no coefficients");
    const size_t bytes = values * sizeof(float);
    const Pages source(bytes), touched(bytes);
    std::memset(source.floats(), 2, bytes);
    std::memset(touched.floats(), 2, bytes);
    for (int round = 0; round < rounds; round++) {
        int64_t fresh_decode, fresh_copy;
        {
            const Pages fresh(bytes);
            fresh_decode = time_decode(path, fresh.floats());
        }
        {
            const Pages fresh(bytes);
            fresh_copy = time_copy(source.floats(), fresh.floats(), bytes);
        }
        const int64_t warm_decode = time_decode(path, touched.floats());
        const int64_t warm_copy = time_copy(source.floats(), touched.floats(), bytes);
        std::printf("{\"bytes\":%zu,\"fresh_decode\":%lld,\"fresh_copy\":%lld,\"touched_decode\":%lld,\"touched_copy\":%lld}\n", bytes,
                    static_cast<long long>(fresh_decode), static_cast<long long>(fresh_copy), static_cast<long long>(warm_decode),
                    static_cast<long long>(warm_copy));
    }
}

}  // namespace
}  // namespace bench

int main(int count, char** arguments) {
    const std::string verb = count > 2 ? arguments[1] : "";
    try {
        if (verb == "read") {
            for (int i = 2; i < count; i++) bench::read(arguments[i]);
            return 0;
        }
        if (verb == "time" && count == 4) {
            bench::time(arguments[2], std::atoi(arguments[3]));
            return 0;
        }
    } catch (const bench::Failure& failure) {
        std::fprintf(stderr, "bench-frq: %s\n", failure.what());
        return static_cast<int>(failure.exit);
    }
    std::fprintf(stderr, "usage: bench-frq read PACKAGE… | time PACKAGE ROUNDS\n");
    return static_cast<int>(bench::Exit::bad_job);
}

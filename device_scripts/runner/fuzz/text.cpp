// libFuzzer target: the files beside the package. The first byte of the input chooses what the rest is: a job, a packed
// sample file, a graph to be factored, or what the kernel says of its clocks; one value of it says int8 weights to widen.

#include <sys/mman.h>
#include <unistd.h>
#include <cstdint>
#include <string>
#include <vector>

#include "contract/clocks.h"
#include "contract/failure.h"
#include "contract/job.h"
#include "contract/samples.h"
#include "ncnn/factor.h"
#include "weights/widened.h"

namespace {

constexpr uint8_t kWidened = 0xFF;

// A file of those bytes that exists nowhere but in memory.
class MemoryFile {
public:
    MemoryFile(const uint8_t* bytes, size_t count) : descriptor_(memfd_create("fuzz", 0)) {
        if (write(descriptor_, bytes, count) != static_cast<ssize_t>(count)) __builtin_trap();
    }
    ~MemoryFile() { close(descriptor_); }
    MemoryFile(const MemoryFile&) = delete;
    MemoryFile& operator=(const MemoryFile&) = delete;

    std::string path() const { return "/proc/self/fd/" + std::to_string(descriptor_); }

private:
    int descriptor_;
};

void read_samples(const std::string& path) {
    const bench::Samples samples(path);
    for (const bench::InputShape& input : samples.inputs()) {
        const size_t plane = 4 * input.values() / input.planes(), step = plane + 12;  // with a gap, as ncnn has it
        std::vector<uint8_t> values(step * input.planes());
        for (uint32_t i = 0; i < samples.count(); i++) samples.read(i, input, values.data(), step);
    }
}

void factor_graph(std::string text) {
    static const uint8_t values[64] = {};
    const auto tensor = [](std::initializer_list<int32_t> shape, bool transposed) {
        bench::FrqTensor made{
            bench::FrqTensor::Kind::prefix, true, false, transposed, static_cast<int>(shape.size()), {}, 1, 3, nullptr, values, 0};
        made.shape.fill(1);
        std::copy(shape.begin(), shape.end(), made.shape.begin());
        for (const int32_t extent : shape) made.size *= static_cast<uint32_t>(extent);
        return made;
    };
    bench::factor(text, {tensor({4, 2, 3, 3}, false), tensor({3, 2}, false), tensor({4, 2, 2}, false), tensor({2, 6, 2, 2}, true)});
}

void read_clocks(const std::string& text) {
    for (const int cpu : bench::parse_cpus(text)) {
        if (cpu < 0 || cpu > 1023) __builtin_trap();
    }
    for (const bench::State& state : bench::parse_states(text)) {
        if (state.khz <= 0 || state.ticks < 0) __builtin_trap();
    }
    const int64_t khz = bench::parse_khz(text);
    if (khz != -1 && khz <= 0) __builtin_trap();
}

void widen(const std::string& path) {
    const bench::File file(path);
    const bench::Widened widened(file, 0);
    std::vector<float> values(static_cast<size_t>(file.size()));  // more than there can be, and as many as there may be
    for (size_t count : {values.size(), values.size() / 2, size_t{1}, size_t{12}}) {
        values.resize(count);
        try {
            widened.write(file, values.data(), count);
        } catch (const bench::Failure&) {
        }
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    if (size == 0) return 0;
    try {
        switch (data[0] == kWidened ? 4 : data[0] % 4) {
            case 0: bench::read_job(MemoryFile(data + 1, size - 1).path()); break;
            case 1: read_samples(MemoryFile(data + 1, size - 1).path()); break;
            case 2: factor_graph(std::string(data + 1, data + size)); break;
            case 4: widen(MemoryFile(data + 1, size - 1).path()); break;
            default: read_clocks(std::string(data + 1, data + size)); break;
        }
    } catch (const bench::Failure&) {
    }
    return 0;
}

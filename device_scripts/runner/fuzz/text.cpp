// libFuzzer target: the files beside the package. The first byte of the input chooses what the rest is: a job, a packed
// sample file, or a graph to be factored.

#include <cstdint>
#include <string>
#include <sys/mman.h>
#include <unistd.h>
#include <vector>

#include "../factor.h"
#include "../failure.h"
#include "../job.h"
#include "../samples.h"

namespace {

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
    const size_t plane = static_cast<size_t>(samples.height()) * static_cast<size_t>(samples.width());
    std::vector<float> sample(plane * static_cast<size_t>(samples.channels()));
    for (uint32_t i = 0; i < samples.count(); i++) samples.read(i, sample.data(), plane);
}

void factor_graph(std::string text) {
    static const uint8_t values[64] = {};
    const auto tensor = [](std::initializer_list<int32_t> shape, bool transposed) {
        bench::FrqTensor made{bench::FrqTensor::Kind::prefix, true, false, transposed, static_cast<int>(shape.size()), {}, 1, 3, nullptr, values};
        made.shape.fill(1);
        std::copy(shape.begin(), shape.end(), made.shape.begin());
        for (const int32_t extent : shape) made.size *= static_cast<uint32_t>(extent);
        return made;
    };
    bench::factor(text, {tensor({4, 2, 3, 3}, false), tensor({3, 2}, false), tensor({4, 2, 2}, false), tensor({2, 6, 2, 2}, true)});
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    if (size == 0) return 0;
    try {
        switch (data[0] % 3) {
            case 0: bench::read_job(MemoryFile(data + 1, size - 1).path()); break;
            case 1: read_samples(MemoryFile(data + 1, size - 1).path()); break;
            default: factor_graph(std::string(data + 1, data + size)); break;
        }
    } catch (const bench::Failure&) {
    }
    return 0;
}

// libFuzzer target: the head of a package of several capacities, its tensors put together at each of them, and what becomes of
// a graph. The input is the text of a graph up to its first null byte, and a head behind that.

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <vector>

#include "contract/failure.h"
#include "nested/package.h"
#include "nested/substitute.h"

namespace {

void expect(bool truth) {
    if (!truth) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    constexpr uint64_t kSmall = 1 << 16;  // bytes: more would only be slower
    constexpr float kUntouched = -12345.0f;
    const uint8_t* null = std::find(data, data + size, uint8_t{0});
    const std::string graph(data, null);
    const uint8_t* begin = null == data + size ? data : null + 1;
    try {
        const bench::NestedHead head(begin, static_cast<size_t>(data + size - begin), "input");
        std::vector<std::vector<uint8_t>> segments;
        uint64_t whole = 0;  // a file has all of it, or is refused
        for (int capacity = 1; capacity <= head.capacities(); capacity++) whole += head.segment_bytes(capacity);
        if (whole > kSmall) return 0;
        for (int capacity = 1; capacity <= head.capacities(); capacity++) {
            segments.emplace_back(static_cast<size_t>(head.segment_bytes(capacity)), uint8_t{0x3C});
            uint64_t before = 0;
            for (size_t i = 0; i < head.tensors().size(); i++) {
                const uint64_t values = head.size(head.tensors()[i], capacity);
                if ((before += values) > kSmall) return 0;
                std::vector<float> to(static_cast<size_t>(values) + 1, kUntouched);
                head.assemble(i, capacity, segments, to.data());
                expect(values > 0 && to[0] != kUntouched && to[to.size() - 2] != kUntouched && to.back() == kUntouched);
            }
            (void)bench::at_capacity(graph, head.substitutions(), capacity, "input");
        }
    } catch (const bench::Failure& failure) {
        expect(failure.exit == bench::Exit::bad_weights);
    }
    return 0;
}

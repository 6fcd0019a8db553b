#include "measure/switches.h"

#include <cstring>
#include <string>
#include <vector>

#include "contract/events.h"
#include "contract/process.h"

namespace bench {
namespace {

struct Switch {
    int from, to;
    int64_t ns, bytes, first;
};

std::vector<float> answers_of(const Session& session) {
    std::vector<float> values;
    for (const OutputMemory& output : session.outputs()) {
        const auto* at = reinterpret_cast<const uint8_t*>(output.data);
        for (size_t i = 0; i < output.planes; i++, at += output.plane_step) {
            const auto* plane = reinterpret_cast<const float*>(at);
            values.insert(values.end(), plane, plane + output.plane_values);
        }
    }
    return values;
}

// What each capacity has answered to the one sample.
class Answered {
public:
    explicit Answered(int capacities) : known_(static_cast<size_t>(capacities)) {}

    void expect(int capacity, const std::vector<float>& now) {
        std::vector<float>& before = known_[static_cast<size_t>(capacity - 1)];
        if (before.empty()) before = now;
        if (before.size() != now.size() || std::memcmp(before.data(), now.data(), now.size() * sizeof(float)) != 0) {
            throw Failure(Exit::inference_failed, "capacity " + std::to_string(capacity) + " answers otherwise than before the switch");
        }
    }

private:
    std::vector<std::vector<float>> known_;
};

}  // namespace

void measure_switches(const Job& job, Session& session, const std::function<void()>& shown) {
    const int count = session.capacities(), own = session.capacity();
    if (count < 2) throw Failure(Exit::unsupported, "this network has one capacity: there is nothing to switch between");
    Answered answered(count);
    answered.expect(own, answers_of(session));

    std::vector<int> stops;  // of one walk
    for (int at = own - 1; at >= 1; at--) stops.push_back(at);
    for (int at = 2; at <= count; at++) stops.push_back(at);
    for (int at = count - 1; at >= own; at--) stops.push_back(at);
    std::vector<Switch> done;
    int from = own;
    for (int walk = 0; walk < job.walks; walk++) {
        for (const int to : stops) {
            const int64_t start = now_ns();
            const int64_t bytes = session.use_capacity(to);
            const int64_t ready = now_ns();
            shown();
            const int64_t begun = now_ns();
            session.infer();
            done.push_back({from, to, ready - start, bytes, now_ns() - begun});
            answered.expect(to, answers_of(session));
            from = to;
        }
    }

    std::vector<int64_t> bytes;
    for (int capacity = 1; capacity <= count; capacity++) bytes.push_back(session.capacity_bytes(capacity));
    Event("capacities").number("own", own).numbers("bytes", bytes).number("switches", static_cast<int64_t>(done.size())).send();
    for (size_t i = 0; i < done.size(); i++) {
        Event("switch")
            .number("i", static_cast<int64_t>(i))
            .number("from", done[i].from)
            .number("to", done[i].to)
            .number("ns", done[i].ns)
            .number("bytes", done[i].bytes)
            .number("first", done[i].first)
            .send();
    }
}

}  // namespace bench

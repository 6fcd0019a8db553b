#include "measure/loops.h"

#include <algorithm>
#include <cstring>
#include <numeric>
#include <string>

#include "contract/clocks.h"
#include "contract/events.h"
#include "contract/process.h"

namespace bench {
namespace {

constexpr int64_t kSecond = 1'000'000'000;
// ncnn counts the values of a plane in int, 16 planes at a time, and bytes in size_t: 2^32 of them in a 32-bit build are no
// more than 256 channels of 2^22 pixels.
constexpr int64_t kMostPixels = sizeof(void*) > 4 ? 1 << 26 : 1 << 22;

struct Times {
    std::vector<int64_t> ns;
    std::vector<int> asked;  // of a cascade
    EndedOn ended_on;
};

// Until both the count and the time are reached, or `most` inferences. Nothing but the inference is between the two looks
// at the time.
void repeat(Session& session, const Show& show, int64_t count, int64_t ms, int64_t most, Times& times) {
    const int64_t until = now_ns() + ms * 1'000'000;
    while (static_cast<int64_t>(times.ns.size()) < most && (static_cast<int64_t>(times.ns.size()) < count || now_ns() < until)) {
        if (show) show();
        const int64_t start = now_ns();
        session.infer();
        times.ns.push_back(now_ns() - start);
        times.ended_on.count();
        if (session.asked() >= 0) times.asked.push_back(session.asked());
    }
}

int64_t mean(const std::vector<int64_t>& values) {
    return std::accumulate(values.begin(), values.end(), int64_t{0}) / static_cast<int64_t>(values.size());
}

void send_clocks(Clocks& clocks, const EndedOn& ended_on) {
    for (const Clock& clock : clocks.stop(ended_on)) {
        Event("clock")
            .text("cpus", clock.cpus)
            .number("khz", clock.khz)
            .number("lowest", clock.lowest)
            .number("highest", clock.highest)
            .number("share", clock.share)
            .text("source", clock.source)
            .send();
    }
}

}  // namespace

int64_t median(std::vector<int64_t>& values) {
    const auto upper = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
    std::nth_element(values.begin(), upper, values.end());
    if (values.size() % 2 == 1) return *upper;
    return (*std::max_element(values.begin(), upper) + *upper) / 2;
}

void read_sample(const SampleSource& samples, uint32_t sample, Session& session) {
    const std::vector<InputMemory> inputs = session.inputs();
    for (size_t i = 0; i < inputs.size(); i++) samples.read(sample, samples.inputs()[i], inputs[i].data, inputs[i].plane_step);
}

Show cycling(const Job& job, const SampleSource& samples, Session& session) {
    if (!job.cycle) return nullptr;
    const uint64_t count = samples.count();
    // The golden section of them, next to it where that has a factor in common with their number: then all come in turn, and
    // however few there is time for, they come from everywhere.
    uint64_t stride = std::max<uint64_t>(1, static_cast<uint64_t>(0.618 * static_cast<double>(count)));
    while (std::gcd(stride, count) != 1) stride++;
    return [&samples, &session, count, stride, at = uint64_t{0}]() mutable {
        read_sample(samples, static_cast<uint32_t>(at), session);
        at = (at + stride) % count;
    };
}

void measure_latency(const Job& job, Session& session, Neighbours& neighbours, const Show& show) {
    neighbours.start();
    Times warmup, timed;
    const int64_t start = now_ns();
    repeat(session, show, job.warmup_iterations, job.warmup_ms, INT64_MAX, warmup);
    const int64_t warmup_ns = now_ns() - start;
    Clocks clocks;
    clocks.start();
    const int64_t before = neighbours.finished();
    repeat(session, show, job.min_iterations, job.min_ms, job.max_iterations, timed);
    const int64_t beside = neighbours.finished() - before;

    Event("warmup").number("iterations", static_cast<int64_t>(warmup.ns.size())).number("ns", warmup_ns).send();
    for (size_t i = 0; i < timed.ns.size(); i++) {
        Event event("iteration");
        event.number("i", static_cast<int64_t>(i)).number("ns", timed.ns[i]);
        if (i < timed.asked.size()) event.number("asked", timed.asked[i]);
        event.send();
    }
    if (job.beside + job.load > 0) {
        Event("beside").number("copies", job.beside).number("load", job.load).number("inferences", beside).send();
    }
    send_clocks(clocks, timed.ended_on);
}

void measure_layers(const Job& job, Session& session) {
    int64_t start = now_ns();
    const int64_t warm = start + job.warmup_ms * 1'000'000;
    int64_t warmup = 0;
    // At least one, after which the library knows how many layers there are.
    do {
        session.infer_layers(false);
        warmup++;
    } while (warmup < job.warmup_iterations || now_ns() < warm);
    const int64_t warmup_ns = now_ns() - start;
    const int64_t layers = static_cast<int64_t>(session.layer_count());
    if (layers < 1 || layers > kMostLayers) {
        throw Failure(Exit::unsupported, std::to_string(layers) + " layers: from 1 to " + std::to_string(kMostLayers) + " can be reported");
    }
    const int64_t most = std::min(job.max_iterations, kMostLayerTimes / layers);
    const int64_t until = now_ns() + job.min_ms * 1'000'000;
    std::vector<int64_t> by_layer, whole;
    for (int64_t i = 0; i < most && (i < job.min_iterations || now_ns() < until); i++) {
        start = now_ns();
        session.infer_layers(true);
        by_layer.push_back(now_ns() - start);
        if (!session.infers_untimed()) continue;
        start = now_ns();
        session.infer();
        whole.push_back(now_ns() - start);
    }
    const size_t iterations = by_layer.size();
    const std::vector<TimedLayer> found = session.layers(iterations);
    if (found.empty() || found.size() > kMostLayers) {
        throw Failure(Exit::unsupported,
                      std::to_string(found.size()) + " layers: from 1 to " + std::to_string(kMostLayers) + " can be reported");
    }

    Event("warmup").number("iterations", warmup).number("ns", warmup_ns).send();
    Event("layers")
        .number("count", static_cast<int64_t>(found.size()))
        .number("iterations", static_cast<int64_t>(iterations))
        .number("ns", median(by_layer))
        .number("whole", whole.empty() ? -1 : median(whole))
        .send();
    for (size_t i = 0; i < found.size(); i++) {
        const TimedLayer& layer = found[i];
        Event("layer")
            .number("i", static_cast<int64_t>(i))
            .text("name", layer.name)
            .text("type", layer.type)
            .number("ns", layer.ns)
            .number("read", layer.read)
            .number("bytes", layer.bytes)
            .number("weights", layer.weights)
            .number("deferred", layer.deferred)
            .texts("inputs", layer.inputs)
            .shapes("outputs", layer.outputs)
            .send();
    }
}

void measure_sustained(const Job& job, Session& session, const Show& show) {
    Clocks clocks;
    clocks.start();
    EndedOn ended_on;
    std::vector<int64_t> times;
    const int64_t begin = now_ns();
    for (int64_t i = 0, offset = 0; offset < job.seconds * kSecond; i++) {
        const int64_t first = offset, until = begin + (first / kSecond + 1) * kSecond;
        times.clear();
        for (int64_t end = 0; end < until;) {
            if (show) show();
            const int64_t start = now_ns();
            session.infer();
            end = now_ns();
            times.push_back(end - start);
            ended_on.count();
        }
        const int64_t khz = clocks.khz(current_cpu());
        Event("window")
            .number("i", i)
            .number("ns", first)
            .number("iterations", static_cast<int64_t>(times.size()))
            .number("median", show ? mean(times) : median(times))
            .number("khz", khz)
            .send();
        flush_events();
        offset = now_ns() - begin;
    }
    send_clocks(clocks, ended_on);
}

std::vector<InputShape> enlarged(const Job& job, const SampleSource& samples) {
    std::vector<InputShape> shapes = samples.inputs();
    if (shapes.size() != 1 || shapes[0].integer || shapes[0].extents.size() != 3) {
        std::string found;
        for (const InputShape& shape : shapes) found += (found.empty() ? "" : ", ") + shape.words();
        throw Failure(Exit::bad_samples, "only one input of rank 3 and float32 can be made larger, and these samples have " + found);
    }
    const int64_t pixels = static_cast<int64_t>(job.height) * job.width;
    if (pixels > kMostPixels) {
        throw Failure(Exit::unsupported, "a picture of " + std::to_string(job.height) + "×" + std::to_string(job.width) +
                                             ": this build tries none of more than " + std::to_string(kMostPixels) + " pixels");
    }
    shapes[0].extents[1] = job.height;
    shapes[0].extents[2] = job.width;
    return shapes;
}

void tile_first_sample(const SampleSource& samples, const InputShape& shape, const InputMemory& input) {
    const InputShape& given = samples.inputs()[0];
    const size_t height = static_cast<size_t>(given.extents[1]), width = static_cast<size_t>(given.extents[2]);
    const size_t rows = static_cast<size_t>(shape.extents[1]), columns = static_cast<size_t>(shape.extents[2]);
    std::vector<float> sample(given.values());
    samples.read(0, given, sample.data(), height * width * sizeof(float));
    for (size_t c = 0; c < static_cast<size_t>(shape.extents[0]); c++) {
        auto* plane = reinterpret_cast<float*>(static_cast<uint8_t*>(input.data) + c * input.plane_step);
        for (size_t y = 0; y < rows; y++) {
            const float* from = &sample[(c * height + y % height) * width];
            for (size_t x = 0; x < columns; x += width) {
                std::memcpy(plane + y * columns + x, from, std::min(width, columns - x) * sizeof(float));
            }
        }
    }
}

}  // namespace bench

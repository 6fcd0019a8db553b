#include "contract/job.h"

#include <algorithm>
#include <initializer_list>
#include <map>
#include <sstream>
#include <tuple>
#include <utility>

#include "contract/files.h"

namespace bench {
namespace {

constexpr uint64_t kLongestJob = 64 * 1024;
constexpr int64_t kMostIterations = 10'000'000;
constexpr int64_t kLongestMs = 24 * 3600 * 1000;
constexpr int64_t kLongestSeconds = 24 * 3600;
constexpr int64_t kMostBeside = 16;
constexpr int64_t kMostLoad = 64;
constexpr int64_t kMostExtent = 65536;
constexpr int64_t kMostWalks = 1000;

[[noreturn]] void refuse(const std::string& why) { throw Failure(Exit::bad_job, why); }

std::string trimmed(const std::string& text) {
    const size_t first = text.find_first_not_of(" \t\r");
    return first == std::string::npos ? "" : text.substr(first, text.find_last_not_of(" \t\r") - first + 1);
}

// A `#` starts a comment at the start of a line or after a blank, so that file names may hold one.
std::string without_comment(const std::string& line) {
    for (size_t i = 0; i < line.size(); i++) {
        if (line[i] == '#' && (i == 0 || line[i - 1] == ' ' || line[i - 1] == '\t')) return line.substr(0, i);
    }
    return line;
}

// The keys of a job that have not been asked for yet.
class Keys {
public:
    explicit Keys(const std::vector<uint8_t>& text) {
        std::string line;
        int number = 1;
        for (const uint8_t byte : text) {
            if (byte == '\n') {
                add(line, number++);
                line.clear();
            } else if (byte < 0x20 && byte != '\t' && byte != '\r') {
                refuse("line " + std::to_string(number) + ": a control character");
            } else {
                line += static_cast<char>(byte);
            }
        }
        add(line, number);
    }

    bool has(const std::string& key) const { return values_.count(key) > 0; }

    std::string text(const std::string& key) {
        const auto found = values_.find(key);
        if (found == values_.end()) refuse("the key " + key + " is missing");
        std::string value = std::move(found->second);
        values_.erase(found);
        return value;
    }

    // Names separated by commas, none of them twice.
    std::vector<std::string> names(const std::string& key, size_t most) {
        std::vector<std::string> found;
        std::istringstream listed(text(key) + ',');
        for (std::string name; std::getline(listed, name, ',');) {
            name = trimmed(name);
            if (name.empty()) refuse(key + ": an empty name");
            if (std::count(found.begin(), found.end(), name) > 0) refuse(key + ": the name " + name + " again");
            found.push_back(name);
        }
        if (found.size() > most) refuse(key + ": more than " + std::to_string(most) + " names");
        return found;
    }

    int64_t number(const std::string& key, int64_t low, int64_t high) { return between(key, text(key), low, high); }

    // HEIGHTxWIDTH.
    std::pair<int, int> extents(const std::string& key, int64_t most) {
        const std::string value = text(key);
        const size_t cross = value.find('x');
        if (cross == std::string::npos) refuse(key + " = " + value + ": not of the form HEIGHTxWIDTH");
        const auto extent = [&](const std::string& digits) { return static_cast<int>(between(key, digits, 1, most)); };
        return {extent(value.substr(0, cross)), extent(value.substr(cross + 1))};
    }

    uint64_t mask(const std::string& key) {
        const std::string value = text(key);
        return digits(key, value.rfind("0x", 0) == 0 ? value.substr(2) : value, 16);
    }

    template <typename T>
    T choice(const std::string& key, std::initializer_list<std::pair<const char*, T>> choices) {
        const std::string value = text(key);
        std::string known;
        for (const auto& [name, meaning] : choices) {
            if (value == name) return meaning;
            known += (known.empty() ? "" : ", ") + std::string(name);
        }
        refuse(key + " = " + value + ": none of " + known);
    }

    void expect_no_more() const {
        if (!values_.empty()) refuse("the key " + values_.begin()->first + " is unknown, or not of this mode");
    }

private:
    void add(const std::string& raw, int number) {
        const std::string line = trimmed(without_comment(raw));
        if (line.empty()) return;
        const std::string where = "line " + std::to_string(number) + ": ";
        const size_t equals = line.find('=');
        if (equals == std::string::npos) refuse(where + "not of the form key = value");
        const std::string key = trimmed(line.substr(0, equals)), value = trimmed(line.substr(equals + 1));
        if (key.empty() || value.empty()) refuse(where + "an empty key or value");
        if (!values_.emplace(key, value).second) refuse(where + "the key " + key + " again");
    }

    static int64_t between(const std::string& key, const std::string& value, int64_t low, int64_t high) {
        const uint64_t parsed = digits(key, value, 10);
        if (parsed < static_cast<uint64_t>(low) || parsed > static_cast<uint64_t>(high)) {
            refuse(key + " = " + value + ": not between " + std::to_string(low) + " and " + std::to_string(high));
        }
        return static_cast<int64_t>(parsed);
    }

    static uint64_t digits(const std::string& key, const std::string& value, unsigned base) {
        const size_t most = base == 16 ? 16 : 18;
        if (value.empty() || value.size() > most)
            refuse(key + " = " + value + ": not a number of 1 to " + std::to_string(most) + " digits");
        uint64_t result = 0;
        for (const char c : value) {
            const unsigned digit = c >= '0' && c <= '9'   ? static_cast<unsigned>(c - '0')
                                   : c >= 'a' && c <= 'f' ? static_cast<unsigned>(c - 'a') + 10
                                   : c >= 'A' && c <= 'F' ? static_cast<unsigned>(c - 'A') + 10
                                                          : 99;
            if (digit >= base) refuse(key + " = " + value + ": not a number");
            result = result * base + digit;
        }
        return result;
    }

    std::map<std::string, std::string> values_;
};

}  // namespace

Job read_job(const std::string& path) {
    Keys keys(read_whole(path, kLongestJob, Exit::bad_job));
    Job job;
    keys.number("contract", kContract, kContract);
    job.mode = keys.choice<Mode>("mode", {{"latency", Mode::latency},
                                          {"memory", Mode::memory},
                                          {"accuracy", Mode::accuracy},
                                          {"sustained", Mode::sustained},
                                          {"largest", Mode::largest},
                                          {"layers", Mode::layers},
                                          {"switch", Mode::switching}});
    job.graph = keys.text("graph");
    job.weights = keys.text("weights");
    job.weights_format = keys.choice<WeightsFormat>("weights_format", {{"runtime", WeightsFormat::runtime}, {"frq", WeightsFormat::frq}});
    job.execution = keys.choice<Execution>(
        "execution",
        {{"stock", Execution::stock}, {"dense", Execution::dense}, {"factored", Execution::factored}, {"resident", Execution::resident}});
    job.inputs = keys.names("inputs", kMostInputs);
    job.outputs = keys.names("outputs", kMostOutputs);
    if (job.mode == Mode::accuracy && keys.has("pictures")) {
        job.pictures = keys.text("pictures");
        job.preprocess = keys.text("preprocess");
        if (keys.has("stages")) job.stages = keys.text("stages");
    } else {
        job.samples = keys.text("samples");
    }
    if (keys.has("capacity")) job.capacity = static_cast<int>(keys.number("capacity", 1, kMostCapacities));
    for (int capacity = 1; capacity <= kMostCapacities; capacity++) {
        const std::string key = "graph" + std::to_string(capacity);
        if (keys.has(key)) job.graphs[capacity] = keys.text(key);
    }
    job.threads = static_cast<int>(keys.number("threads", 1, 64));
    job.affinity = keys.mask("affinity");
    std::tie(job.precision_name, job.precision) =
        keys.choice<std::pair<std::string, Precision>>("precision", {{"fp32", {"fp32", Precision::fp32}},
                                                                     {"fp16s", {"fp16s", Precision::fp16s}},
                                                                     {"fp16a", {"fp16a", Precision::fp16a}},
                                                                     {"bf16", {"bf16", Precision::bf16}},
                                                                     {"int8", {"int8", Precision::int8}}});
    if (job.mode == Mode::accuracy || (job.mode == Mode::layers && keys.has("answers"))) job.answers = keys.text("answers");
    if (job.mode == Mode::latency || job.mode == Mode::layers) {
        job.warmup_iterations = keys.number("warmup_iterations", 0, kMostIterations);
        job.warmup_ms = keys.number("warmup_ms", 0, kLongestMs);
        job.min_iterations = keys.number("min_iterations", 1, kMostIterations);
        job.min_ms = keys.number("min_ms", 0, kLongestMs);
        job.max_iterations = keys.number("max_iterations", job.min_iterations, kMostIterations);
    }
    if (job.mode == Mode::latency) {
        job.beside = static_cast<int>(keys.number("beside", 0, kMostBeside));
        job.load = static_cast<int>(keys.number("load", 0, kMostLoad));
    }
    if (job.mode == Mode::sustained) job.seconds = keys.number("seconds", 1, kLongestSeconds);
    if (job.mode == Mode::largest) std::tie(job.height, job.width) = keys.extents("extents", kMostExtent);
    if (job.mode == Mode::switching) job.walks = static_cast<int>(keys.number("walks", 1, kMostWalks));
    job.scratch = path + ".profile";
    keys.expect_no_more();
    if ((job.weights_format == WeightsFormat::runtime) != (job.execution == Execution::stock)) {
        refuse("execution is stock for weights of the runtime, and dense, factored or resident for frq weights");
    }
    return job;
}

}  // namespace bench

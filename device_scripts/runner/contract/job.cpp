#include "contract/job.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
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
constexpr double kMostThreshold = 2;  // beyond 1 no answer is sure enough
constexpr double kLeastTemperature = 1e-3, kMostTemperature = 1e3;
constexpr size_t kMostCandidates = 64;
constexpr int64_t kMostNetworks = 16;
constexpr int64_t kMostPhases = 64;
constexpr int64_t kMostRate = 1'000'000;
constexpr int64_t kWhole = 1000;  // thousandths of the processor
constexpr int64_t kMostTrained = 1 << 17, kMostClasses = 1024;
constexpr size_t kMostAlphas = 16;

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

    // A decimal fraction without an exponent, so that it is read alike whatever the locale.
    double decimal(const std::string& key, double low, double high) {
        const std::string value = text(key);
        const auto refused = [&] { refuse(key + " = " + value + ": not a decimal number between " + shown(low) + " and " + shown(high)); };
        const size_t point = value.find('.');
        const std::string whole = value.substr(0, point), part = point == std::string::npos ? "" : value.substr(point + 1);
        if (whole.empty() || whole.size() > 9 || part.size() > 18 || (point != std::string::npos && part.empty())) refused();
        if ((whole + part).find_first_not_of("0123456789") != std::string::npos) refused();
        double result = static_cast<double>(digits(key, whole, 10));
        if (!part.empty()) result += static_cast<double>(digits(key, part, 10)) / std::pow(10.0, static_cast<double>(part.size()));
        if (!(result >= low && result <= high)) refused();
        return result;
    }

    // HEIGHTxWIDTH.
    std::pair<int, int> extents(const std::string& key, int64_t most) {
        const std::string value = text(key);
        const size_t cross = value.find('x');
        if (cross == std::string::npos) refuse(key + " = " + value + ": not of the form HEIGHTxWIDTH");
        const auto extent = [&](const std::string& digits) { return static_cast<int>(between(key, digits, 1, most)); };
        return {extent(value.substr(0, cross)), extent(value.substr(cross + 1))};
    }

    // Decimal numbers above zero, separated by commas.
    std::vector<double> decimals(const std::string& key, size_t most) {
        std::vector<double> found;
        for (const std::string& text : names(key, most)) {
            const bool plain = text.size() <= 32 && text.find_first_not_of("0123456789.eE+-") == std::string::npos;
            char* end = nullptr;
            const double value = plain ? std::strtod(text.c_str(), &end) : 0;
            if (!end || *end != 0 || !(value >= 1e-12) || !(value <= 1e12)) refuse(key + " = " + text + ": not a number between 1e-12 and 1e12");
            found.push_back(value);
        }
        return found;
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

    // MILLISECONDS,CANDIDATE@THOUSANDTHS,… with one candidate for each of `networks`.
    Phase phase(const std::string& key, size_t networks, size_t candidates) {
        const std::vector<std::string> parts = names(key, 1 + static_cast<size_t>(kMostNetworks));
        if (parts.size() != 1 + networks) refuse(key + ": not a time and one candidate for each network");
        Phase phase{between(key, parts[0], 1, kLongestMs), {}};
        int64_t all = 0;
        for (size_t i = 1; i < parts.size(); i++) {
            const size_t at = parts[i].find('@');
            if (at == std::string::npos) refuse(key + ": " + parts[i] + " is not of the form CANDIDATE@THOUSANDTHS");
            const int64_t candidate = between(key, parts[i].substr(0, at), 0, static_cast<int64_t>(candidates) - 1);
            const int64_t share = between(key, parts[i].substr(at + 1), 1, kWhole);
            phase.shares.push_back({static_cast<int>(candidate), static_cast<int>(share)});
            all += share;
        }
        if (all > kWhole) refuse(key + ": the shares together are more than " + std::to_string(kWhole) + " thousandths");
        return phase;
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

    static std::string shown(double limit) {
        std::ostringstream words;
        words << limit;
        return words.str();
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

Serving read_serving(Keys& keys) {
    Serving serving;
    serving.candidates = keys.names("candidates", kMostCandidates);
    const int64_t networks = keys.number("networks", 1, kMostNetworks);
    for (int64_t i = 1; i <= networks; i++) serving.rates.push_back(keys.number("rate" + std::to_string(i), 1, kMostRate));
    serving.period_us = keys.number("period_us", 1000, 1'000'000);
    const int64_t phases = keys.number("phases", 1, kMostPhases);
    int64_t ms = 0;
    for (int64_t i = 1; i <= phases; i++) {
        serving.phases.push_back(keys.phase("phase" + std::to_string(i), serving.rates.size(), serving.candidates.size()));
        ms += serving.phases.back().ms;
    }
    for (const int64_t rate : serving.rates) {
        if (ms > kMostRequests * 1'000'000 / rate) {
            refuse("more than " + std::to_string(kMostRequests) + " requests for one network");
        }
    }
    keys.expect_no_more();
    return serving;
}

// What a training is told is of another kind than what a network is.
Job train_job(Keys& keys, Job job, const std::string& path) {
    job.precision = Precision::fp32;
    job.precision_name = "fp32";
    job.weights_format = WeightsFormat::elm;
    job.execution = Execution::stock;
    job.samples = keys.text("samples");
    if (keys.has("validation")) job.validation = keys.text("validation");
    if (keys.has("test")) job.test = keys.text("test");
    job.package = keys.text("package");
    job.neurons = keys.number("neurons", 1, kMostTrained);
    job.classes = keys.number("classes", 2, kMostClasses);
    job.seed = static_cast<uint64_t>(keys.number("seed", 0, 999'999'999'999'999'999));
    job.alphas = keys.decimals("alphas", kMostAlphas);
    job.keeping = keys.choice<Keeping>("matrix", {{"float32", Keeping::float32}, {"float16", Keeping::float16}, {"file", Keeping::file}});
    job.threads = static_cast<int>(keys.number("threads", 1, 64));
    job.affinity = keys.mask("affinity");
    job.scratch = path + ".matrix";
    keys.expect_no_more();
    if (job.alphas.size() > 1 && job.validation.empty()) refuse("several alphas, and no validation samples to choose one by");
    return job;
}

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
                                          {"switch", Mode::switching},
                                          {"serve", Mode::serve},
                                          {"train", Mode::train}});
    if (job.mode == Mode::train) return train_job(keys, std::move(job), path);
    if (job.mode == Mode::serve) {
        job.serving = read_serving(keys);
        return job;
    }
    job.graph = keys.text("graph");
    job.weights = keys.text("weights");
    job.weights_format = keys.choice<WeightsFormat>("weights_format", {{"runtime", WeightsFormat::runtime},
                                                                       {"frq", WeightsFormat::frq},
                                                                       {"elm", WeightsFormat::elm},
                                                                       {"nested", WeightsFormat::nested}});
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
    if (keys.has("small_graph")) {
        job.small_graph = keys.text("small_graph");
        job.small_weights = keys.has("small_weights") ? keys.text("small_weights") : "-";
        job.threshold = keys.decimal("threshold", 0, kMostThreshold);
        job.temperature = keys.decimal("temperature", kLeastTemperature, kMostTemperature);
        if (job.outputs.size() < 2) refuse("outputs: a cascade has one more than its networks, for which of them answered");
    }
    if (keys.has("cycle")) {
        keys.choice<bool>("cycle", {{"samples", true}});
        job.cycle = true;
    }
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
    if ((job.weights_format == WeightsFormat::frq) == (job.execution == Execution::stock)) {
        refuse("execution is dense, factored or resident for frq weights, and stock for all others");
    }
    return job;
}

}  // namespace bench

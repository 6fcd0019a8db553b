#include "contract/clocks.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>

namespace bench {
namespace {

constexpr size_t kMostText = 16 * 1024;  // of a file here; the kernel's have a page at most
constexpr size_t kMostClocks = 64;       // that are reported
constexpr int kMostCpu = 1023;
constexpr int64_t kHighestKhz = 100'000'000;
constexpr int64_t kMostTicks = 1'000'000'000'000'000;

// A small file of the kernel's; empty when it is not there, cannot be read, or is longer than such a file is.
std::string text_of(const std::string& path) {
    FILE* file = std::fopen(path.c_str(), "re");
    if (!file) return "";
    std::string text(kMostText + 1, '\0');
    text.resize(std::fread(&text[0], 1, text.size(), file));
    const bool good = !std::ferror(file) && text.size() <= kMostText;
    std::fclose(file);
    return good ? text : "";
}

bool is_digit(char c) { return c >= '0' && c <= '9'; }

// A number of at most `most` at `at`, which moves behind it; -1 when there is none, or a larger one.
int64_t number_at(const std::string& text, size_t& at, int64_t most) {
    const size_t first = at;
    int64_t value = 0;
    for (; at < text.size() && is_digit(text[at]); at++) {
        value = value * 10 + (text[at] - '0');
        if (value > most) return -1;
    }
    return at == first ? -1 : value;
}

void skip_blanks(const std::string& text, size_t& at) {
    while (at < text.size() && (text[at] == ' ' || text[at] == '\t' || text[at] == '\n')) at++;
}

std::string words_for(const std::vector<int>& cpus) {
    std::string words;
    for (size_t first = 0; first < cpus.size();) {
        size_t last = first;
        while (last + 1 < cpus.size() && cpus[last + 1] == cpus[last] + 1) last++;
        words += (words.empty() ? "" : ",") + std::to_string(cpus[first]);
        if (last > first) words += '-' + std::to_string(cpus[last]);
        first = last + 1;
    }
    return words;
}

// The mean clock over what the kernel counted between two looks, weighted by time. False when it counted nothing, or the
// two looks do not fit each other.
bool mean_of_states(const std::vector<State>& before, const std::vector<State>& after, Clock& clock) {
    if (before.size() != after.size()) return false;
    double ticks = 0, weighted = 0;
    clock.lowest = kHighestKhz;
    clock.highest = 0;
    for (size_t i = 0; i < after.size(); i++) {
        const int64_t spent = after[i].ticks - before[i].ticks;
        if (after[i].khz != before[i].khz || spent < 0) return false;
        if (spent == 0) continue;
        ticks += static_cast<double>(spent);
        weighted += static_cast<double>(spent) * static_cast<double>(after[i].khz);
        clock.lowest = std::min(clock.lowest, after[i].khz);
        clock.highest = std::max(clock.highest, after[i].khz);
    }
    if (ticks == 0) return false;
    clock.khz = static_cast<int64_t>(weighted / ticks + 0.5);
    return true;
}

}  // namespace

std::vector<int> parse_cpus(const std::string& text) {
    std::vector<int> cpus;
    size_t at = 0;
    for (skip_blanks(text, at); at < text.size(); skip_blanks(text, at)) {
        const int64_t first = number_at(text, at, kMostCpu);
        int64_t last = first;
        if (at < text.size() && text[at] == '-') last = number_at(text, ++at, kMostCpu);
        if (first < 0 || last < first || (!cpus.empty() && first <= cpus.back())) return {};
        for (int64_t cpu = first; cpu <= last; cpu++) cpus.push_back(static_cast<int>(cpu));
        if (at < text.size() && text[at] == ',') at++;
    }
    return cpus;
}

std::vector<State> parse_states(const std::string& text) {
    std::vector<State> states;
    size_t at = 0;
    for (skip_blanks(text, at); at < text.size(); skip_blanks(text, at)) {
        const int64_t khz = number_at(text, at, kHighestKhz);
        if (khz <= 0 || at >= text.size() || text[at] != ' ') return {};
        skip_blanks(text, at);
        const int64_t ticks = number_at(text, at, kMostTicks);
        if (ticks < 0 || (at < text.size() && text[at] != '\n')) return {};
        states.push_back({khz, ticks});
    }
    return states;
}

int64_t parse_khz(const std::string& text) {
    size_t at = 0;
    const int64_t khz = number_at(text, at, kHighestKhz);
    skip_blanks(text, at);
    return khz > 0 && at == text.size() ? khz : -1;
}

int64_t EndedOn::on(const std::vector<int>& cpus) const {
    int64_t sum = 0;
    for (const int cpu : cpus) sum += counts_[cpu];
    return sum;
}

Clocks::Clocks() {
    const char* root = std::getenv("BENCH_SYSFS_ROOT");
    const std::string folder = std::string(root ? root : "/sys") + "/devices/system/cpu/cpu";
    for (const int cpu : parse_cpus(cpus_allowed())) {
        const auto has_it = [cpu](const Policy& policy) { return std::count(policy.cpus.begin(), policy.cpus.end(), cpu) > 0; };
        if (std::any_of(policies_.begin(), policies_.end(), has_it)) continue;
        // By CPU and not by policy: so it is there on kernels of all ages.
        Policy policy{folder + std::to_string(cpu) + "/cpufreq/", {}, {}, {}};
        policy.cpus = parse_cpus(text_of(policy.folder + "related_cpus"));
        if (has_it(policy)) policies_.push_back(std::move(policy));
    }
}

void Clocks::start() {
    for (Policy& policy : policies_) {
        policy.before = parse_states(text_of(policy.folder + "stats/time_in_state"));
        policy.readings = {};
    }
    khz(current_cpu());
}

// Some x86 kernels take 20 ms to answer, so nobody reads it for a policy that nothing ran on.
int64_t Clocks::read(Policy& policy) {
    const int64_t khz = parse_khz(text_of(policy.folder + "scaling_cur_freq"));
    if (khz < 0) return khz;
    Readings& so_far = policy.readings;
    const int64_t now = now_ns();
    if (so_far.last_khz != 0) {
        const double passed = static_cast<double>(now - so_far.last_ns);
        so_far.ns += passed;
        so_far.weighted += passed * 0.5 * static_cast<double>(khz + so_far.last_khz);
    }
    so_far.lowest = so_far.last_khz == 0 ? khz : std::min(so_far.lowest, khz);
    so_far.highest = std::max(so_far.highest, khz);
    so_far.last_ns = now;
    so_far.last_khz = khz;
    return khz;
}

int64_t Clocks::khz(int cpu) {
    for (Policy& policy : policies_) {
        if (std::count(policy.cpus.begin(), policy.cpus.end(), cpu) > 0) return read(policy);
    }
    return -1;
}

std::vector<Clock> Clocks::stop(const EndedOn& ended_on) {
    std::vector<Clock> clocks;
    for (Policy& policy : policies_) {
        const int64_t ended = ended_on.on(policy.cpus);
        Clock clock{words_for(policy.cpus), -1, -1, -1, 0, "time_in_state"};
        if (ended_on.all() > 0) clock.share = (ended * 1000 + ended_on.all() / 2) / ended_on.all();
        if (!mean_of_states(policy.before, parse_states(text_of(policy.folder + "stats/time_in_state")), clock)) {
            if (ended > 0) read(policy);
            const Readings& found = policy.readings;
            if (ended == 0 || found.last_khz == 0) continue;
            clock.lowest = found.lowest;
            clock.highest = found.highest;
            clock.khz = found.ns > 0 ? static_cast<int64_t>(found.weighted / found.ns + 0.5) : found.last_khz;
            clock.source = "scaling_cur_freq";
        }
        clocks.push_back(clock);
    }
    std::stable_sort(clocks.begin(), clocks.end(), [](const Clock& a, const Clock& b) { return a.share > b.share; });
    if (clocks.size() > kMostClocks) clocks.resize(kMostClocks);
    return clocks;
}

}  // namespace bench

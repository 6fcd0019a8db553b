// The clocks of the CPUs that this process may use, as the kernel's cpufreq reports them.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "contract/process.h"

namespace bench {

// The CPUs of a list in the kernel's words, "0-3,6" or "0 1 2 3 6", in order; none when it is anything else.
std::vector<int> parse_cpus(const std::string& text);

// How long a policy has had each of its clocks since the system started.
struct State {
    int64_t khz, ticks;
};

// The lines of time_in_state; none when any of them is not "KHZ TICKS".
std::vector<State> parse_states(const std::string& text);

// A clock in kHz; -1 when the text is not one.
int64_t parse_khz(const std::string& text);

// What a policy's clock was over the timed loop.
struct Clock {
    std::string cpus;  // e.g. "4-7"
    int64_t khz, lowest, highest;
    int64_t share;  // thousandths of the iterations that ended on its CPUs
    const char* source;
};

// How many iterations ended on each CPU. Cheap enough to be asked after every one of them.
class EndedOn {
public:
    void count() {
        const int cpu = current_cpu();
        if (cpu >= 0 && cpu < kMostCpus) counts_[cpu]++;
        all_++;
    }
    int64_t on(const std::vector<int>& cpus) const;
    int64_t all() const { return all_; }

private:
    static constexpr int kMostCpus = 1024;
    int64_t counts_[kMostCpus] = {};
    int64_t all_ = 0;
};

// Watches the policies of the allowed CPUs. All it does is read files, so nothing of it may be called while an inference is
// timed. Tests put files of their own in the place of the system's: BENCH_SYSFS_ROOT is read instead of /sys.
class Clocks {
public:
    Clocks();

    // The timed loop begins.
    void start();

    // The present clock of the policy of a CPU, in kHz; -1 where unknown. It counts towards the mean.
    int64_t khz(int cpu);

    // The timed loop is over: those that most iterations ended on come first, at most 64.
    std::vector<Clock> stop(const EndedOn& ended_on);

private:
    // What scaling_cur_freq said so far. Between two readings the clock is taken to be their mean.
    struct Readings {
        int64_t last_ns = 0, last_khz = 0, lowest = 0, highest = 0;  // 0: none yet
        double ns = 0, weighted = 0;
    };
    struct Policy {
        std::string folder;
        std::vector<int> cpus;
        std::vector<State> before;
        Readings readings;
    };
    static int64_t read(Policy& policy);

    std::vector<Policy> policies_;
};

}  // namespace bench

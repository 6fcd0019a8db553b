#include "contract/process.h"

#include <pthread.h>
#include <sched.h>
#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <vector>

#include "contract/failure.h"

namespace bench {
namespace {

int64_t start_ns = 0;

// The lines of a small text file of the kernel's; none when it is not there.
class Lines {
public:
    explicit Lines(const char* path) : file_(std::fopen(path, "re")) {}
    ~Lines() {
        if (file_) std::fclose(file_);
    }
    Lines(const Lines&) = delete;
    Lines& operator=(const Lines&) = delete;

    const char* next() { return file_ ? std::fgets(line_, sizeof line_, file_) : nullptr; }

private:
    FILE* file_;
    char line_[512];
};

// The rest of a line that begins with `name:`, e.g. "1234 kB"; empty of any other line.
std::string value_of(const char* line, const std::string& name) {
    if (std::strncmp(line, name.c_str(), name.size()) != 0 || line[name.size()] != ':') return "";
    const std::string value(line + name.size() + 1);
    const size_t first = value.find_first_not_of(" \t");
    const size_t last = value.find_last_not_of(" \t\n");
    return first == std::string::npos ? "" : value.substr(first, last - first + 1);
}

std::string field(const char* path, const std::string& name) {
    Lines lines(path);
    while (const char* line = lines.next()) {
        std::string value = value_of(line, name);
        if (!value.empty()) return value;
    }
    return "";
}

// Bytes of a value in kB; -1 when it is none.
int64_t in_bytes(const std::string& value) {
    char* end = nullptr;
    const long long number = std::strtoll(value.c_str(), &end, 10);
    return end != value.c_str() && std::strcmp(end, " kB") == 0 ? number * 1024 : -1;
}

// The sum of a field over all mappings: what smaps_rollup says, which kernels before 4.14 do not have.
int64_t sum_of_mappings(const std::string& name) {
    Lines lines("/proc/self/smaps");
    int64_t sum = -1;
    while (const char* line = lines.next()) {
        const int64_t bytes = in_bytes(value_of(line, name));
        if (bytes >= 0) sum = std::max<int64_t>(sum, 0) + bytes;
    }
    return sum;
}

int64_t of_all_mappings(const char* name) {
    const int64_t rolled_up = in_bytes(field("/proc/self/smaps_rollup", name));
    return rolled_up >= 0 ? rolled_up : sum_of_mappings(name);
}

}  // namespace

int64_t now_ns() {
    timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return static_cast<int64_t>(time.tv_sec) * 1'000'000'000 + time.tv_nsec;
}

void mark_start() { start_ns = now_ns(); }
int64_t ns_since_start() { return start_ns == 0 ? 0 : now_ns() - start_ns; }

Memory memory_now() {
    return {
        in_bytes(field("/proc/self/status", "VmHWM")),
        in_bytes(field("/proc/self/status", "VmRSS")),
        of_all_mappings("Pss"),
        of_all_mappings("Anonymous"),
    };
}

int64_t available_memory() { return in_bytes(field("/proc/meminfo", "MemAvailable")); }

void restrict_to(uint64_t cpu_mask) {
#ifdef __linux__
    cpu_set_t set;
    CPU_ZERO(&set);
    for (int cpu = 0; cpu < 64; cpu++) {
        if (cpu_mask >> cpu & 1) CPU_SET(cpu, &set);
    }
    if (sched_setaffinity(0, sizeof set, &set) == 0) return;
    const std::string why = std::strerror(errno);
#else
    const std::string why = "this system has no such call";
#endif
    char mask[32];
    std::snprintf(mask, sizeof mask, "%llx", static_cast<unsigned long long>(cpu_mask));
    throw Failure(Exit::unsupported, std::string("the CPU mask ") + mask + " is refused: " + why);
}

std::string cpus_allowed() { return field("/proc/self/status", "Cpus_allowed_list"); }

int current_cpu() {
#ifdef __linux__
    return sched_getcpu();
#else
    return -1;
#endif
}

void go_first_when_memory_ends() {
#ifdef __linux__
    FILE* file = std::fopen("/proc/self/oom_score_adj", "we");
    const bool written = file && std::fputs("1000", file) >= 0;
    const bool closed = file && std::fclose(file) == 0;
    if (!written || !closed) {
        throw Failure(Exit::unsupported,
                      std::string("this process cannot be made the first to end when memory does: /proc/self/oom_score_adj: ") +
                          std::strerror(errno));
    }
#endif
}

void expect_threads(int count) {
    std::vector<pthread_t> threads(static_cast<size_t>(count));
    pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;
    const auto wait_for_gate = [](void* mutex) -> void* {
        pthread_mutex_lock(static_cast<pthread_mutex_t*>(mutex));
        pthread_mutex_unlock(static_cast<pthread_mutex_t*>(mutex));
        return nullptr;
    };
    pthread_mutex_lock(&gate);
    size_t made = 0;
    while (made < threads.size() && pthread_create(&threads[made], nullptr, wait_for_gate, &gate) == 0) made++;
    pthread_mutex_unlock(&gate);
    for (size_t i = 0; i < made; i++) pthread_join(threads[i], nullptr);
    if (made < threads.size()) {
        throw Failure(Exit::out_of_memory, "the system grants only " + std::to_string(made) + " of " + std::to_string(count) + " threads");
    }
}

}  // namespace bench

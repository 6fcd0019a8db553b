#include "process.h"

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <memory>
#include <pthread.h>
#include <sched.h>
#include <vector>

#include "failure.h"

namespace bench {
namespace {

int64_t start_ns = 0;

// The rest of the line that begins with `name:` in a file of such lines, e.g. "  1234 kB"; empty when there is none.
std::string field(const char* path, const std::string& name) {
    const std::unique_ptr<FILE, int (*)(FILE*)> file(std::fopen(path, "re"), [](FILE* f) { return f ? std::fclose(f) : 0; });
    if (!file) return "";
    char line[512];
    while (std::fgets(line, sizeof line, file.get())) {
        if (std::strncmp(line, name.c_str(), name.size()) == 0 && line[name.size()] == ':') {
            std::string value(line + name.size() + 1);
            const size_t first = value.find_first_not_of(" \t");
            const size_t last = value.find_last_not_of(" \t\n");
            return first == std::string::npos ? "" : value.substr(first, last - first + 1);
        }
    }
    return "";
}

int64_t kilobytes(const char* path, const char* name) {
    const std::string value = field(path, name);
    char* end = nullptr;
    const long long number = std::strtoll(value.c_str(), &end, 10);
    return end != value.c_str() && std::strcmp(end, " kB") == 0 ? number * 1024 : -1;
}

}  // namespace

int64_t now_ns() {
    timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return static_cast<int64_t>(time.tv_sec) * 1'000'000'000 + time.tv_nsec;
}

void mark_start() { start_ns = now_ns(); }
int64_t ns_since_start() { return now_ns() - start_ns; }

Memory memory_now() {
    return {
        kilobytes("/proc/self/status", "VmHWM"),
        kilobytes("/proc/self/status", "VmRSS"),
        kilobytes("/proc/self/smaps_rollup", "Pss"),
        kilobytes("/proc/self/smaps_rollup", "Anonymous"),
    };
}

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
        throw Failure(Exit::out_of_memory, "the system grants only " + std::to_string(made) + " of " +
                                               std::to_string(count) + " threads");
    }
}

}  // namespace bench

// What the system says about this process: time, memory, and the CPUs it may use.
#pragma once

#include <cstdint>
#include <string>

namespace bench {

// Nanoseconds of the monotonic clock.
int64_t now_ns();

// Nanoseconds since mark_start(), which main calls first; 0 before.
void mark_start();
int64_t ns_since_start();

// Bytes; -1 where the system does not report it.
struct Memory {
    int64_t vm_hwm = -1, rss = -1, pss = -1, anonymous = -1;
};
Memory memory_now();

// What the whole system could give to a program now, in bytes; -1 where it does not say.
int64_t available_memory();

// Restricts this process, and the threads it makes later, to a mask of CPUs. Throws Failure(unsupported).
void restrict_to(uint64_t cpu_mask);

// The CPUs it may use, in the kernel's words, e.g. "0-3"; empty where the system does not report it.
std::string cpus_allowed();

// The CPU that this thread runs on at this moment; -1 where the system does not say.
int current_cpu();

// Makes this process the first that the system ends when memory runs out. Throws Failure(unsupported) where it cannot be.
void go_first_when_memory_ends();

// Throws Failure(out_of_memory) unless the system grants `count` threads; ncnn does not look and would wait for ever.
void expect_threads(int count);

}  // namespace bench

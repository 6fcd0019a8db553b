#include "contract/guard.h"

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <new>
#ifndef __APPLE__
#include <malloc.h>
#endif

#include "contract/events.h"
#include "contract/failure.h"

namespace bench {
namespace {

volatile sig_atomic_t fault_status = static_cast<int>(Exit::inference_failed);
const char* volatile fault_doing = "starting";

alignas(16) char handler_stack[64 * 1024];

#ifdef __x86_64__
#define ALIGNS_ITS_STACK __attribute__((force_align_arg_pointer))  // qemu-user calls handlers with one that is not
#else
#define ALIGNS_ITS_STACK
#endif

[[noreturn]] ALIGNS_ITS_STACK void on_fault(int signal) {
    const Exit status = signal == SIGILL ? Exit::unsupported : static_cast<Exit>(fault_status);
    const char* what = signal == SIGILL ? "an instruction of this build that this CPU does not have" : "fault";
    char message[160];
    std::snprintf(message, sizeof message, "%s (signal %d) while %s", what, signal, fault_doing);
    end_in_emergency(static_cast<int>(status), kind_of(status), message);
}

// Before the constructors of a library that is compiled for a better CPU than this one.
__attribute__((constructor(101))) void stand_guard() {
    std::set_new_handler(out_of_memory);
    stack_t stack{};
    stack.ss_sp = handler_stack;
    stack.ss_size = sizeof handler_stack;
    sigaltstack(&stack, nullptr);
    struct sigaction action {};
    action.sa_handler = on_fault;
    action.sa_flags = SA_ONSTACK | SA_RESETHAND;
    for (int signal : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT}) sigaction(signal, &action, nullptr);
}

}  // namespace

[[noreturn]] void out_of_memory() {
    char message[128];
    std::snprintf(message, sizeof message, "an allocation failed while %s", fault_doing);
    end_in_emergency(static_cast<int>(Exit::out_of_memory), kind_of(Exit::out_of_memory), message);
}

void enter_phase(Exit meaning_of_fault, const char* doing) {
    fault_status = static_cast<int>(meaning_of_fault);
    fault_doing = doing;
}

}  // namespace bench

// Every ncnn::Mat is allocated by this function of the C library. ncnn goes on with an empty Mat in places, so a
// failure ends the process here, where it happens.
extern "C" int posix_memalign(void** result, size_t alignment, size_t size) {
#ifdef __APPLE__
    void* memory = aligned_alloc(alignment, (size + alignment - 1) / alignment * alignment);
#else
    void* memory = memalign(alignment, size);
#endif
    if (!memory) bench::out_of_memory();
    *result = memory;
    return 0;
}

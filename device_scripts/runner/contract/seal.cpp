#include "contract/seal.h"

#ifdef __linux__
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>
#endif

namespace bench {
namespace {

std::string state = "not sealed: nobody has asked the kernel yet";

#ifdef __linux__

#if defined(__x86_64__)
constexpr uint32_t kArchitecture = AUDIT_ARCH_X86_64;
#elif defined(__aarch64__)
constexpr uint32_t kArchitecture = AUDIT_ARCH_AARCH64;
#elif defined(__arm__)
constexpr uint32_t kArchitecture = AUDIT_ARCH_ARM;
#else
constexpr uint32_t kArchitecture = 0;  // no call of it would pass
#endif

// What opens a socket, or names where bytes go to or come from. io_uring does the same behind these calls' backs, and the
// last takes a socket out of another process.
constexpr uint32_t kRefused[] = {
    __NR_socket,   __NR_socketpair,
    __NR_connect,  __NR_bind,
    __NR_listen,   __NR_accept,
    __NR_accept4,  __NR_sendto,
    __NR_sendmsg,  __NR_sendmmsg,
    __NR_recvfrom, __NR_recvmsg,
    __NR_recvmmsg,
#ifdef __NR_recv  // 32-bit ARM has calls of their own for these
    __NR_send,     __NR_recv,
#endif
    425,  // io_uring_setup and the two behind it: the same numbers everywhere, newer than some headers
    426,           427,
    438,  // pidfd_getfd
};

// Since Linux 3.17 and 4.17; older headers lack them.
constexpr unsigned kAllThreads = 1 << 0;  // SECCOMP_FILTER_FLAG_TSYNC
constexpr unsigned kFullSpeed = 1 << 2;   // SECCOMP_FILTER_FLAG_SPEC_ALLOW

// The program of the filter: everything is allowed but kRefused, and any call of another instruction set (on x86 the 32-bit
// ones and x32), whose numbers mean other calls.
std::vector<sock_filter> program() {
    const auto load = [](size_t offset) -> sock_filter { return BPF_STMT(BPF_LD | BPF_W | BPF_ABS, static_cast<uint32_t>(offset)); };
    const sock_filter refuse = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM);
    std::vector<sock_filter> found{load(offsetof(seccomp_data, arch)), BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, kArchitecture, 1, 0), refuse,
                                   load(offsetof(seccomp_data, nr))};
    const auto refuse_if = [&](uint16_t condition, uint32_t value) {
        found.push_back(BPF_JUMP(static_cast<uint16_t>(BPF_JMP | condition | BPF_K), value, 0, 1));
        found.push_back(refuse);
    };
#ifdef __x86_64__
    refuse_if(BPF_JGE, 0x40000000);  // x32
#endif
    for (const uint32_t call : kRefused) refuse_if(BPF_JEQ, call);
    found.push_back(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW));
    return found;
}

// An errno, or 0. Kernels that know the newer call differ in its flags; the oldest know only prctl's way.
int install() {
    std::vector<sock_filter> filter = program();
    const sock_fprog found{static_cast<unsigned short>(filter.size()), filter.data()};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return errno;
#ifdef __NR_seccomp
    // Without the second flag, kernels before 5.16 turn speculative loads off for whoever has a filter: that slows inference.
    for (const unsigned flags : {kAllThreads | kFullSpeed, kAllThreads}) {
        if (syscall(__NR_seccomp, SECCOMP_SET_MODE_FILTER, flags, &found) == 0) return 0;
    }
#endif
    return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &found, 0, 0) == 0 ? 0 : errno;
}

std::string sealed() {
    if (const int why = install()) return std::string("not sealed: no filter of system calls is to be had here: ") + std::strerror(why);
    const int descriptor = socket(AF_INET, SOCK_STREAM, 0);
    if (descriptor < 0 && errno == EPERM) return "sealed";
    if (descriptor >= 0) close(descriptor);
    return "not sealed: the filter of system calls is in place, but a socket was not refused by it";
}

#else

std::string sealed() { return "not sealed: this system has no filter of system calls"; }

#endif

}  // namespace

void seal_network() { state = sealed(); }

const std::string& network_state() { return state; }

}  // namespace bench

#include "measure/child.h"

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <stdexcept>
#include <utility>
#ifdef __linux__
#include <sys/prctl.h>
#endif

#include "contract/events.h"
#include "contract/process.h"

namespace bench {
namespace {

pid_t parent = 0;

[[noreturn]] void end_with(const Failure& failure) {
    end_in_emergency(static_cast<int>(failure.exit), kind_of(failure.exit), failure.what());
}

}  // namespace

bool has_parent() { return getppid() == parent; }

Child::Child(std::string name, char* why, size_t room, const std::function<void()>& live)
    : name_(std::move(name)), why_(why), room_(room) {
    const pid_t maker = getpid(), pid = fork();
    if (pid < 0) throw Failure(Exit::out_of_memory, "the system grants no process for " + name_ + ": " + std::strerror(errno));
    if (pid > 0) {
        pid_ = pid;
        return;
    }
    parent = maker;
#ifdef __linux__
    prctl(PR_SET_PDEATHSIG, SIGKILL);
#endif
    if (!has_parent()) _exit(0);
    keep_emergencies_in(why_, room_);
    // Whoever reads the events would wait for the end of all who can write them.
    const int nowhere = open("/dev/null", O_RDWR | O_CLOEXEC);
    dup2(nowhere, STDIN_FILENO);
    dup2(nowhere, STDOUT_FILENO);
    try {
        go_first_when_memory_ends();
        live();
    } catch (const Failure& failure) {
        end_with(failure);
    } catch (const std::length_error&) {
        end_with({Exit::out_of_memory, "more values than this device can address"});
    }
    _exit(0);
}

Child::~Child() {
    if (pid_ <= 0) return;
    kill(pid_, SIGKILL);
    while (waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) continue;
}

bool Child::has_ended() const {
    siginfo_t ended{};
    return waitid(P_PID, static_cast<id_t>(pid_), &ended, WEXITED | WNOHANG | WNOWAIT) == 0 && ended.si_pid != 0;
}

Failure Child::failure() {
    int status = 0;
    while (waitpid(pid_, &status, 0) < 0 && errno == EINTR) continue;
    pid_ = 0;
    why_[room_ - 1] = '\0';
    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) {
        return {Exit::out_of_memory, name_ + " was killed: most likely there is not enough memory for it"};
    }
    const bool memory = WIFEXITED(status) && WEXITSTATUS(status) == static_cast<int>(Exit::out_of_memory);
    const std::string how = WIFSIGNALED(status) ? "it ended by signal " + std::to_string(WTERMSIG(status)) : why_;
    return {memory ? Exit::out_of_memory : Exit::inference_failed, name_ + " failed: " + how};
}

}  // namespace bench

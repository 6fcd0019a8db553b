// A process of this program's own, which ends with it.
#pragma once

#include <sys/types.h>
#include <cstddef>
#include <functional>
#include <string>

#include "contract/failure.h"

namespace bench {

class Child {
public:
    // Forks: so call it before this process has threads, and with nothing left in the buffer of standard output. `live` runs
    // in the new process, which prints nothing; what it fails of is written to `why`, `room` bytes in memory that both see.
    // `name` is for messages. Throws Failure(out_of_memory) when the system grants no more processes.
    Child(std::string name, char* why, size_t room, const std::function<void()>& live);

    // Ends it, stopped or not. It ends too when this process is killed.
    ~Child();
    Child(const Child&) = delete;
    Child& operator=(const Child&) = delete;

    pid_t pid() const { return pid_; }
    const std::string& name() const { return name_; }
    bool has_ended() const;

    // What its end means here. It has ended, or is about to.
    Failure failure();

private:
    std::string name_;
    char* why_;
    size_t room_;
    pid_t pid_ = 0;
};

// In a child: whether the process that made it is still there.
bool has_parent();

}  // namespace bench

// Others at work beside this process: copies of what is measured, and a load of another kind.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

namespace bench {

using Work = std::function<void()>;

class Neighbours {
public:
    // Forks, each into a process of its own: so call it before this process has threads, and with nothing left in the buffer
    // of standard output. They hold their breath until start(). `prepare` runs in a copy; what it returns is done there again
    // and again. Throws Failure(out_of_memory) when the system grants no more processes.
    Neighbours(int copies, int load, const std::function<Work()>& prepare);

    // Ends them. They end too when this process is killed.
    ~Neighbours();
    Neighbours(const Neighbours&) = delete;
    Neighbours& operator=(const Neighbours&) = delete;

    // Returns when all are at work. Throws Failure(out_of_memory) or Failure(inference_failed) with the words of the one
    // that cannot be.
    void start();

    // How often the copies together have done their work. Throws as start() does, for one that has ended meanwhile.
    int64_t finished();

private:
    struct Shared;
    struct Process;
    void fork_one(const std::function<void(Process&)>& live, std::string name);

    std::vector<std::unique_ptr<Process>> processes_;
    size_t copies_;
    Shared* shared_;
    int go_[2] = {-1, -1};
};

}  // namespace bench

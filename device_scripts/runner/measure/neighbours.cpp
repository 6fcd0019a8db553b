#include "measure/neighbours.h"

#include <pthread.h>
#include <sys/mman.h>
#include <unistd.h>
#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string>

#include "contract/failure.h"
#include "measure/child.h"

namespace bench {
namespace {

constexpr size_t kStreamed = 32u << 20;  // bytes that all threads of the load together stream through: beyond any cache of a phone
constexpr size_t kPiece = 1u << 18;      // values of it in one go, a megabyte: some tenths of a millisecond, as is
constexpr int kArithmetic = 100'000;     // so much arithmetic between two pieces

// One thread of the load.
struct Disturber {
    float* values;
    size_t count;
    std::atomic<int>* started;
    pthread_t thread;
};

void* disturb(void* given) {
    const Disturber& own = *static_cast<const Disturber*>(given);
    for (size_t next = 0, round = 0;; round++) {
        const size_t end = std::min(next + kPiece, own.count);
        for (size_t i = next; i < end; i++) own.values[i] = own.values[i] * 0.5f + 1.0f;
        next = end < own.count ? end : 0;
        float sums[8] = {own.values[0], 1, 2, 3, 4, 5, 6, 7};
        for (int i = 0; i < kArithmetic; i++) {
            for (float& sum : sums) sum = sum * 0.999f + 0.001f;
        }
        for (const float sum : sums) own.values[0] += sum * 1e-6f;
        if (round == 0) own.started->fetch_add(1);
        if (!has_parent()) _exit(0);
    }
}

}  // namespace

// What a process beside tells this one, in memory that both see.
struct alignas(256) Neighbours::Shared {
    std::atomic<int64_t> finished;
    char why[240];
};
static_assert(std::atomic<int64_t>::is_always_lock_free, "a count that two processes share may not hide a lock");

struct Neighbours::Process {
    Shared* shared;
    int go = -1, ready[2] = {-1, -1};
    std::unique_ptr<Child> child;

    ~Process() {
        child.reset();
        for (const int end : ready) {
            if (end >= 0) close(end);
        }
    }

    // In the new process: waits until it may begin.
    void wait_for_start() const {
        char byte;
        ssize_t got;
        while ((got = read(go, &byte, 1)) < 0 && errno == EINTR) continue;
        if (got != 1) _exit(0);
    }

    // In the new process.
    void tell_ready() const {
        while (write(ready[1], "r", 1) < 0 && errno == EINTR) continue;
    }
};

void Neighbours::fork_one(const std::function<void(Process&)>& live, std::string name) {
    auto process = std::make_unique<Process>();
    process->shared = &shared_[processes_.size()];
    process->go = go_[0];
    if (pipe(process->ready) != 0) {
        throw Failure(Exit::out_of_memory, "the system grants no process for " + name + ": " + std::strerror(errno));
    }
    process->child = std::make_unique<Child>(std::move(name), process->shared->why, sizeof process->shared->why, [&] {
        close(go_[1]);
        process->wait_for_start();
        live(*process);
    });
    close(process->ready[1]);
    process->ready[1] = -1;
    processes_.push_back(std::move(process));
}

Neighbours::Neighbours(int copies, int load, const std::function<Work()>& prepare)
    : copies_(static_cast<size_t>(copies)), shared_(nullptr) {
    const size_t all = copies_ + (load > 0);
    if (all == 0) return;
    void* memory = mmap(nullptr, all * sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED || pipe(go_) != 0)
        throw Failure(Exit::out_of_memory, std::string("nothing can be beside: ") + std::strerror(errno));
    shared_ = static_cast<Shared*>(memory);  // zeroed
    for (int i = 0; i < copies; i++) {
        const auto live = [&prepare](Process& process) {
            const Work work = prepare();
            work();
            process.tell_ready();
            while (has_parent()) {
                work();
                process.shared->finished.fetch_add(1, std::memory_order_relaxed);
            }
        };
        fork_one(live, "copy " + std::to_string(i + 1) + " of the network beside this one");
    }
    if (load == 0) return;
    const auto live = [load](Process& process) {
        std::vector<float> values(kStreamed / sizeof(float));
        std::vector<Disturber> disturbers(static_cast<size_t>(load));
        std::atomic<int> started{0};
        for (size_t i = 0; i < disturbers.size(); i++) {
            const size_t count = values.size() / disturbers.size();
            disturbers[i] = {&values[i * count], count, &started, {}};
            if (pthread_create(&disturbers[i].thread, nullptr, disturb, &disturbers[i]) != 0) {
                throw Failure(Exit::out_of_memory,
                              "the system grants only " + std::to_string(i) + " of " + std::to_string(load) + " threads");
            }
        }
        while (started.load() < load) usleep(1000);
        process.tell_ready();
        for (const Disturber& disturber : disturbers) pthread_join(disturber.thread, nullptr);
    };
    fork_one(live, "the load beside this process");
}

Neighbours::~Neighbours() {
    processes_.clear();
    for (const int end : go_) {
        if (end >= 0) close(end);
    }
}

void Neighbours::start() {
    for (size_t i = 0; i < processes_.size(); i++) {
        while (write(go_[1], "g", 1) < 0 && errno == EINTR) continue;
    }
    for (const auto& process : processes_) {
        char byte;
        ssize_t got;
        while ((got = read(process->ready[0], &byte, 1)) < 0 && errno == EINTR) continue;
        if (got != 1) throw process->child->failure();
    }
}

int64_t Neighbours::finished() {
    int64_t sum = 0;
    for (size_t i = 0; i < processes_.size(); i++) {
        if (processes_[i]->child->has_ended()) throw processes_[i]->child->failure();
        if (i < copies_) sum += processes_[i]->shared->finished.load(std::memory_order_relaxed);
    }
    return sum;
}

}  // namespace bench

#include "measure/serve.h"

#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <algorithm>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <memory>
#include <string>
#ifdef __linux__
#include <sys/prctl.h>
#endif

#include "contract/events.h"
#include "contract/guard.h"
#include "contract/process.h"
#include "measure/child.h"
#include "measure/loops.h"

namespace bench {
namespace {

constexpr int64_t kMs = 1'000'000;
constexpr int64_t kMostSleep = 5 * kMs;     // of a network without requests, which has to notice that it is exchanged
constexpr int64_t kLeastSlice = 200'000;    // a shorter turn would go by with waking up; it is saved for a later period
constexpr int64_t kMostBehind = 4;          // periods that one turn may make good
constexpr int64_t kLookAtMemory = 50 * kMs;
constexpr int64_t kLoadsWithin = 600'000 * kMs;  // of the first phase

void sleep_until(int64_t ns) {
    for (int64_t left; (left = ns - now_ns()) > 0;) {
        const timespec time{static_cast<time_t>(left / 1'000'000'000), static_cast<long>(left % 1'000'000'000)};
        nanosleep(&time, nullptr);
    }
}

// Bytes that are resident of a process; 0 where the system does not report it.
int64_t resident(pid_t pid) {
    char path[64], text[128] = "";
    std::snprintf(path, sizeof path, "/proc/%d/statm", static_cast<int>(pid));
    FILE* file = std::fopen(path, "re");
    if (!file) return 0;
    long long pages = 0;
    const bool read = std::fgets(text, sizeof text, file) && std::sscanf(text, "%*s %lld", &pages) == 1;
    std::fclose(file);
    return read ? pages * static_cast<int64_t>(sysconf(_SC_PAGESIZE)) : 0;
}

// Nanoseconds of processor time that a process has taken so far; -1 where the system does not say.
int64_t processor_time(pid_t pid) {
#ifdef __linux__
    clockid_t clock;
    timespec time;
    if (clock_getcpuclockid(pid, &clock) == 0 && clock_gettime(clock, &time) == 0) {
        return static_cast<int64_t>(time.tv_sec) * 1'000'000'000 + time.tv_nsec;
    }
#else
    (void)pid;
#endif
    return -1;
}

int64_t bytes_of(const std::string& path) {
    struct stat found {};
    return stat(path.c_str(), &found) == 0 ? static_cast<int64_t>(found.st_size) : 0;
}

// What the process of a network and this one tell each other, in memory that both see.
struct alignas(64) Told {
    std::atomic<int64_t> begin;      // when the first request comes; 0: not yet known
    std::atomic<int64_t> ready;      // when it could last infer; 0: not yet
    std::atomic<int64_t> moved;      // bytes of its latest change of capacity; before any, of its weights as loaded, -1: all
    std::atomic<int64_t> next;       // the first request that is not answered
    std::atomic<int64_t> inferences;
    std::atomic<int> capacity;       // at which to infer
    char why[240];
};
static_assert(std::atomic<int64_t>::is_always_lock_free, "a count that two processes share may not hide a lock");

// The answer of a request: nanoseconds until it came, doubled, and one more where the inference was its own. 0: none yet.
using Answer = std::atomic<int64_t>;

class Network {
public:
    Network(int number, int64_t rate, int64_t requests) : number_(number), rate_(rate), requests_(requests) {
        bytes_ = sizeof(Told) + static_cast<size_t>(requests) * sizeof(Answer);
        void* memory = mmap(nullptr, bytes_, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        if (memory == MAP_FAILED) throw Failure(Exit::out_of_memory, std::string("no memory for requests: ") + std::strerror(errno));
        told_ = static_cast<Told*>(memory);  // zeroed
        answers_ = reinterpret_cast<Answer*>(told_ + 1);
    }
    ~Network() {
        child_.reset();
        munmap(told_, bytes_);
    }
    Network(const Network&) = delete;
    Network& operator=(const Network&) = delete;

    // In nanoseconds since the begin.
    int64_t comes(int64_t request) const { return request * (1'000'000'000'000 / rate_); }
    int64_t requests() const { return requests_; }
    int64_t answer(int64_t request) const { return answers_[request].load(); }
    Told& told() { return *told_; }
    int candidate() const { return candidate_; }
    pid_t pid() const { return child_->pid(); }

    // A new process for that candidate; the one before is ended.
    void start(int candidate, const Job& job, const Library& library) {
        child_.reset();
        candidate_ = candidate;
        told_->ready.store(0);
        told_->moved.store(-1);
        told_->capacity.store(job.capacity);
        const std::string name = "network " + std::to_string(number_) + " (candidate " + std::to_string(candidate) + ")";
        child_ = std::make_unique<Child>(name, told_->why, sizeof told_->why, [&] { live(job, library); });
    }

    // The same process at another capacity of its files.
    void change(int candidate, const Job& job) {
        candidate_ = candidate;
        told_->ready.store(0);
        told_->capacity.store(job.capacity);
    }

    void end() { child_.reset(); }

    void go() const { kill(pid(), SIGCONT); }
    void stop() const { kill(pid(), SIGSTOP); }
    void look_after() {
        if (child_->has_ended()) throw child_->failure();
    }

private:
    // In its process.
    [[noreturn]] void live(const Job& job, const Library& library) {
        if (job.affinity != 0) restrict_to(job.affinity);
        const Samples samples(job.samples);
        const std::unique_ptr<Session> session = library.open(job);
        if (job.capacity > session->capacities()) {
            throw Failure(Exit::bad_job, "capacity = " + std::to_string(job.capacity) + ": the network has " +
                                             std::to_string(session->capacities()));
        }
        enter_phase(Exit::inference_failed, "computing the output");
        session->make_inputs(samples.inputs());
        read_sample(samples, 0, *session);
        told_->moved.store(session->loaded_bytes());
        told_->ready.store(now_ns());
        for (int capacity = job.capacity; has_parent();) {
            if (const int wanted = told_->capacity.load(); wanted != capacity) {
                capacity = wanted;
                told_->moved.store(session->use_capacity(capacity));
                session->make_inputs(samples.inputs());
                read_sample(samples, 0, *session);
                if (told_->capacity.load() == capacity) told_->ready.store(now_ns());
            }
            infer_newest(*session);
        }
        _exit(0);
    }

    // Answers all requests that have come with an inference for the newest; without any it waits a while.
    void infer_newest(Session& session) {
        const int64_t begin = told_->begin.load(), next = told_->next.load(), now = now_ns();
        const int64_t due = next < requests_ && begin > 0 ? begin + comes(next) : INT64_MAX;
        if (due > now) return sleep_until(std::min(due, now + kMostSleep));
        const int64_t newest = std::min((now - begin) / comes(1), requests_ - 1);
        session.infer();
        const int64_t done = now_ns() - begin;
        for (int64_t i = next; i <= newest; i++) answers_[i].store(2 * (done - comes(i)) + (i == newest));
        told_->next.store(newest + 1);
        told_->inferences.fetch_add(1);
    }

    int number_;
    int64_t rate_, requests_;
    size_t bytes_;
    Told* told_;
    Answer* answers_;
    int candidate_ = -1;
    std::unique_ptr<Child> child_;
};

// That of a capacity: its own, where graphs differ, or else the job's.
const std::string& graph_at(const Job& job, int capacity) {
    const auto own = job.graphs.find(capacity);
    return capacity == job.capacity || own == job.graphs.end() ? job.graph : own->second;
}

// Whether one is another capacity of the other's files.
bool is_same_package(const Job& one, const Job& other) {
    return one.capacity != 0 && other.capacity != 0 && graph_at(one, other.capacity) == other.graph &&
           graph_at(other, one.capacity) == one.graph && one.weights == other.weights &&
           one.weights_format == other.weights_format && one.execution == other.execution && one.inputs == other.inputs &&
           one.outputs == other.outputs && one.samples == other.samples && one.threads == other.threads &&
           one.affinity == other.affinity && one.precision == other.precision && one.small_graph == other.small_graph;
}

// What one phase took of a network.
struct Taken {
    int64_t granted = 0, cpu = 0, rss = 0, inferences = 0;
    bool exchanged = false, in_place = false;
};

class Server {
public:
    Server(const Serving& serving, const std::vector<Job>& candidates, const Library& library)
        : serving_(serving), candidates_(candidates), library_(library) {
        int64_t ms = 0;
        for (const Phase& phase : serving.phases) ms += phase.ms;
        for (size_t i = 0; i < serving.rates.size(); i++) {
            const int64_t every = 1'000'000'000'000 / serving.rates[i];
            networks_.push_back(std::make_unique<Network>(static_cast<int>(i), serving.rates[i], (ms * kMs + every - 1) / every));
        }
    }

    // Starts the networks of the first phase and waits until all are loaded.
    void load() {
        const std::vector<Share>& shares = serving_.phases[0].shares;
        for (size_t i = 0; i < networks_.size(); i++) start(*networks_[i], shares[i].candidate);
        const int64_t until = now_ns() + kLoadsWithin;
        for (const auto& network : networks_) {
            while (network->told().ready.load() == 0) {
                network->look_after();
                if (now_ns() > until) throw Failure(Exit::inference_failed, "the networks were not loaded in ten minutes");
                sleep_until(now_ns() + kMs);
            }
            network->stop();
        }
    }

    void run() {
        begin_ = now_ns();
        for (const auto& network : networks_) network->told().begin.store(begin_);
        int64_t ends = begin_;
        for (size_t i = 0; i < serving_.phases.size(); i++) {
            ends += serving_.phases[i].ms * kMs;
            run_phase(i, ends);
        }
        const int64_t end = now_ns() - begin_;
        for (size_t i = 0; i < networks_.size(); i++) send_requests(i, end);
    }

private:
    void start(Network& network, int candidate) {
        network.start(candidate, candidates_[static_cast<size_t>(candidate)], library_);
    }

    // Stopped processes are ended before any new one is started, so that memory is never that of both.
    void exchange(const std::vector<Share>& shares, std::vector<Taken>& taken) {
        std::vector<size_t> anew;
        for (size_t i = 0; i < networks_.size(); i++) {
            Network& network = *networks_[i];
            const int wanted = shares[i].candidate;
            if (wanted == network.candidate()) continue;
            taken[i].exchanged = true;
            const Job& job = candidates_[static_cast<size_t>(wanted)];
            taken[i].in_place = is_same_package(job, candidates_[static_cast<size_t>(network.candidate())]);
            if (taken[i].in_place) {
                network.change(wanted, job);
            } else {
                network.end();
                anew.push_back(i);
            }
        }
        for (const size_t i : anew) {
            start(*networks_[i], shares[i].candidate);
            networks_[i]->stop();
        }
    }

    void run_phase(size_t number, int64_t ends) {
        const Phase& phase = serving_.phases[number];
        const int64_t begin = now_ns(), own_cpu = processor_time(getpid()), period = serving_.period_us * 1000;
        std::vector<Taken> taken(networks_.size());
        if (number > 0) exchange(phase.shares, taken);
        for (size_t i = 0; i < networks_.size(); i++) {
            taken[i].cpu = processor_time(networks_[i]->pid());
            taken[i].inferences = networks_[i]->told().inferences.load();
        }
        int64_t most = 0, own = 0, look = begin;
        for (int64_t round = begin, now; round < ends; round = std::max(round + period, now)) {
            for (size_t i = 0; i < networks_.size(); i++) {
                const int64_t due = phase.shares[i].thousandths * (round + period - begin) / 1000 - taken[i].granted;
                turn(*networks_[i], std::min({due, kMostBehind * period, ends - now_ns()}), taken[i]);
            }
            if ((now = now_ns()) >= look) {
                for (const auto& network : networks_) network->look_after();
                if (!is_changing(taken)) {
                    look = now + kLookAtMemory;
                    most = std::max(most, look_at_memory(taken));
                    own = std::max(own, resident(getpid()));
                }
            }
            sleep_until(std::min(round + period, ends));
            now = now_ns();
        }
        if (most == 0) {
            most = look_at_memory(taken);
            own = resident(getpid());
        }
        send_phase(number, begin, taken);
        Event("phase")
            .number("i", static_cast<int64_t>(number))
            .number("ns", now_ns() - begin)
            .number("rss", most)
            .number("own_rss", own)
            .number("own_cpu", own_cpu < 0 ? -1 : processor_time(getpid()) - own_cpu)
            .send();
        flush_events();
    }

    // The process of the network goes on for so long.
    static void turn(const Network& network, int64_t ns, Taken& taken) {
        if (ns < kLeastSlice) return;
        const int64_t start = now_ns();
        network.go();
        sleep_until(start + ns);
        network.stop();
        taken.granted += now_ns() - start;
    }

    // Whether a network has still the capacity of the phase before. Memory is looked at once it has gone, like that of a
    // process that is exchanged for another.
    bool is_changing(const std::vector<Taken>& taken) const {
        for (size_t i = 0; i < networks_.size(); i++) {
            if (taken[i].in_place && networks_[i]->told().ready.load() == 0) return true;
        }
        return false;
    }

    // What all have now.
    int64_t look_at_memory(std::vector<Taken>& taken) const {
        int64_t sum = 0;
        for (size_t i = 0; i < networks_.size(); i++) {
            const int64_t rss = resident(networks_[i]->pid());
            taken[i].rss = std::max(taken[i].rss, rss);
            sum += rss;
        }
        return sum;
    }

    void send_phase(size_t number, int64_t begin, const std::vector<Taken>& taken) {
        const int64_t phase = static_cast<int64_t>(number);
        for (size_t i = 0; i < networks_.size(); i++) {
            Network& network = *networks_[i];
            const Taken& one = taken[i];
            if (one.exchanged) {
                const Job& job = candidates_[static_cast<size_t>(network.candidate())];
                const int64_t ready = network.told().ready.load(), moved = network.told().moved.load();
                const int64_t loaded = bytes_of(job.graph) + (moved < 0 ? bytes_of(job.weights) : moved);
                Event("switched")
                    .number("phase", phase)
                    .number("network", static_cast<int64_t>(i))
                    .number("candidate", network.candidate())
                    .text("way", one.in_place ? "capacity" : "load")
                    .number("ns", ready == 0 ? -1 : ready - begin)
                    .number("bytes", one.in_place ? moved : loaded)
                    .send();
            }
            const int64_t cpu = processor_time(network.pid());
            Event("served")
                .number("phase", phase)
                .number("network", static_cast<int64_t>(i))
                .number("granted", one.granted)
                .number("cpu", cpu < 0 || one.cpu < 0 ? -1 : cpu - one.cpu)
                .number("rss", one.rss)
                .number("inferences", network.told().inferences.load() - one.inferences)
                .send();
        }
    }

    void send_requests(size_t number, int64_t end) const {
        const Network& network = *networks_[number];
        int64_t phase_ends = serving_.phases[0].ms * kMs;
        size_t phase = 0;
        for (int64_t i = 0; i < network.requests(); i++) {
            const int64_t comes = network.comes(i);
            while (comes >= phase_ends && phase + 1 < serving_.phases.size()) phase_ends += serving_.phases[++phase].ms * kMs;
            const int64_t answer = network.answer(i);
            Event("request")
                .number("phase", static_cast<int64_t>(phase))
                .number("network", static_cast<int64_t>(number))
                .number("ns", answer == 0 ? std::max<int64_t>(end - comes, 0) : answer / 2)
                .text("answer", answer == 0 ? "none" : answer % 2 ? "own" : "later")
                .send();
        }
    }

    const Serving& serving_;
    const std::vector<Job>& candidates_;
    const Library& library_;
    std::vector<std::unique_ptr<Network>> networks_;
    int64_t begin_ = 0;
};

}  // namespace

std::vector<Job> read_candidates(const Serving& serving) {
    std::vector<Job> jobs;
    for (const std::string& path : serving.candidates) {
        jobs.push_back(read_job(path));
        if (jobs.back().mode != Mode::memory) throw Failure(Exit::bad_job, path + ": a candidate's mode is memory");
    }
    return jobs;
}

void serve(const Serving& serving, const std::vector<Job>& candidates, const Library& library) {
#if defined(__linux__) && defined(PR_SET_TIMERSLACK)
    prctl(PR_SET_TIMERSLACK, 1000UL);  // nanoseconds; what is usual, 50 µs, is a part of a turn
#endif
    flush_events();
    Server server(serving, candidates, library);
    server.load();
    server.run();
}

}  // namespace bench

#include "elm/train.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <memory>
#include <optional>
#include <vector>

#include "contract/events.h"
#include "contract/guard.h"
#include "contract/process.h"
#include "elm/cholesky.h"
#include "elm/gradients.h"
#include "elm/learning.h"
#include "elm/package.h"
#include "elm/triangle.h"

namespace bench {
namespace {

constexpr double kTolerance = 1e-4, kFirstTolerance = 1e-3;  // of the residual: at the end, and while an alpha is chosen
constexpr int kMostIterations = 100, kMostTries = 6;
constexpr int64_t kPause = 1'000'000'000;
constexpr uint64_t kVectors = 8 * sizeof(double) * kSixteen;  // bytes for each neuron while gradients are followed

std::string decimal(double value) {
    char text[32];
    std::snprintf(text, sizeof text, "%.9g", value);
    return text;
}

// Tells how far a stage is, once a second.
class Progress {
public:
    void tell(const char* stage, size_t done, size_t total) {
        if (now_ns() - last_ < kPause) return;
        last_ = now_ns();
        Event("progress").text("stage", stage).number("done", static_cast<int64_t>(done)).number("total", static_cast<int64_t>(total)).send();
        flush_events();
    }

private:
    int64_t last_ = now_ns();
};

class Training {
public:
    explicit Training(const Job& job)
        : job_(job), data_(job.samples, static_cast<uint32_t>(job.classes)), columns_((static_cast<size_t>(job.neurons) + kBlock - 1) / kBlock) {
        package_.hidden = {job.seed, data_.inputs(), static_cast<float>(std::sqrt(3.0 / static_cast<double>(data_.inputs())))};
        package_.neurons = static_cast<uint32_t>(job.neurons);
        package_.classes = static_cast<uint32_t>(job.classes);
        if (!job.validation.empty()) validation_ = open(job.validation);
        if (!job.test.empty()) test_ = open(job.test);
    }

    void run() {
        expect_memory();
        if (job_.threads > 1) expect_threads(job_.threads - 1);
        data_.moments(package_.mean, package_.deviation);
        triangle_ = make_triangle(job_.keeping, columns_, job_.scratch);
        hidden_ = std::make_unique<Hidden>(package_, job_.threads);
        factor();
        const double condition = factor_->condition();
        const int64_t solving = now_ns();
        choose();
        const int64_t solved = now_ns() - solving;
        const int64_t bytes = write_elm(package_, job_.package);
        Event event("trained");
        event.text("package", job_.package)
            .number("bytes", bytes)
            .number("neurons", job_.neurons)
            .number("inputs", static_cast<int64_t>(data_.inputs()))
            .number("samples", static_cast<int64_t>(data_.count()))
            .text("alpha", decimal(alpha_))
            .text("residual", decimal(residual_))
            .number("iterations", iterations_)
            .text("condition", decimal(condition))
            .text("shift", decimal(shift_ * count()))
            .number("tries", tries_)
            .number("products_ns", products_ns_)
            .number("factor_ns", factor_ns_)
            .number("solve_ns", solved)
            .number("matrix", static_cast<int64_t>(triangle_bytes(job_.keeping, columns_)));
        if (test_) {
            const size_t right = right_of(package_, *test_, *hidden_);
            event.number("right", static_cast<int64_t>(right)).number("of", static_cast<int64_t>(test_->count()));
        }
        event.send();
    }

private:
    double count() const { return static_cast<double>(data_.count()); }

    std::unique_ptr<Labelled> open(const std::string& path) const {
        auto found = std::make_unique<Labelled>(path, static_cast<uint32_t>(job_.classes));
        if (found->inputs() != data_.inputs()) {
            throw Failure(Exit::bad_samples, path + ": samples of " + std::to_string(found->inputs()) + " values, where those to learn from have " +
                                                 std::to_string(data_.inputs()));
        }
        return found;
    }

    // Linux promises more memory than it has; so a training that cannot end well does not begin.
    void expect_memory() const {
        const uint64_t work = columns_ * kBlock * (kBatch * sizeof(float) + kVectors) +
                              static_cast<uint64_t>(job_.threads) * (data_.inputs() * kBlock * sizeof(float) + (4u << 20));
        const uint64_t wanted = triangle_bytes(job_.keeping, columns_) + work;
        const int64_t there = available_memory();
        if (there >= 0 && wanted > static_cast<uint64_t>(there)) {
            throw Failure(Exit::out_of_memory, std::to_string(job_.neurons) + " neurons need " + std::to_string(wanted >> 20) + " MiB, and " +
                                                   std::to_string(there >> 20) + " MiB are available");
        }
        if (wanted > SIZE_MAX / 2) throw Failure(Exit::out_of_memory, std::to_string(job_.neurons) + " neurons need more memory than there are addresses");
    }

    // A first idea of how large the matrix is, from one batch: the root of the mean of its squares.
    double size_of_entries() {
        Batch batch;
        data_.read(0, package_.mean, package_.deviation, batch);
        const float* answers = hidden_->answers(batch, 1);
        std::vector<float> block(kBlockValues);
        add_product({answers, hidden_->step(), answers, hidden_->step(), block.data(), kBlock, batch.count, kBlock, kBlock,
                     1.0f / static_cast<float>(batch.count)},
                    hidden_->packed(0));
        double squares = 0;
        for (const double value : block) squares += value * value;
        const double neurons = static_cast<double>(std::min<size_t>(kBlock, package_.neurons));
        return std::sqrt(squares) / neurons;
    }

    // The factor's matrix has a shift between those that were asked for, and not less than what rounding may take away from
    // its smallest eigenvalue: the norm of a matrix of random roundings.
    void factor() {
        const auto [low, high] = std::minmax_element(job_.alphas.begin(), job_.alphas.end());
        const double digits = job_.keeping == Keeping::float16 ? 0x1p-10 : 0x1p-22;
        const double rounding = 2 * digits * size_of_entries() * std::sqrt(static_cast<double>(job_.neurons));
        shift_ = std::max(std::sqrt(*low * *high) / count(), rounding);
        for (tries_ = 1;; tries_++) {
            if (tries_ > 1) triangle_->clear();
            factor_ = std::make_unique<Cholesky>(*triangle_, columns_, job_.threads);
            if (factored()) return;
            if (tries_ == kMostTries) {
                throw Failure(Exit::inference_failed, "the matrix is not positive definite at neuron " + std::to_string(factor_->failed) +
                                                          " even with alpha = " + decimal(shift_ * count()) + ": are there values that are not finite?");
            }
            Event("pivot").number("neuron", static_cast<int64_t>(factor_->failed)).text("shift", decimal(shift_ * count())).send();
            shift_ *= 4;
        }
    }

    bool factored() {
        if (triangle_->whole()) accumulate(0, columns_ - 1);
        for (size_t column = 0; column < columns_; column++) {
            if (!triangle_->whole()) accumulate(column, column);
            const int64_t start = now_ns();
            float* work = triangle_->whole() ? triangle_->begin(column) : work_;
            for (size_t r = 0; r < kBlock; r++) {
                const bool neuron = column * kBlock + r < package_.neurons;
                work[column * kBlockValues + r * kBlock + r] += neuron ? static_cast<float>(shift_) : 1.0f;  // else nothing is there
            }
            factor_->add_norms(column, work);
            const bool done = factor_->factor(column, work);
            factor_ns_ += now_ns() - start;
            if (!done) return false;
            progress_.tell("factor", (column + 1) * (column + 2), columns_ * (columns_ + 1));
        }
        return true;
    }

    // HᵀH/N for these columns of blocks.
    void accumulate(size_t first, size_t last) {
        const int64_t start = now_ns();
        std::vector<float*> columns;
        for (size_t column = first; column <= last; column++) columns.push_back(triangle_->begin(column));
        work_ = columns[0];
        std::vector<std::pair<size_t, size_t>> blocks;
        for (size_t i = first; i <= last; i++) {
            for (size_t j = 0; j <= i; j++) blocks.emplace_back(j, i);
        }
        Batch batch;
        for (size_t b = 0; b < data_.batches(); b++) {
            data_.read(b, package_.mean, package_.deviation, batch);
            const float* answers = hidden_->answers(batch, last + 1);
            in_threads(job_.threads, blocks.size(), [&](size_t number, size_t thread) {
                const auto [j, i] = blocks[number];
                add_product({answers + j * kBlock, hidden_->step(), answers + i * kBlock, hidden_->step(), columns[i - first] + j * kBlockValues,
                             kBlock, batch.count, kBlock, kBlock, static_cast<float>(1 / count()), i == j},
                            hidden_->packed(thread));
            });
            progress_.tell("products", first * data_.batches() + b + 1, (last == first ? columns_ : 1) * data_.batches());
        }
        products_ns_ += now_ns() - start;
    }

    // Solves for every alpha, from the largest down, and goes on with what answers most of the validation part rightly; of
    // equals with the larger alpha.
    void choose() {
        const size_t groups = (package_.classes + kSixteen - 1) / kSixteen;
        Gradients gradients(data_, package_, *hidden_, *factor_);
        std::vector<std::vector<double>> rights;
        for (size_t g = 0; g < groups; g++) rights.push_back(gradients.right_sides(static_cast<uint32_t>(g * kSixteen)));
        Solutions now(groups, std::vector<double>(columns_ * kBlock * kSixteen)), best;
        std::vector<double> alphas = job_.alphas;
        std::sort(alphas.rbegin(), alphas.rend());
        std::optional<size_t> most;
        for (const double alpha : alphas) {
            const Course course = solve(gradients, rights, alpha, validation_ ? kFirstTolerance : kTolerance, now);
            Event event("solution");
            event.text("alpha", decimal(alpha)).number("iterations", course.iterations).text("residual", decimal(course.residual));
            size_t right = 0;
            if (validation_) {
                take(now);
                right = right_of(package_, *validation_, *hidden_);
                event.number("right", static_cast<int64_t>(right)).number("of", static_cast<int64_t>(validation_->count()));
            }
            event.send();
            flush_events();
            iterations_ += course.iterations;
            if (most && right <= *most) continue;
            most = right;
            best = now;
            alpha_ = alpha;
            residual_ = course.residual;
        }
        if (validation_) {
            const Course course = solve(gradients, rights, alpha_, kTolerance, best);
            iterations_ += course.iterations;
            residual_ = course.residual;
        }
        take(best);
    }

    using Solutions = std::vector<std::vector<double>>;  // by sixteen classes

    Course solve(Gradients& gradients, const Solutions& rights, double alpha, double tolerance, Solutions& x) {
        Course whole;
        for (size_t g = 0; g < rights.size(); g++) {
            const Course course = gradients.solve(rights[g], alpha / count(), tolerance, kMostIterations, x[g], [&](const Course& now) {
                progress_.tell("solve", static_cast<size_t>(now.iterations), static_cast<size_t>(kMostIterations));
            });
            whole = {whole.iterations + course.iterations, std::max(whole.residual, course.residual)};
        }
        return whole;
    }

    void take(const Solutions& x) {
        std::vector<float> weights(static_cast<size_t>(package_.neurons) * package_.classes);
        for (size_t c = 0; c < package_.classes; c++) {
            for (size_t m = 0; m < package_.neurons; m++) {
                weights[c * package_.neurons + m] = static_cast<float>(x[c / kSixteen][m * kSixteen + c % kSixteen]);
            }
        }
        store_output_weights(package_, weights);
    }

    const Job& job_;
    Labelled data_;
    size_t columns_;
    ElmPackage package_;
    std::unique_ptr<Labelled> validation_, test_;
    std::unique_ptr<Triangle> triangle_;
    std::unique_ptr<Hidden> hidden_;
    std::unique_ptr<Cholesky> factor_;
    float* work_ = nullptr;
    double shift_ = 0, alpha_ = 0;
    double residual_ = 0;
    int iterations_ = 0, tries_ = 0;
    int64_t products_ns_ = 0, factor_ns_ = 0;
    Progress progress_;
};

}  // namespace

void train(const Job& job) {
    go_first_when_memory_ends();
    enter_phase(Exit::inference_failed, "training");
    Training(job).run();
}

}  // namespace bench

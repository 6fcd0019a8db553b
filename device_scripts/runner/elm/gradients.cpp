#include "elm/gradients.h"

#include <array>
#include <cmath>

namespace bench {
namespace {

using Sixteen = std::array<double, kSixteen>;

Sixteen dots(const std::vector<double>& a, const std::vector<double>& b) {
    Sixteen sums{};
    for (size_t i = 0; i < a.size(); i += kSixteen) {
        for (size_t c = 0; c < kSixteen; c++) sums[c] += a[i + c] * b[i + c];
    }
    return sums;
}

// a += b * factors
void add(std::vector<double>& a, const std::vector<double>& b, const Sixteen& factors) {
    for (size_t i = 0; i < a.size(); i += kSixteen) {
        for (size_t c = 0; c < kSixteen; c++) a[i + c] += b[i + c] * factors[c];
    }
}

// A column that is done, or that was 0 all along, has nothing to divide by.
double quotient(double above, double below) { return below > 0 ? above / below : 0; }

}  // namespace

void Gradients::transposed(const float* answers, size_t count, const std::vector<float>& y, std::vector<double>& sums) {
    const double share = 1.0 / static_cast<double>(data_.count());
    part_.assign(hidden_.step() * kSixteen, 0.0f);
    in_threads(hidden_.threads(), hidden_.blocks(), [&](size_t block, size_t thread) {
        float* part = part_.data() + block * kBlock * kSixteen;
        add_product({answers + block * kBlock, hidden_.step(), y.data(), kSixteen, part, kSixteen, count, kBlock, kSixteen}, hidden_.packed(thread));
        double* into = sums.data() + block * kBlock * kSixteen;
        for (size_t i = 0; i < kBlock * kSixteen; i++) into[i] += share * static_cast<double>(part[i]);
    });
}

std::vector<double> Gradients::right_sides(uint32_t first) {
    std::vector<double> sums(hidden_.step() * kSixteen);
    for (size_t b = 0; b < data_.batches(); b++) {
        data_.read(b, package_.mean, package_.deviation, batch_);
        y_.assign(kBatch * kSixteen, 0.0f);
        for (size_t s = 0; s < batch_.count; s++) {
            if (batch_.classes[s] >= first && batch_.classes[s] < first + kSixteen) y_[s * kSixteen + batch_.classes[s] - first] = 1.0f;
        }
        transposed(hidden_.answers(batch_, hidden_.blocks()), batch_.count, y_, sums);
    }
    return sums;
}

std::vector<double> Gradients::times(const std::vector<double>& x, double shift) {
    std::vector<double> sums(x.size());
    narrow_.resize(x.size());
    for (size_t i = 0; i < x.size(); i++) {
        narrow_[i] = static_cast<float>(x[i]);
        sums[i] = shift * x[i];
    }
    for (size_t b = 0; b < data_.batches(); b++) {
        data_.read(b, package_.mean, package_.deviation, batch_);
        const float* answers = hidden_.answers(batch_, hidden_.blocks());
        outputs_of(hidden_, answers, batch_.count, narrow_.data(), y_);
        transposed(answers, batch_.count, y_, sums);
    }
    return sums;
}

std::vector<double> Gradients::inverse(const std::vector<double>& r) {
    narrow_.resize(r.size());
    for (size_t i = 0; i < r.size(); i++) narrow_[i] = static_cast<float>(r[i]);
    factor_.solve(narrow_.data());
    return {narrow_.begin(), narrow_.end()};
}

Course Gradients::solve(const std::vector<double>& right, double shift, double tolerance, int most, std::vector<double>& x,
                        const std::function<void(const Course&)>& report) {
    Course course;
    std::vector<double> r = right;
    const bool begun = std::any_of(x.begin(), x.end(), [](double value) { return value != 0; });
    Sixteen minus;
    minus.fill(-1);
    if (begun) add(r, times(x, shift), minus);
    std::vector<double> better = inverse(right);
    const Sixteen wanted = dots(right, better);
    std::vector<double> direction(r.size());
    Sixteen before{};
    for (;; course.iterations++) {
        better = inverse(r);
        const Sixteen now = dots(r, better);
        course.residual = 0;
        for (size_t c = 0; c < kSixteen; c++) course.residual = std::max(course.residual, std::sqrt(quotient(now[c], wanted[c])));
        if (course.iterations > 0) report(course);
        if (course.residual <= tolerance || course.iterations == most) break;
        Sixteen keep{};
        for (size_t c = 0; c < kSixteen; c++) keep[c] = quotient(now[c], before[c]);
        for (size_t i = 0; i < r.size(); i += kSixteen) {
            for (size_t c = 0; c < kSixteen; c++) direction[i + c] = better[i + c] + keep[c] * direction[i + c];
        }
        before = now;
        const std::vector<double> moved = times(direction, shift);
        const Sixteen bend = dots(direction, moved);
        Sixteen far{}, back{};
        for (size_t c = 0; c < kSixteen; c++) far[c] = quotient(now[c], bend[c]), back[c] = -far[c];
        add(x, direction, far);
        add(r, moved, back);
    }
    return course;
}

}  // namespace bench

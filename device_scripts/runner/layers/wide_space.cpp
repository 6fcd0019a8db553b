#include "layers/wide_space.h"

#include <cmath>

namespace bench {
namespace {

// D(n)[j, k] as a function of t = (j + ½) / n.
double column(int n, int k, double t) { return std::sqrt((k == 0 ? 1.0 : 2.0) / n) * std::cos(M_PI * std::fmod(k * t, 2.0)); }

}  // namespace

WideSpace::WideSpace(int channels, int samples, const std::vector<float>& points, const std::vector<float>& weights)
    : channels_(channels), points_(points.begin(), points.end()) {
    for (const float weight : weights) weights_.push_back(static_cast<double>(weight) * channels);
    if (!points_.empty()) return;
    const int count = samples > 0 ? samples : channels;
    for (int j = 0; j < count; j++) points_.push_back((j + 0.5) / count);
    weights_.assign(static_cast<size_t>(count), static_cast<double>(channels) / count);
}

std::vector<float> WideSpace::expand(int rank) const {
    std::vector<float> matrix;
    matrix.reserve(size() * static_cast<size_t>(rank));
    for (const double t : points_) {
        for (int k = 0; k < rank; k++) matrix.push_back(static_cast<float>(column(channels_, k, t)));
    }
    return matrix;
}

std::vector<float> WideSpace::reduce(int reduced, int total, int first) const {
    std::vector<float> matrix;
    matrix.reserve(size() * static_cast<size_t>(reduced));
    for (size_t j = 0; j < size(); j++) {
        const double t = (first + channels_ * points_[j]) / total;
        for (int u = 0; u < reduced; u++) matrix.push_back(static_cast<float>(weights_[j] * column(total, u, t)));
    }
    return matrix;
}

std::vector<float> WideSpace::reduce(int reduced, const float* core, int kept_out, int kept) const {
    std::vector<float> matrix;
    matrix.reserve(size() * static_cast<size_t>(reduced));
    std::vector<double> columns(static_cast<size_t>(kept)), values(static_cast<size_t>(kept_out));
    for (size_t j = 0; j < size(); j++) {
        for (int k = 0; k < kept; k++) columns[static_cast<size_t>(k)] = column(channels_, k, points_[j]);
        for (int o = 0; o < kept_out; o++) {
            double sum = 0;
            for (int k = 0; k < kept; k++)
                sum += static_cast<double>(core[static_cast<size_t>(o) * kept + k]) * columns[static_cast<size_t>(k)];
            values[static_cast<size_t>(o)] = weights_[j] * sum;
        }
        for (int u = 0; u < reduced; u++) {
            double sum = 0;
            for (int o = 0; o < kept_out; o++) sum += column(reduced, o, (u + 0.5) / reduced) * values[static_cast<size_t>(o)];
            matrix.push_back(static_cast<float>(sum));
        }
    }
    return matrix;
}

}  // namespace bench

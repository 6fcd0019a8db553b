// Mean and covariance of the channels of an image, put together from those of its strips.
#pragma once

#include <vector>

#include <mat.h>

namespace bench {

class Moments {
public:
    explicit Moments(int rank) : mean_(static_cast<size_t>(rank)), products_(mean_.size() * mean_.size()) {}

    // Takes in `pixels` more, a row of them for each channel. Each few are summed in float around their own mean, and
    // put together in double (Chan, Golub and LeVeque 1979), so a mean far from zero costs no digits.
    void add(const float* first, size_t channel_step, int pixels);
    void add(const Moments& other);

    double mean(size_t k) const { return mean_[k]; }
    size_t rank() const { return mean_.size(); }

    // rank × rank, of which l ≤ k counts.
    std::vector<double> covariance() const;

    // A blob of them, empty where there is no memory for it; and the moments in such a blob. `read` returns false for a blob
    // that has no moments of this rank.
    ncnn::Mat blob(ncnn::Allocator* allocator) const;
    bool read(const ncnn::Mat& blob);

private:
    void merge(double pixels, const double* mean, const double* products);

    double pixels_ = 0;
    std::vector<double> mean_, products_;  // products: of what is left without the mean, summed; l ≤ k
};

}  // namespace bench

#include "layers/moments.h"

#include <algorithm>
#include <cstring>

#include "layers/rank_kernel.h"

namespace bench {

void Moments::add(const float* first, size_t channel_step, int pixels) {
    const int count = static_cast<int>(rank()), most = most_summed();
    std::vector<const float*> rows(rank());
    std::vector<double> mean(rank()), products(rank() * rank());
    std::vector<float> around(rank());
    for (int at = 0; at < pixels; at += most) {
        const int here = std::min(most, pixels - at);
        for (size_t k = 0; k < rank(); k++) rows[k] = first + k * channel_step + at;
        sum_rows(rows.data(), count, here, mean.data());
        for (size_t k = 0; k < rank(); k++) {
            mean[k] /= here;
            around[k] = static_cast<float>(mean[k]);
        }
        sum_products(rows.data(), around.data(), count, here, products.data());
        // The mean was rounded to float before it was taken away.
        for (size_t k = 0; k < rank(); k++) {
            for (size_t l = 0; l <= k; l++) products[k * rank() + l] -= here * (mean[k] - around[k]) * (mean[l] - around[l]);
        }
        merge(here, mean.data(), products.data());
    }
}

void Moments::add(const Moments& other) { merge(other.pixels_, other.mean_.data(), other.products_.data()); }

void Moments::merge(double pixels, const double* mean, const double* products) {
    const double all = pixels_ + pixels;
    if (all == 0) return;
    for (size_t k = 0; k < rank(); k++) {
        for (size_t l = 0; l <= k; l++) {
            const double between = (mean[k] - mean_[k]) * (mean[l] - mean_[l]) * pixels_ * pixels / all;
            products_[k * rank() + l] += products[k * rank() + l] + between;
        }
    }
    for (size_t k = 0; k < rank(); k++) mean_[k] += (mean[k] - mean_[k]) * pixels / all;
    pixels_ = all;
}

std::vector<double> Moments::covariance() const {
    std::vector<double> found = products_;
    for (double& value : found) value /= pixels_;
    return found;
}

ncnn::Mat Moments::blob(ncnn::Allocator* allocator) const {
    ncnn::Mat made;
    made.create(static_cast<int>(1 + mean_.size() + products_.size()), sizeof(double), allocator);
    if (made.empty()) return made;
    double* to = static_cast<double*>(made.data);
    *to++ = pixels_;
    to = std::copy(mean_.begin(), mean_.end(), to);
    std::copy(products_.begin(), products_.end(), to);
    return made;
}

bool Moments::read(const ncnn::Mat& blob) {
    const size_t size = 1 + mean_.size() + products_.size();
    if (blob.dims != 1 || blob.elemsize != sizeof(double) || static_cast<size_t>(blob.w) != size) return false;
    const double* from = static_cast<const double*>(blob.data);
    pixels_ = *from++;
    std::copy_n(from, mean_.size(), mean_.begin());
    std::copy_n(from + mean_.size(), products_.size(), products_.begin());
    return true;
}

}  // namespace bench

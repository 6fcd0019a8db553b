#include "weights/order.h"

#include <algorithm>
#include <numeric>

namespace bench {
namespace {

// n choose k modulo 2^64, for k up to kMaxRank. The division by k! happens on the factors, so it is exact.
uint64_t choose(uint64_t n, int k) {
    std::array<uint64_t, kMaxRank> factors{};
    for (int i = 0; i < k; i++) factors[i] = n - i;
    for (uint64_t divisor = 2; divisor <= static_cast<uint64_t>(k); divisor++) {
        uint64_t left = divisor;
        for (int i = 0; i < k && left > 1; i++) {
            const uint64_t common = std::gcd(factors[i], left);
            factors[i] /= common;
            left /= common;
        }
    }
    uint64_t product = 1;
    for (int i = 0; i < k; i++) product *= factors[i];
    return product;
}

}  // namespace

// Inclusion and exclusion over the axes whose bound is exceeded: the number of m-tuples of any size with a sum of at most
// s is (s + m choose m). The terms are far larger than the result, which fits in 31 bits, so modulo 2^64 is exact.
uint64_t CoefficientOrder::up_to(int first, int64_t level) const {
    const int axes = rank_ - first;
    uint64_t count = 0;
    for (unsigned exceeded = 0; exceeded < 1u << axes; exceeded++) {
        int64_t left = level;
        for (int a = 0; a < axes; a++) {
            if (exceeded >> a & 1) left -= shape_[first + a];
        }
        if (left < 0) continue;
        const uint64_t tuples = choose(static_cast<uint64_t>(left) + axes, axes);
        count += __builtin_popcount(exceeded) % 2 ? 0 - tuples : tuples;
    }
    return count;
}

void CoefficientOrder::fill(Axes& index, int first, int64_t level) const {
    for (int a = rank_ - 1; a >= first; a--) {
        index[a] = static_cast<int32_t>(std::min<int64_t>(level, shape_[a] - 1));
        level -= index[a];
    }
}

Axes CoefficientOrder::at(uint32_t position) const {
    int64_t low = 0, high = 0;
    for (int a = 0; a < rank_; a++) high += shape_[a] - 1;
    while (low < high) {
        const int64_t middle = (low + high) / 2;
        if (up_to(0, middle) > position)
            high = middle;
        else
            low = middle + 1;
    }
    Axes index{};
    int64_t level = low;
    uint64_t within = position - up_to(0, level - 1);
    for (int a = 0; a + 1 < rank_; a++) {
        // The indices 0 … v of this axis leave levels level-v … level to the axes after it.
        const uint64_t all = up_to(a + 1, level);
        int64_t v = 0, most = std::min<int64_t>(level, shape_[a] - 1);
        while (v < most) {
            const int64_t middle = (v + most) / 2;
            if (all - up_to(a + 1, level - middle - 1) > within)
                most = middle;
            else
                v = middle + 1;
        }
        index[a] = static_cast<int32_t>(v);
        within -= all - up_to(a + 1, level - v);
        level -= v;
    }
    index[rank_ - 1] = static_cast<int32_t>(level);
    return index;
}

bool CoefficientOrder::advance(Axes& index) const {
    int64_t behind = 0, room = 0;
    for (int a = rank_ - 1; a >= 0; a--) {
        if (behind > 0 && index[a] + 1 < shape_[a]) {
            index[a]++;
            fill(index, a + 1, behind - 1);
            return true;
        }
        behind += index[a];
        room += shape_[a] - 1;
    }
    if (behind == room) return false;
    fill(index, 0, behind + 1);
    return true;
}

}  // namespace bench

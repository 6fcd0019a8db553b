// What nearly all the time of training goes into: products of matrices in float32, tanh, and values kept in half.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <vector>

namespace bench {

// c[m][n] += sign * sum over k of p[k][m] * q[k][n]. Rows of each lie `step` values apart. With `upper`, c is part of a
// symmetric matrix whose row 0 is at column `upper_at` of it: tiles that lie wholly below the diagonal are left out.
struct Product {
    const float* p;
    size_t p_step;
    const float* q;
    size_t q_step;
    float* c;
    size_t c_step;
    size_t terms, rows, columns;
    float sign = 1.0f;
    bool upper = false;
    size_t first_column = 0;  // of c in the whole, for `upper`
};

// Where a thread packs what it multiplies: some 2 MiB.
class Packed {
public:
    std::vector<float> p, q;
};

void add_product(const Product& product, Packed& packed);

// y[r][0..16) += sign * sum over c of a[r][c] * x[c][0..16).
void add_sixteen(const float* a, size_t a_step, const float* x, float* y, size_t rows, size_t columns, float sign);
constexpr size_t kSixteen = 16;

void tanh_all(float* values, size_t count);  // to 2 units in the last place or so
void widen(const uint16_t* from, float* to, size_t count);
void narrow(const float* from, uint16_t* to, size_t count);

// Calls work(number, thread) for each number below `count`, on so many threads. `work` throws nothing.
void in_threads(int threads, size_t count, const std::function<void(size_t number, size_t thread)>& work);

}  // namespace bench

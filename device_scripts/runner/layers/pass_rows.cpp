#include "layers/pass_rows.h"

#include <algorithm>

#include "layers/rank_kernel.h"

namespace bench {
namespace {

constexpr int kWide = 64;  // wide channels in the cache at once
constexpr int kWindows = 4;

// Every second pixel of two rows, the four of each pooled pixel in as many rows of `to`.
void split_windows(const float* upper, const float* lower, int pixels, float* const (&to)[kWindows]) {
    for (int i = 0; i < pixels; i++) {
        to[0][i] = upper[2 * i];
        to[1][i] = upper[2 * i + 1];
        to[2][i] = lower[2 * i];
        to[3][i] = lower[2 * i + 1];
    }
}

}  // namespace

PassSteps PassSteps::folded() const {
    PassSteps made;
    made.points = rank;
    made.reduced = reduced;
    const auto column = [this](int k) { return k < rank ? expand.data() + static_cast<size_t>(k) * points : shift.data(); };
    for (int k = 0; k <= rank; k++) {
        for (int u = 0; u < reduced; u++) {
            double sum = 0;
            for (int c = 0; c < points; c++) sum += static_cast<double>(column(k)[c]) * reduce[static_cast<size_t>(c) * reduced + u];
            (k < rank ? made.reduce : made.shift).push_back(static_cast<float>(sum));
        }
    }
    return made;
}

PassRows::PassRows(std::shared_ptr<const PassSteps> steps, std::shared_ptr<const RowSource> z, std::shared_ptr<const RowSource> added)
    : RowSource(steps->pooled ? z->width() / 2 : z->width(), steps->pooled ? z->height() / 2 : z->height(),
                steps->reduced > 0 ? steps->reduced : steps->points),
      steps_(std::move(steps)),
      z_(std::move(z)),
      added_(std::move(added)) {}

const ncnn::Mat* PassRows::spare(int channels) const {
    if (steps_->pooled) return nullptr;
    const ncnn::Mat* found = z_->spare(channels);
    return found || !added_ ? found : added_->spare(channels);
}

void PassRows::write(int y, int count, float* to, size_t channel_step, size_t row_step, Arena& arena) const {
    if (added_) added_->write(y, count, to, channel_step, row_step, arena);
    const Arena::Frame frame(arena);
    const int windows = steps_->pooled ? kWindows : 1, rank = z_->channels();
    const Rows rows = z_->read(windows > 1 ? 2 * y : y, windows > 1 ? 2 * count : count, arena);
    std::vector<const float*> z(static_cast<size_t>(windows * rank));
    float* const split = windows > 1 ? arena.take(z.size() * kTile) : nullptr;
    float* const results = arena.take(static_cast<size_t>(channels()) * kTile);
    float* const wide = arena.take(kWide * kTile);

    // Tiles of pooled rows end with the row; others go on, so that the rows of small images fill them.
    const int length = windows > 1 ? width() : width() * count;
    for (int part = 0; part < (windows > 1 ? count : 1); part++) {
        for (int start = 0; start < length; start += kTile) {
            const int pixels = std::min(kTile, length - start);
            for (int k = 0; k < rank; k++) {
                const float* row = rows.first + static_cast<size_t>(k) * rows.channel_step;
                if (windows == 1) {
                    z[static_cast<size_t>(k)] = row + start;
                    continue;
                }
                float* own[kWindows];
                for (int w = 0; w < kWindows; w++) {
                    own[w] = split + (w * rank + k) * kTile;
                    z[static_cast<size_t>(w * rank + k)] = own[w];
                }
                const float* upper = row + static_cast<size_t>(2 * part) * z_->width() + 2 * start;
                split_windows(upper, upper + z_->width(), pixels, own);
            }
            const int row = windows > 1 ? part : start / width(), column = windows > 1 ? start : start % width();
            float* place = to + static_cast<size_t>(row) * row_step + column;
            if (pixels == kTile && column + kTile <= width()) {
                tile(z.data(), pixels, wide, place, channel_step);
                continue;
            }
            // What goes over the end of a row is made beside it.
            const auto for_each_run = [&](auto&& copy) {
                for (int done = 0, r = row, x = column; done < pixels; r++, x = 0) {
                    const int here = std::min(pixels - done, width() - x);
                    for (int u = 0; u < channels(); u++) {
                        copy(results + u * kTile + done, to + static_cast<size_t>(u) * channel_step + static_cast<size_t>(r) * row_step + x,
                             here);
                    }
                    done += here;
                }
            };
            if (added_) for_each_run([](float* mine, const float* theirs, int n) { std::copy_n(theirs, n, mine); });
            tile(z.data(), pixels, wide, results, kTile);
            for_each_run([](const float* mine, float* theirs, int n) { std::copy_n(mine, n, theirs); });
        }
    }
}

void PassRows::expand(const float* const* z, int first, int count, int pixels, float* to, size_t step) const {
    const After last = steps_->relu ? After::relu : After::store;
    for (int w = 0; w < (steps_->pooled ? kWindows : 1); w++) {
        mix({steps_->rank, count, pixels, z + w * steps_->rank, steps_->expand.data() + first, static_cast<size_t>(steps_->points),
             steps_->shift.data() + first, to, step, false, w == 0 ? last : After::largest});
    }
}

void PassRows::tile(const float* const* z, int pixels, float* wide, float* results, size_t step) const {
    const float* wide_rows[kWide];
    for (int i = 0; i < kWide; i++) wide_rows[i] = wide + i * kTile;
    const PassSteps& s = *steps_;
    if (s.reduced == 0) return expand(z, 0, s.points, pixels, results, step);
    const size_t reduced = static_cast<size_t>(s.reduced);
    const float* shift = s.rank == 0 && !s.shift.empty() ? s.shift.data() : nullptr;
    if (s.rank == 0 && !s.relu) {
        return mix({s.points, s.reduced, pixels, z, s.reduce.data(), reduced, shift, results, step, added_ != nullptr, After::store});
    }
    for (int first = 0; first < s.points; first += kWide) {
        const int count = std::min(kWide, s.points - first);
        if (s.rank > 0) {
            expand(z, first, count, pixels, wide, kTile);
        } else {
            for (int c = 0; c < count; c++) {
                for (int i = 0; i < pixels; i++) wide[c * kTile + i] = std::max(z[first + c][i], 0.0f);
            }
        }
        mix({count, s.reduced, pixels, wide_rows, s.reduce.data() + static_cast<size_t>(first) * reduced, reduced, nullptr, results, step,
             first > 0 || added_ != nullptr, After::store});
    }
}

}  // namespace bench

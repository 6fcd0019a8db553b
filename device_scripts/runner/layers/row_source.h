// Blobs that are made row by row, when the layer after them asks: what lies between two small convolutions is never whole.
#pragma once

#include <memory>
#include <vector>

#include <mat.h>
#include <option.h>

namespace bench {

// Pixels of `channels` rows, which can be read a vector (kLanes) beyond the last.
struct Rows {
    const float* first;
    size_t channel_step;
};

// What forward() of a layer returns, as ncnn's own do.
constexpr int kBadLayer = -1, kOutOfMemory = -100;

class RowSource {
public:
    RowSource(int width, int height, int channels) : width_(width), height_(height), channels_(channels) {}
    virtual ~RowSource() = default;
    RowSource(const RowSource&) = delete;
    RowSource& operator=(const RowSource&) = delete;

    int width() const { return width_; }
    int height() const { return height_; }
    int channels() const { return channels_; }

    // Rows y to y + count - 1, each channel `channel_step` floats after the one before and each row `row_step`.
    virtual void write(int y, int count, float* to, size_t channel_step, size_t row_step) const = 0;

    // The same side by side, without gaps between rows: in `room`, or where they already are.
    virtual Rows read(int y, int count, std::vector<float>& room) const;

    // A blob of this width and height and at least so many channels which nothing needs once its rows are read, and whose row y
    // is read for row y alone; or null.
    virtual const ncnn::Mat* spare(int channels) const {
        (void)channels;
        return nullptr;
    }

private:
    int width_, height_, channels_;
};

// A blob that stands for rows which are not made yet. It has no values: only the layers here know what it is.
ncnn::Mat deferred(std::shared_ptr<const RowSource> rows);

// All rows as an ordinary blob, on as many threads as ncnn is to use. Returns what a layer's forward() does.
int make_rows(const RowSource& rows, ncnn::Mat& blob, const ncnn::Option& option);

// The rows of a blob, deferred or as ncnn makes them; null where it has none.
std::shared_ptr<const RowSource> rows_of(const ncnn::Mat& blob);

}  // namespace bench

// Blobs that are made row by row, when the layer after them asks: what lies between two small convolutions is never whole.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include <layer.h>

namespace bench {

// Pixels of `channels` rows, which can be read a vector (kLanes) beyond the last.
struct Rows {
    const float* first;
    size_t channel_step;
};

// What forward() of a layer returns, as ncnn's own do.
constexpr int kBadLayer = -1, kOutOfMemory = -100;

// Memory for what a thread needs while it makes rows, taken and given back like a stack; nothing is freed before the end.
class Arena {
public:
    explicit Arena(ncnn::Allocator* allocator) : allocator_(allocator) {}
    ~Arena();
    Arena(const Arena&) = delete;
    Arena& operator=(const Arena&) = delete;

    // Room for so many floats until the innermost Frame ends. Throws std::bad_alloc.
    float* take(size_t floats);

    class Frame {
    public:
        explicit Frame(Arena& arena) : arena_(arena), block_(arena.block_), used_(arena.used_) {}
        ~Frame() { arena_.block_ = block_, arena_.used_ = used_; }
        Frame(const Frame&) = delete;
        Frame& operator=(const Frame&) = delete;

    private:
        Arena& arena_;
        size_t block_, used_;
    };

private:
    ncnn::Allocator* allocator_;
    std::vector<ncnn::Mat> blocks_;
    size_t block_ = 0, used_ = 0;
};

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
    virtual void write(int y, int count, float* to, size_t channel_step, size_t row_step, Arena& arena) const = 0;

    // The same side by side, without gaps between rows: in the arena, or where they already are.
    virtual Rows read(int y, int count, Arena& arena) const;

    // A blob of this width and height with room for so many channels which nothing needs once its rows are read, and whose row
    // y is read for row y alone; or null.
    virtual const ncnn::Mat* spare(int channels) const {
        (void)channels;
        return nullptr;
    }

private:
    int width_, height_, channels_;
};

// A layer that knows what a deferred blob is.
class RowLayer : public ncnn::Layer {
public:
    // Whether its first output is one.
    virtual bool defers() const { return false; }

    // Whether it makes the rows of this input, if it is one. No other kind of layer can.
    virtual bool takes_rows(size_t input) const {
        (void)input;
        return false;
    }
};

// A blob that stands for rows which are not made yet. It has no values.
ncnn::Mat deferred(std::shared_ptr<const RowSource> rows);

// Has `make` do each band, on a thread of its own with an arena of its own. Returns what a layer's forward() does.
int for_each_band(int bands, const ncnn::Option& option, const std::function<void(int band, Arena&)>& make);

// How many channels there is memory for in a blob of floats.
int room_of(const ncnn::Mat& blob);

// All rows as an ordinary blob, on as many threads as ncnn is to use: in the memory of `over`, if given, whose row y is read for
// row y alone. Returns what a layer's forward() does.
int make_rows(const RowSource& rows, const ncnn::Mat* over, ncnn::Mat& blob, const ncnn::Option& option);

// The rows of a blob, deferred or as ncnn makes them; null where it has none.
std::shared_ptr<const RowSource> rows_of(const ncnn::Mat& blob);

}  // namespace bench

#include "layers/row_source.h"

#include <algorithm>
#include <atomic>
#include <new>

#include <allocator.h>

#include "layers/rank_kernel.h"

namespace bench {
namespace {

using Pointer = std::shared_ptr<const RowSource>;

// Frees what a deferred blob stands for together with the blob; and by it such a blob is known.
class Deferring : public ncnn::Allocator {
public:
    void* fastMalloc(size_t size) override { return ncnn::fastMalloc(size); }
    void fastFree(void* blob) override {
        static_cast<Pointer*>(blob)->~Pointer();
        ncnn::fastFree(blob);
    }
};

Deferring& deferring() {
    static Deferring allocator;
    return allocator;
}

class BlobRows : public RowSource {
public:
    explicit BlobRows(const ncnn::Mat& blob) : RowSource(blob.w, blob.h, blob.c), blob_(blob) {}

    void write(int y, int count, float* to, size_t channel_step, size_t row_step, Arena&) const override {
        for (int c = 0; c < channels(); c++) {
            const ncnn::Mat channel = blob_.channel(c);
            for (int i = 0; i < count; i++) {
                std::copy_n(channel.row(y + i), width(), to + static_cast<size_t>(c) * channel_step + static_cast<size_t>(i) * row_step);
            }
        }
    }

    Rows read(int y, int, Arena&) const override { return {blob_.row(y), blob_.cstep}; }

    const ncnn::Mat* spare(int channels) const override {
        const bool only_ours = blob_.refcount && *blob_.refcount == 1;
        return only_ours && room_of(blob_) >= channels ? &blob_ : nullptr;
    }

private:
    ncnn::Mat blob_;
};

}  // namespace

Arena::~Arena() = default;

float* Arena::take(size_t floats) {
    constexpr size_t kBlock = 1 << 16;
    const size_t wanted = (floats + kLanes - 1) / kLanes * kLanes;
    for (; block_ < blocks_.size(); block_++, used_ = 0) {
        if (used_ + wanted <= static_cast<size_t>(blocks_[block_].w)) break;
    }
    if (block_ == blocks_.size()) {
        if (wanted > INT32_MAX) throw std::bad_alloc();
        blocks_.emplace_back(static_cast<int>(std::max(wanted, kBlock)), sizeof(float), allocator_);
        if (blocks_.back().empty()) throw std::bad_alloc();
        used_ = 0;
    }
    used_ += wanted;
    return static_cast<float*>(blocks_[block_].data) + used_ - wanted;
}

Rows RowSource::read(int y, int count, Arena& arena) const {
    const size_t step = static_cast<size_t>(width_) * static_cast<size_t>(count) + kLanes;
    float* room = arena.take(step * static_cast<size_t>(channels_));
    write(y, count, room, step, static_cast<size_t>(width_), arena);
    return {room, step};
}

ncnn::Mat deferred(std::shared_ptr<const RowSource> rows) {
    constexpr int kFloats = (sizeof(Pointer) + sizeof(float) - 1) / sizeof(float);
    ncnn::Mat blob;
    blob.create(kFloats, sizeof(float), &deferring());
    if (!blob.empty()) new (blob.data) Pointer(std::move(rows));
    return blob;
}

int for_each_band(int bands, const ncnn::Option& option, const std::function<void(int band, Arena&)>& make) {
    std::atomic<bool> failed{false};
#pragma omp parallel for num_threads(bands)
    for (int band = 0; band < bands; band++) {
        try {  // here, since what is thrown out of a parallel region ends the process
            Arena arena(option.workspace_allocator);
            make(band, arena);
        } catch (const std::bad_alloc&) {
            failed = true;
        }
    }
    return failed ? kOutOfMemory : 0;
}

int room_of(const ncnn::Mat& blob) {
    if (!blob.refcount || blob.cstep == 0) return 0;
    // ncnn counts references right behind the values.
    const auto bytes = reinterpret_cast<const char*>(blob.refcount) - static_cast<const char*>(blob.data);
    return static_cast<int>(static_cast<size_t>(std::max<ptrdiff_t>(0, bytes)) / (blob.cstep * sizeof(float)));
}

int make_rows(const RowSource& rows, const ncnn::Mat* over, ncnn::Mat& blob, const ncnn::Option& option) {
    if (over) {
        blob = *over;
        blob.c = rows.channels();
    } else {
        blob.create(rows.width(), rows.height(), rows.channels(), sizeof(float), option.blob_allocator);
    }
    if (blob.empty()) return kOutOfMemory;
    constexpr int kPixels = 4096;  // a thread makes at once
    const int step = std::max(1, kPixels / rows.width()), width = rows.width();
    const int parts = (rows.height() + step - 1) / step, bands = std::min(std::max(1, option.num_threads), parts);
    return for_each_band(bands, option, [&](int band, Arena& arena) {
        for (int part = parts * band / bands; part < parts * (band + 1) / bands; part++) {
            const Arena::Frame frame(arena);
            const int y = part * step, count = std::min(step, rows.height() - y);
            float* const to = static_cast<float*>(blob.data) + static_cast<size_t>(y) * width;
            if (!over) {
                rows.write(y, count, to, blob.cstep, static_cast<size_t>(width), arena);
                continue;
            }
            const Rows made = rows.RowSource::read(y, count, arena);
            for (int c = 0; c < rows.channels(); c++) {
                std::copy_n(made.first + static_cast<size_t>(c) * made.channel_step, static_cast<size_t>(width) * count,
                            to + static_cast<size_t>(c) * blob.cstep);
            }
        }
    });
}

std::shared_ptr<const RowSource> rows_of(const ncnn::Mat& blob) {
    if (blob.empty()) return nullptr;
    if (blob.allocator == &deferring()) return *static_cast<const Pointer*>(blob.data);
    if (blob.dims != 3 || blob.elempack != 1 || blob.elemsize != sizeof(float)) return nullptr;
    return std::make_shared<const BlobRows>(blob);
}

}  // namespace bench

#include "elm/triangle.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>
#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "contract/failure.h"
#include "elm/products.h"

namespace bench {
namespace {

size_t blocks_before(size_t column) { return column * (column + 1) / 2; }

std::string mebibytes(uint64_t bytes) { return std::to_string(bytes >> 20) + " MiB"; }

// Zeros straight from the system, all of them really there.
template <class T>
class Pages {
public:
    explicit Pages(size_t count) : bytes_(count * sizeof(T)) {
        at_ = mmap(nullptr, bytes_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (at_ == MAP_FAILED) {
            throw Failure(Exit::out_of_memory, mebibytes(bytes_) + " for the matrix are refused: " + std::strerror(errno));
        }
        clear();
    }
    ~Pages() { munmap(at_, bytes_); }
    Pages(const Pages&) = delete;
    Pages& operator=(const Pages&) = delete;

    T* at(size_t value) const { return static_cast<T*>(at_) + value; }
    void clear() { std::memset(at_, 0, bytes_); }

private:
    size_t bytes_;
    void* at_;
};

class Single : public Triangle {
public:
    explicit Single(size_t columns) : blocks_(blocks_before(columns) * kBlockValues) {}

    bool whole() const override { return true; }
    float* begin(size_t column) override { return blocks_.at(blocks_before(column) * kBlockValues); }
    void keep(size_t) override {}
    const float* block(size_t row, size_t column, float*) const override {
        return blocks_.at((blocks_before(column) + row) * kBlockValues);
    }
    void clear() override { blocks_.clear(); }

private:
    Pages<float> blocks_;
};

class Halves : public Triangle {
public:
    explicit Halves(size_t columns) : blocks_(blocks_before(columns) * kBlockValues), work_(columns * kBlockValues) {}

    float* begin(size_t column) override {
        std::memset(work_.at(0), 0, (column + 1) * kBlockValues * sizeof(float));
        return work_.at(0);
    }
    void keep(size_t column) override {
        narrow(work_.at(0), blocks_.at(blocks_before(column) * kBlockValues), (column + 1) * kBlockValues);
    }
    const float* block(size_t row, size_t column, float* scratch) const override {
        widen(blocks_.at((blocks_before(column) + row) * kBlockValues), scratch, kBlockValues);
        return scratch;
    }
    void clear() override {}

private:
    Pages<uint16_t> blocks_;
    Pages<float> work_;
};

class Stored : public Triangle {
public:
    Stored(size_t columns, const std::string& path) : path_(path), work_(columns * kBlockValues) {
        file_ = open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
        if (file_ < 0) fail(errno);
        unlink(path.c_str());
        const auto bytes = static_cast<off_t>(blocks_before(columns) * kBlockValues * sizeof(float));
        const int why = posix_fallocate(file_, 0, bytes);
        if (why == EOPNOTSUPP || why == EINVAL) {
            if (ftruncate(file_, bytes) != 0) fail(errno);
        } else if (why != 0) {
            fail(why);
        }
    }
    ~Stored() override {
        if (file_ >= 0) close(file_);
    }
    Stored(const Stored&) = delete;
    Stored& operator=(const Stored&) = delete;

    float* begin(size_t column) override {
        std::memset(work_.at(0), 0, (column + 1) * kBlockValues * sizeof(float));
        return work_.at(0);
    }
    void keep(size_t column) override {
        const auto* at = reinterpret_cast<const uint8_t*>(work_.at(0));
        size_t left = (column + 1) * kBlockValues * sizeof(float);
        off_t offset = place(0, column);
        while (left > 0) {
            const ssize_t done = pwrite(file_, at, left, offset);
            if (done < 0 && errno == EINTR) continue;
            if (done <= 0) fail(done < 0 ? errno : ENOSPC);
            at += done;
            offset += done;
            left -= static_cast<size_t>(done);
        }
    }
    const float* block(size_t row, size_t column, float* scratch) const override {
        auto* at = reinterpret_cast<uint8_t*>(scratch);
        size_t left = kBlockValues * sizeof(float);
        off_t offset = place(row, column);
        while (left > 0) {
            const ssize_t done = pread(file_, at, left, offset);
            if (done < 0 && errno == EINTR) continue;
            if (done <= 0) fail(done < 0 ? errno : EIO);
            at += done;
            offset += done;
            left -= static_cast<size_t>(done);
        }
        return scratch;
    }
    void clear() override {}

private:
    [[noreturn]] void fail(int why) const {
        const int file = file_;
        if (file >= 0) close(file);
        const_cast<Stored*>(this)->file_ = -1;
        throw Failure(Exit::write_failed, path_ + ": " + std::strerror(why));
    }
    static off_t place(size_t row, size_t column) {
        return static_cast<off_t>((blocks_before(column) + row) * kBlockValues * sizeof(float));
    }

    std::string path_;
    Pages<float> work_;
    int file_ = -1;
};

}  // namespace

uint64_t triangle_bytes(Keeping keeping, size_t columns) {
    const uint64_t blocks = blocks_before(columns), values = kBlockValues;
    const uint64_t work = columns * values * sizeof(float);
    switch (keeping) {
        case Keeping::float32: return blocks * values * sizeof(float);
        case Keeping::float16: return blocks * values * sizeof(uint16_t) + work;
        case Keeping::file: return work;
    }
    return 0;
}

std::unique_ptr<Triangle> make_triangle(Keeping keeping, size_t columns, const std::string& path) {
    switch (keeping) {
        case Keeping::float32: return std::make_unique<Single>(columns);
        case Keeping::float16: return std::make_unique<Halves>(columns);
        case Keeping::file: return std::make_unique<Stored>(columns, path);
    }
    return nullptr;
}

}  // namespace bench

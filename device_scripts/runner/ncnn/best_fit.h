// Memory for the blobs of a graph whose layers write over their inputs.
#pragma once

#include <cstddef>
#include <map>
#include <mutex>

#include <allocator.h>

namespace bench {

// Keeps what is freed for the next who needs about as much, from one inference to the next. ncnn's own pool gives the first
// block that is large enough, so a vector may hold the memory of an image, and the next image takes more from the system.
class BestFit : public ncnn::Allocator {
public:
    BestFit() = default;
    ~BestFit() override;
    BestFit(const BestFit&) = delete;
    BestFit& operator=(const BestFit&) = delete;

    void* fastMalloc(size_t size) override;
    void fastFree(void* block) override;

private:
    std::mutex lock_;
    std::multimap<size_t, void*> free_;  // by size
    std::map<void*, size_t> used_;
};

}  // namespace bench

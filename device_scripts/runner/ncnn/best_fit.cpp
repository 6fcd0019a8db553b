#include "ncnn/best_fit.h"

namespace bench {
namespace {

constexpr size_t kWaste = 8;      // a block of up to so many times the size will do
constexpr size_t kMostFree = 32;  // blocks that are kept

}  // namespace

BestFit::~BestFit() {
    for (const auto& entry : free_) ncnn::fastFree(entry.second);
}

void* BestFit::fastMalloc(size_t size) {
    const std::lock_guard<std::mutex> guard(lock_);
    const auto found = free_.lower_bound(size);
    if (found != free_.end() && found->first / kWaste <= size) {
        void* block = found->second;
        used_[block] = found->first;
        free_.erase(found);
        return block;
    }
    void* block = ncnn::fastMalloc(size);
    if (block) used_[block] = size;
    return block;
}

void BestFit::fastFree(void* block) {
    const std::lock_guard<std::mutex> guard(lock_);
    const auto found = used_.find(block);
    if (found == used_.end()) return;
    free_.emplace(found->second, block);
    used_.erase(found);
    if (free_.size() > kMostFree) {
        ncnn::fastFree(free_.begin()->second);
        free_.erase(free_.begin());
    }
}

}  // namespace bench

// The byte stream that ncnn's .bin file of a capacity would be, from a package of several.
#pragma once

#include <memory>

#include "ncnn/weights_source.h"
#include "nested/package.h"

namespace bench {

class NestedStream : public WeightsSource {
public:
    // `package` holds the capacity that is to be read. Unless it `keeps` that in memory, for a change to another, nothing of
    // it is left there once all was read.
    NestedStream(std::shared_ptr<NestedPackage> package, bool keeps) : package_(std::move(package)), keeps_(keeps) {}

    // At the capacity of the job, 0 the largest, and with the numbers of channels of that in the graph; what `before`, an
    // earlier stream of the same file, has in memory is not read again. Throws Failure(missing_file), Failure(bad_weights),
    // and Failure(bad_job) for a capacity beyond.
    static std::unique_ptr<NestedStream> open(const Job& job, Graph& graph, const WeightsSource* before);

    int capacities() const override { return package_->head().capacities(); }
    int64_t capacity_bytes(int capacity) const override { return package_->bytes(capacity); }
    int64_t loaded_bytes(int capacity) const override { return package_->bytes_read(capacity); }
    int64_t paged_bytes(int from, int to) const override {
        // What was not kept is read again.
        return package_->held() == 0 ? capacity_bytes(to) : WeightsSource::paged_bytes(from, to);
    }

protected:
    void serve(void* buffer, size_t size) override;
    std::string left_over() const override;

private:
    std::shared_ptr<NestedPackage> package_;
    bool keeps_;
    size_t next_ = 0;
    bool typed_ = false;  // the type word of the next tensor has gone by
};

}  // namespace bench

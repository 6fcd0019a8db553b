// Where ncnn reads its weights from: its own .bin file, or one made up on the fly from a .frq package.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string>

#include <datareader.h>

#include "contract/files.h"
#include "contract/job.h"
#include "ncnn/graph.h"

namespace bench {

// What ncnn's ModelBin reads from. A read that cannot be served returns short and leaves a reason behind, because ncnn
// reports only that something failed.
class WeightsSource : public ncnn::DataReader {
public:
    size_t read(void* buffer, size_t size) const override;

    // Throws the reason of a refused read; or else, when `loaded`, Failure(bad_weights) unless all was consumed.
    void finish(bool loaded) const;

    // frq only: what was decoded so far. `ns` is the time it took, reading and checking the package included.
    struct Decoded {
        int64_t ns = 0, coefficients = 0, values = 0;
    };
    virtual const Decoded* decoded() const { return nullptr; }

    // How many capacities a package has, and how many of its bytes one of them is made of; 0 capacities: no package of that kind.
    virtual int capacities() const { return 0; }
    virtual int64_t capacity_bytes(int) const { return 0; }
    // How many bytes of its file are read to load one of them; -1 for all.
    virtual int64_t loaded_bytes(int) const { return -1; }
    // How many bytes a switch between two of them brings in or drops.
    virtual int64_t paged_bytes(int from, int to) const { return std::llabs(capacity_bytes(to) - capacity_bytes(from)); }

    // Whether a blob of int8 weights went by.
    virtual bool has_int8() const { return false; }

protected:
    virtual void serve(void* buffer, size_t size) = 0;
    virtual std::string left_over() const = 0;

private:
    mutable std::unique_ptr<Failure> refusal_;
};

// Opens the weights of a job, and rewrites its graph's text if that is to run on them factored or at a capacity. `before`, if
// any, is an earlier source of the same file, whose memory may be taken over. Throws Failure(missing_file) or
// Failure(bad_weights).
std::unique_ptr<WeightsSource> open_weights(const Job& job, Graph& graph, const WeightsSource* before = nullptr);

}  // namespace bench

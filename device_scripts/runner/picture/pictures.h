// Pictures as the samples of a job, each decoded and made an input when it is asked for.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "contract/job.h"
#include "contract/samples.h"
#include "picture/preprocess.h"

namespace bench {

class Pictures : public SampleSource {
public:
    // Throws Failure(missing_file), Failure(bad_samples) or Failure(bad_job).
    Pictures(const std::string& path, const std::string& preprocess);

    uint32_t count() const override { return static_cast<uint32_t>(ends_.size()); }
    const std::vector<InputShape>& inputs() const override { return inputs_; }
    void read(uint32_t sample, const InputShape& input, void* into, size_t plane_step) const override;

    // Prints what became of the first picture; with a path, its stages are written there.
    void show_stages(const std::string& path) const;

private:
    std::vector<uint8_t> bytes(uint32_t picture) const;
    Picture decoded(uint32_t picture) const;
    std::string name(uint32_t picture) const;

    File file_;
    Preprocess preprocess_;
    uint64_t begin_ = 0;
    std::vector<uint64_t> ends_;
    std::vector<InputShape> inputs_;
};

// What a job shows its network.
std::unique_ptr<SampleSource> open_samples(const Job& job);

}  // namespace bench

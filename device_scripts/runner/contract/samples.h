// The packed sample file: contract.h describes it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "contract/files.h"

namespace bench {

// One input of a network, as every sample in a file has it.
struct InputShape {
    bool integer;              // int32, otherwise float32
    std::vector<int> extents;  // 1 to 4 of them, outermost first
    uint64_t offset;           // bytes from the start of a sample

    // The file has them one behind the other; a library may put a gap after each `plane` of them: the outermost axis
    // counts planes where there are three axes or more.
    size_t planes() const { return extents.size() < 3 ? 1 : static_cast<size_t>(extents[0]); }
    size_t values() const;

    // For messages, e.g. "3×224×224 (int32)".
    std::string words() const;
};

// What a network is shown.
class SampleSource {
public:
    virtual ~SampleSource() = default;

    virtual uint32_t count() const = 0;
    virtual const std::vector<InputShape>& inputs() const = 0;

    // The values of one input of one sample into `into`, whose planes are `plane_step` bytes apart. Throws Failure.
    virtual void read(uint32_t sample, const InputShape& input, void* into, size_t plane_step) const = 0;
};

class Samples : public SampleSource {
public:
    // Throws Failure(missing_file) or Failure(bad_samples).
    explicit Samples(const std::string& path);

    uint32_t count() const override { return count_; }
    const std::vector<InputShape>& inputs() const override { return inputs_; }
    void read(uint32_t sample, const InputShape& input, void* into, size_t plane_step) const override;

private:
    File file_;
    uint32_t count_;
    uint64_t header_, sample_bytes_ = 0;
    std::vector<InputShape> inputs_;
};

}  // namespace bench

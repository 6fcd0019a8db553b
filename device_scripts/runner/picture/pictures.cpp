#include "picture/pictures.h"

#include <cerrno>
#include <cstdio>
#include <cstring>

#include "contract/events.h"
#include "contract/failure.h"
#include "contract/sha256.h"
#include "picture/container.h"

namespace bench {
namespace {

constexpr uint32_t kMagic = 0x43495042, kVersion = 1;  // "BPIC"
constexpr uint32_t kMostPictures = 1u << 20;

// A file that is written once, in parts.
class Written {
public:
    explicit Written(const std::string& path) : path_(path), file_(std::fopen(path.c_str(), "wbe")) {
        if (!file_) fail();
    }
    ~Written() {
        if (file_) std::fclose(file_);
    }
    Written(const Written&) = delete;
    Written& operator=(const Written&) = delete;

    void append(const void* from, size_t count) {
        if (std::fwrite(from, 1, count, file_) != count) fail();
    }
    void finish() {
        const bool closed = std::fclose(file_) == 0;
        file_ = nullptr;
        if (!closed) fail();
    }

private:
    [[noreturn]] void fail() const { throw Failure(Exit::write_failed, path_ + ": " + std::strerror(errno)); }

    std::string path_;
    FILE* file_;
};

std::vector<int64_t> shape_of(const Picture& picture) { return {picture.height, picture.width, picture.channels}; }

}  // namespace

Pictures::Pictures(const std::string& path, const std::string& preprocess) : file_(path), preprocess_(parse_preprocess(preprocess)) {
    inputs_.push_back({false, {preprocess_.channels_out, preprocess_.height, preprocess_.width}, 0});
    const auto refuse = [&](const std::string& why) { throw Failure(Exit::bad_samples, path + ": " + why); };
    uint32_t head[3] = {};
    if (!file_.read_at(0, head, sizeof head) || head[0] != kMagic) {  // one picture, as it is
        ends_.push_back(file_.size());
    } else {
        if (head[1] != kVersion) refuse("pictures of version " + std::to_string(head[1]) + ", not " + std::to_string(kVersion));
        if (head[2] == 0 || head[2] > kMostPictures) refuse("no pictures, or more than 2^20");
        if (file_.size() < sizeof head + 8 * static_cast<uint64_t>(head[2])) refuse("shorter than its header");
        ends_.resize(head[2]);
        if (!file_.read_at(sizeof head, ends_.data(), 8 * ends_.size())) refuse("shorter than its header");
        begin_ = sizeof head + 8 * ends_.size();
    }
    uint64_t before = begin_;
    for (const uint64_t end : ends_) {
        if (end < before || end > file_.size() || end - before > kMostPictureBytes) refuse("a picture of an impossible length");
        before = end;
    }
    if (before != file_.size()) refuse("its length is not the one that its header says");
}

std::string Pictures::name(uint32_t picture) const {
    return begin_ == 0 ? file_.path() : "picture " + std::to_string(picture) + " of " + file_.path();
}

std::vector<uint8_t> Pictures::bytes(uint32_t picture) const {
    const uint64_t begin = picture == 0 ? begin_ : ends_[picture - 1];
    std::vector<uint8_t> found(static_cast<size_t>(ends_[picture] - begin));
    if (!file_.read_at(begin, found.data(), found.size())) throw Failure(Exit::bad_samples, file_.path() + ": it shrank while it was read");
    return found;
}

Picture Pictures::decoded(uint32_t picture) const {
    const std::vector<uint8_t> coded = bytes(picture);
    return decode(coded.data(), coded.size(), name(picture));
}

void Pictures::read(uint32_t sample, const InputShape&, void* into, size_t plane_step) const {
    const Picture fitted = preprocess_.fitted(decoded(sample));
    const auto step = static_cast<size_t>(fitted.channels);
    auto* plane = static_cast<uint8_t*>(into);
    for (int channel = 0; channel < preprocess_.channels_out; channel++, plane += plane_step) {
        const std::vector<float> table = preprocess_.table(channel);
        auto* to = reinterpret_cast<float*>(plane);
        const size_t source = preprocess_.source(channel);
        for (size_t i = source; i < fitted.values.size(); i += step) *to++ = table[fitted.values[i]];
    }
}

void Pictures::show_stages(const std::string& path) const {
    const std::vector<uint8_t> coded = bytes(0);
    const Picture pixels = decode(coded.data(), coded.size(), name(0)), fitted = preprocess_.fitted(pixels);
    Event event("picture");
    event.text("sha256", sha256_of(coded.data(), coded.size())).numbers("pixels", shape_of(pixels)).numbers("resized", shape_of(fitted));
    if (!path.empty()) {
        std::vector<float> values(inputs_[0].values());
        read(0, inputs_[0], values.data(), values.size() / inputs_[0].planes() * sizeof(float));
        Written file(path);
        file.append(pixels.values.data(), pixels.values.size());
        file.append(fitted.values.data(), fitted.values.size());
        file.append(values.data(), values.size() * sizeof(float));
        file.finish();
        event.text("stages", path);
    }
    event.send();
    flush_events();
}

std::unique_ptr<SampleSource> open_samples(const Job& job) {
    if (job.pictures.empty()) return std::make_unique<Samples>(job.samples);
    return std::make_unique<Pictures>(job.pictures, job.preprocess);
}

}  // namespace bench

#include "contract/files.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cerrno>
#include <cstring>

namespace bench {

File::File(const std::string& path) : path_(path), descriptor_(open(path.c_str(), O_RDONLY | O_CLOEXEC)), size_(0) {
    if (descriptor_ < 0) throw Failure(Exit::missing_file, path + ": " + std::strerror(errno));
    struct stat facts;
    if (fstat(descriptor_, &facts) != 0 || !S_ISREG(facts.st_mode)) {
        close(descriptor_);
        throw Failure(Exit::missing_file, path + ": not a regular file");
    }
    size_ = static_cast<uint64_t>(facts.st_size);
}

File::~File() { close(descriptor_); }

bool File::read_at(uint64_t offset, void* into, size_t count) const {
    auto* at = static_cast<uint8_t*>(into);
    while (count > 0) {
        const ssize_t got = pread(descriptor_, at, count, static_cast<off_t>(offset));
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) throw Failure(Exit::missing_file, path_ + ": " + std::strerror(errno));
        if (got == 0) return false;
        at += got;
        offset += static_cast<uint64_t>(got);
        count -= static_cast<size_t>(got);
    }
    return true;
}

std::vector<uint8_t> read_whole(const std::string& path, uint64_t limit, Exit too_long) {
    const File file(path);
    if (file.size() > limit) {
        throw Failure(too_long,
                      path + ": " + std::to_string(file.size()) + " bytes, more than the " + std::to_string(limit) + " it may have");
    }
    std::vector<uint8_t> bytes(static_cast<size_t>(file.size()));
    if (!file.read_at(0, bytes.data(), bytes.size())) throw Failure(Exit::missing_file, path + ": it shrank while it was read");
    return bytes;
}

}  // namespace bench

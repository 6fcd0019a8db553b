// Reading files, with failures in the contract's words.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "contract/failure.h"

namespace bench {

// A file open for reading. Throws Failure(missing_file) when it cannot be opened, is not a regular file, or cannot be read.
class File {
public:
    explicit File(const std::string& path);
    ~File();
    File(const File&) = delete;
    File& operator=(const File&) = delete;

    uint64_t size() const { return size_; }
    const std::string& path() const { return path_; }

    // Reads exactly `count` bytes at `offset`; false when the file is too short.
    bool read_at(uint64_t offset, void* into, size_t count) const;

private:
    std::string path_;
    int descriptor_;
    uint64_t size_;
};

// A whole file, at most `limit` bytes of it: a longer one is a Failure(too_long).
std::vector<uint8_t> read_whole(const std::string& path, uint64_t limit, Exit too_long);

}  // namespace bench

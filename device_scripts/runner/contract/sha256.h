// The digest of a file's content, for devices that have no tool for it.
#pragma once

#include <cstddef>
#include <string>

namespace bench {

// SHA-256 (FIPS 180-4) of a file, in lower-case hexadecimal. Throws Failure(missing_file).
std::string sha256_of(const std::string& path);
// Of bytes in memory.
std::string sha256_of(const void* bytes, size_t count);

}  // namespace bench

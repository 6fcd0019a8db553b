// The inflating of zlib streams (RFC 1950), which the decoder of PNG files comes with.
#pragma once

#include <cstddef>
#include <cstdint>

namespace bench {

// Fills exactly `due` bytes; false for a stream that is damaged, or holds fewer or more. Its check sum is not looked at.
bool inflate(const uint8_t* bytes, size_t count, uint8_t* into, size_t due);

}  // namespace bench

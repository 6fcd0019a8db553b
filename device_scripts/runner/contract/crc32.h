// The check sum of packages.
#pragma once

#include <cstddef>
#include <cstdint>

namespace bench {

// CRC-32 of zlib and PNG (ISO 3309, reflected polynomial 0xEDB88320).
uint32_t crc32(const uint8_t* bytes, size_t count);

}  // namespace bench

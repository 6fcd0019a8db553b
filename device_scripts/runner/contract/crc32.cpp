#include "contract/crc32.h"

#include <array>

namespace bench {
namespace {

// Of each byte, with so many zero bytes behind it: eight are taken at a time, since a package is read before anything else.
using Tables = std::array<std::array<uint32_t, 256>, 8>;

Tables made() {
    Tables tables{};
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t entry = i;
        for (int bit = 0; bit < 8; bit++) entry = entry >> 1 ^ (entry & 1 ? 0xEDB88320u : 0);
        tables[0][i] = entry;
    }
    for (size_t behind = 1; behind < tables.size(); behind++) {
        for (uint32_t i = 0; i < 256; i++) {
            const uint32_t before = tables[behind - 1][i];
            tables[behind][i] = before >> 8 ^ tables[0][before & 0xFF];
        }
    }
    return tables;
}

}  // namespace

uint32_t crc32(const uint8_t* bytes, size_t count) {
    static const Tables tables = made();
    uint32_t crc = 0xFFFFFFFFu;
    for (; count >= 8; count -= 8, bytes += 8) {
        uint32_t next = 0;
        for (size_t i = 0; i < 8; i++) {
            const uint32_t byte = bytes[i] ^ (i < 4 ? crc >> (8 * i) & 0xFF : 0);
            next ^= tables[7 - i][byte];
        }
        crc = next;
    }
    for (; count > 0; count--, bytes++) crc = crc >> 8 ^ tables[0][(crc ^ *bytes) & 0xFF];
    return ~crc;
}

}  // namespace bench

#include "contract/sha256.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <functional>
#include <vector>

#include "contract/files.h"

namespace bench {
namespace {

constexpr size_t kBlock = 64, kTogether = 1 << 20;

uint32_t rotated(uint32_t word, int by) { return word >> by | word << (32 - by); }

constexpr std::array<uint32_t, 64> kRound = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5, 0xd807aa98, 0x12835b01, 0x243185be,
    0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174, 0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa,
    0x5cb0a9dc, 0x76f988da, 0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967, 0x27b70a85,
    0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85, 0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3,
    0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070, 0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f,
    0x682e6ff3, 0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

using State = std::array<uint32_t, 8>;

void add_block(State& state, const uint8_t* block) {
    std::array<uint32_t, 64> w;
    for (size_t i = 0; i < 16; i++) {
        w[i] = static_cast<uint32_t>(block[4 * i]) << 24 | static_cast<uint32_t>(block[4 * i + 1]) << 16 |
               static_cast<uint32_t>(block[4 * i + 2]) << 8 | block[4 * i + 3];
    }
    for (size_t i = 16; i < 64; i++) {
        const uint32_t s0 = rotated(w[i - 15], 7) ^ rotated(w[i - 15], 18) ^ w[i - 15] >> 3;
        const uint32_t s1 = rotated(w[i - 2], 17) ^ rotated(w[i - 2], 19) ^ w[i - 2] >> 10;
        w[i] = w[i - 16] + s0 + w[i - 7] + s1;
    }
    auto [a, b, c, d, e, f, g, h] = state;
    for (size_t i = 0; i < 64; i++) {
        const uint32_t s1 = rotated(e, 6) ^ rotated(e, 11) ^ rotated(e, 25);
        const uint32_t t1 = h + s1 + ((e & f) ^ (~e & g)) + kRound[i] + w[i];
        const uint32_t s0 = rotated(a, 2) ^ rotated(a, 13) ^ rotated(a, 22);
        const uint32_t t2 = s0 + ((a & b) ^ (a & c) ^ (b & c));
        h = g, g = f, f = e, e = d + t1, d = c, c = b, b = a, a = t1 + t2;
    }
    const State change = {a, b, c, d, e, f, g, h};
    for (size_t i = 0; i < 8; i++) state[i] += change[i];
}

// Of `size` bytes; `part` gives so many of them, from there on.
std::string digest(uint64_t size, const std::function<const uint8_t*(uint64_t, size_t)>& part) {
    State state = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
    uint64_t done = 0;
    while (size - done >= kBlock) {
        const size_t take = static_cast<size_t>(std::min<uint64_t>(kTogether, (size - done) / kBlock * kBlock));
        const uint8_t* blocks = part(done, take);
        for (size_t at = 0; at < take; at += kBlock) add_block(state, blocks + at);
        done += take;
    }
    std::array<uint8_t, 2 * kBlock> last{};
    const size_t left = static_cast<size_t>(size - done);
    if (left > 0) std::copy_n(part(done, left), left, last.begin());
    last[left] = 0x80;
    const size_t end = left + 9 > kBlock ? 2 * kBlock : kBlock;
    for (size_t i = 0; i < 8; i++) last[end - 1 - i] = static_cast<uint8_t>(size * 8 >> 8 * i);
    for (size_t at = 0; at < end; at += kBlock) add_block(state, last.data() + at);
    std::string text;
    for (const uint32_t word : state) {
        char digits[9];
        std::snprintf(digits, sizeof digits, "%08x", word);
        text += digits;
    }
    return text;
}

}  // namespace

std::string sha256_of(const std::string& path) {
    const File file(path);
    std::vector<uint8_t> buffer(kTogether);
    return digest(file.size(), [&](uint64_t at, size_t count) {
        if (!file.read_at(at, buffer.data(), count)) throw Failure(Exit::missing_file, path + ": it shrank while it was read");
        return buffer.data();
    });
}

std::string sha256_of(const void* bytes, size_t count) {
    return digest(count, [&](uint64_t at, size_t) { return static_cast<const uint8_t*>(bytes) + at; });
}

}  // namespace bench

// libFuzzer target: updates of files. The first byte of the input is the size of the old file, which follows; the rest is the
// update, whose digests are put right so that it gets past them.

#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

#include "contract/failure.h"
#include "contract/sha256.h"
#include "update/patch.h"

namespace {

constexpr size_t kHead = 96;

void put_digest(std::vector<uint8_t>& update, const std::vector<uint8_t>& old) {
    const std::string digest = bench::sha256_of(old.data(), old.size());
    for (size_t i = 0; i < 32; i++) update[32 + i] = static_cast<uint8_t>(std::stoi(digest.substr(2 * i, 2), nullptr, 16));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    if (size == 0 || size - 1 < data[0]) return 0;
    const std::vector<uint8_t> old(data + 1, data + 1 + data[0]);
    std::vector<uint8_t> update(data + 1 + data[0], data + size);
    if (update.size() >= kHead) put_digest(update, old);
    try {
        bench::updated(update, old, "fuzz");
    } catch (const bench::Failure&) {
    }
    return 0;
}

#include "update/patch.h"

#include <fcntl.h>
#include <unistd.h>
#include <cerrno>
#include <climits>
#include <cstdio>
#include <cstring>
#include <new>

#include "contract/failure.h"
#include "contract/files.h"
#include "contract/sha256.h"
#include "picture/inflate.h"

namespace bench {
namespace {

constexpr size_t kHead = 96, kDigest = 32;
constexpr uint64_t kMost = 1u << 30;  // bytes of any of the files
constexpr uint64_t kMostRatio = 1032;  // deflate makes nothing smaller by more: a size that is a lie needs no memory

uint64_t number(const uint8_t* at, size_t bytes) {
    uint64_t value = 0;
    for (size_t i = bytes; i-- > 0;) value = value << 8 | at[i];
    return value;
}

std::string hexadecimal(const uint8_t* digest) {
    std::string text;
    char two[3];
    for (size_t i = 0; i < kDigest; i++) {
        std::snprintf(two, sizeof two, "%02x", digest[i]);
        text += two;
    }
    return text;
}

[[noreturn]] void damaged(const std::string& name, const std::string& why) { throw Failure(Exit::bad_weights, name + ": " + why); }

// Adds to each whole word of the old content, little-endian and 0 beyond its end, the difference of it: 0, -1, 1, -2, 2, …
// stored as 0, 1, 2, 3, 4, …; its lowest bytes come first, of all words, then the next. What is left at the end are bytes as
// they are.
void add(const std::vector<uint8_t>& planes, const std::vector<uint8_t>& old, size_t word, std::vector<uint8_t>& made) {
    const size_t words = made.size() / word;
    const uint32_t all = word == 4 ? UINT32_MAX : (1u << (8 * word)) - 1;
    for (size_t i = 0; i < words; i++) {
        uint32_t stored = 0, before = 0;
        for (size_t k = 0; k < word; k++) {
            stored |= static_cast<uint32_t>(planes[k * words + i]) << (8 * k);
            if (i * word + k < old.size()) before |= static_cast<uint32_t>(old[i * word + k]) << (8 * k);
        }
        const uint32_t value = (before + ((stored >> 1) ^ (0u - (stored & 1)))) & all;
        for (size_t k = 0; k < word; k++) made[i * word + k] = static_cast<uint8_t>(value >> (8 * k));
    }
    for (size_t at = words * word; at < made.size(); at++) made[at] = planes[at];
}

void put(const std::string& path, const std::vector<uint8_t>& content) {
    const std::string draft = path + ".part";
    const auto failed = [&](const std::string& where) -> Failure {
        const std::string why = std::strerror(errno);
        unlink(draft.c_str());
        return Failure(Exit::write_failed, where + ": " + why);
    };
    unlink(draft.c_str());  // of an update that was ended
    const int descriptor = open(draft.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
    if (descriptor < 0) throw Failure(Exit::write_failed, draft + ": " + std::strerror(errno));
    for (size_t at = 0; at < content.size();) {
        const ssize_t wrote = write(descriptor, content.data() + at, content.size() - at);
        if (wrote < 0 && errno == EINTR) continue;
        if (wrote <= 0) {
            const Failure failure = failed(draft);
            close(descriptor);
            throw failure;
        }
        at += static_cast<size_t>(wrote);
    }
    const bool kept = fsync(descriptor) == 0;  // before the name is the new file's, its content is on the storage
    if (close(descriptor) != 0 || !kept) throw failed(draft);
    if (rename(draft.c_str(), path.c_str()) != 0) throw failed(path);
}

}  // namespace

std::vector<uint8_t> updated(const std::vector<uint8_t>& update, const std::vector<uint8_t>& old, const std::string& name) {
    if (update.size() < kHead || std::memcmp(update.data(), "BUPD", 4) != 0) damaged(name, "not an update");
    const uint8_t* head = update.data();
    if (number(head + 4, 4) != 1) damaged(name, "an update of another version");
    const uint64_t word = number(head + 8, 4), before = number(head + 16, 8), after = number(head + 24, 8);
    if ((word != 1 && word != 2 && word != 4) || number(head + 12, 4) != 0) damaged(name, "words of " + std::to_string(word) + " bytes");
    const uint64_t packed = update.size() - kHead;
    if (before > kMost || after > kMost || packed > INT_MAX || after > packed * kMostRatio) damaged(name, "impossible sizes");
    if (before > 0) {
        if (old.size() != before || sha256_of(old.data(), old.size()) != hexadecimal(head + 32)) {
            damaged(name, "made from another file than the one that is here");
        }
    } else if (!old.empty()) {
        damaged(name, "it needs no old file, and one was given");
    }
    std::vector<uint8_t> planes, made;
    try {
        planes.resize(static_cast<size_t>(after));
        made.resize(static_cast<size_t>(after));
    } catch (const std::bad_alloc&) {
        throw Failure(Exit::out_of_memory, name + ": no memory for " + std::to_string(after) + " bytes");
    }
    if (!inflate(head + kHead, static_cast<size_t>(packed), planes.data(), planes.size())) damaged(name, "its content is damaged");
    add(planes, old, static_cast<size_t>(word), made);
    if (sha256_of(made.data(), made.size()) != hexadecimal(head + 64)) damaged(name, "what came of it is not what should");
    return made;
}

void apply_update(const std::string& update, const std::string& old, const std::string& path) {
    const std::vector<uint8_t> given = read_whole(update, kMost, Exit::bad_weights);
    const std::vector<uint8_t> before = old == "-" ? std::vector<uint8_t>() : read_whole(old, kMost, Exit::bad_weights);
    put(path, updated(given, before, update));
}

}  // namespace bench

#include "contract/utf8.h"

namespace bench {

size_t utf8_length(const unsigned char* at, size_t left) {
    const unsigned char first = at[0];
    if (first < 0x80) return 1;
    const size_t length = first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : 2;
    if (first < 0xC2 || first > 0xF4 || left < length) return 0;
    for (size_t i = 1; i < length; i++) {
        if ((at[i] & 0xC0) != 0x80) return 0;
    }
    const bool overlong = (first == 0xE0 && at[1] < 0xA0) || (first == 0xF0 && at[1] < 0x90);
    const bool surrogate = first == 0xED && at[1] >= 0xA0;
    const bool too_large = first == 0xF4 && at[1] >= 0x90;
    return overlong || surrogate || too_large ? 0 : length;
}

bool is_utf8(const std::string& text) {
    const auto* bytes = reinterpret_cast<const unsigned char*>(text.data());
    for (size_t i = 0; i < text.size();) {
        const size_t length = utf8_length(bytes + i, text.size() - i);
        if (length == 0) return false;
        i += length;
    }
    return true;
}

}  // namespace bench

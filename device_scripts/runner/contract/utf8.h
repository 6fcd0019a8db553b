// Telling text from bytes.
#pragma once

#include <cstddef>
#include <string>

namespace bench {

// The length of the UTF-8 character at `at` (RFC 3629), 0 when the `left` ≥ 1 bytes there do not begin with one.
size_t utf8_length(const unsigned char* at, size_t left);

bool is_utf8(const std::string& text);

}  // namespace bench

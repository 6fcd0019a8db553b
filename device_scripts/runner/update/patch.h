// An update of a file: what became of it, or all of it, packed. contract.h describes the update's format.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace bench {

// The new content, whose digest is right. `old` is what the update was made from; the update may need none. `name` is for a
// failure's words. Throws Failure(bad_weights) for a damaged update and for another old content, Failure(out_of_memory).
std::vector<uint8_t> updated(const std::vector<uint8_t>& update, const std::vector<uint8_t>& old, const std::string& name);

// Reads an update and the old file ("-": none), and puts the new one at `path` in one step: whatever happens meanwhile, what
// was there before is there whole, or the new one is. Throws Failure(missing_file), Failure(write_failed), and what `updated`
// does.
void apply_update(const std::string& update, const std::string& old, const std::string& path);

}  // namespace bench

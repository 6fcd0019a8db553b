// The last line of defence. ncnn trusts its input and does not look at every allocation; where that goes wrong the
// process still ends with an error event and the exit status of what it was doing.
#pragma once

#include "contract/contract.h"

namespace bench {

// From before main() on, a fault (SIGSEGV, SIGBUS, SIGFPE, SIGABRT) ends the process with the status of the phase, an
// instruction that the CPU does not know (SIGILL) with unsupported, and a failed allocation with out_of_memory.

// What a fault means from now on, and what was being done, in words that need no escaping in JSON.
void enter_phase(Exit meaning_of_fault, const char* doing);

// Ends the process because an allocation failed: a new_handler for another C++ library than this program's.
[[noreturn]] void out_of_memory();

}  // namespace bench

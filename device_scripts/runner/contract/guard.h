// The last line of defence. ncnn trusts its input and does not look at every allocation; where that goes wrong the
// process still ends with an error event and the exit status of what it was doing.
#pragma once

#include "contract/contract.h"

namespace bench {

// From here on a fault (SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT) ends the process with the status of the phase, and a
// failed allocation with out_of_memory.
void stand_guard();

// What a fault means from now on, and what was being done, in words that need no escaping in JSON.
void enter_phase(Exit meaning_of_fault, const char* doing);

}  // namespace bench

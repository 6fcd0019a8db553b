// No way into a network: from the first line of main() on, the kernel itself refuses this process, its threads and all that
// it starts every system call that opens a socket or uses one by name.
#pragma once

#include <string>

namespace bench {

// Asks the kernel for that (seccomp, which needs no root and cannot be taken back), tries to open a socket, and keeps what
// came of it. A kernel without seccomp, and translators such as qemu-user, refuse: then this process runs unsealed.
void seal_network();

// "sealed", which says that a socket was tried and refused, or "not sealed: " and the reason.
const std::string& network_state();

}  // namespace bench

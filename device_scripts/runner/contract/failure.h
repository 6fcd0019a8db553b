// How the runner says what went wrong: thrown anywhere, turned into an error event and an exit status in main.
#pragma once

#include <stdexcept>
#include <string>

#include "contract/contract.h"

namespace bench {

struct Failure : std::runtime_error {
    Failure(Exit status, const std::string& message) : std::runtime_error(message), exit(status) {}
    Exit exit;
};

// The `kind` of an error event.
constexpr const char* kind_of(Exit status) {
    switch (status) {
        case Exit::ok: return "ok";
        case Exit::bad_job: return "bad_job";
        case Exit::missing_file: return "missing_file";
        case Exit::bad_graph: return "bad_graph";
        case Exit::bad_weights: return "bad_weights";
        case Exit::bad_samples: return "bad_samples";
        case Exit::out_of_memory: return "out_of_memory";
        case Exit::unsupported: return "unsupported";
        case Exit::inference_failed: return "inference_failed";
        case Exit::write_failed: return "write_failed";
    }
    return "unknown";
}

}  // namespace bench

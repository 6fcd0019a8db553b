// The exit statuses of contract/contract.h for backends, which are C; library.cpp holds the two against each other.
#pragma once

enum {
    kBadJob = 2,
    kMissingFile = 3,
    kBadGraph = 4,
    kBadSamples = 6,
    kOutOfMemory = 7,
    kUnsupported = 8,
    kInferenceFailed = 9,
};

// The file that ONNX Runtime's profiler writes, read for the layers of the latest inferences: a JSON array with one event a line.
// What it says of each node is told by `tell`. Nothing is believed: lines that are not such events are passed over, and a file in
// which not every node has run as often as the network is refused.
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "loaded/backend.h"
#include "loaded/statuses.h"

enum { kLongestLine = 64 * 1024, kLongestName = 256, kMostNodes = 10000 };

typedef struct {
    char name[kLongestName], type[kLongestName];
    int64_t index, read, bytes, weight_bytes;
    int axes;
    int64_t extents[BENCH_MOST_AXES];
    int64_t* ns;
    size_t count, room;
} ProfiledNode;

typedef struct {
    ProfiledNode* nodes;
    size_t count, room, next;
} Profile;

// Where the value of a key begins; ONNX Runtime writes blanks before and after the colon, or none.
static const char* value_of(const char* line, const char* key) {
    const size_t length = strlen(key);
    for (const char* at = strstr(line, key); at; at = strstr(at + 1, key)) {
        if (at == line || at[-1] != '"' || at[length] != '"') continue;
        at += length + 1;
        while (*at == ' ') at++;
        if (*at != ':') continue;
        at++;
        while (*at == ' ') at++;
        return at;
    }
    return NULL;
}

// A whole number, which may be in quotes; `otherwise` for anything else.
static int64_t number_of(const char* line, const char* key, int64_t otherwise) {
    const char* at = value_of(line, key);
    if (!at) return otherwise;
    if (*at == '"') at++;
    int64_t value = 0;
    int digits = 0;
    for (; *at >= '0' && *at <= '9'; at++, digits++) {
        if (digits == 17) return otherwise;
        value = value * 10 + (*at - '0');
    }
    return digits > 0 ? value : otherwise;
}

static bool text_of(const char* line, const char* key, char* text) {
    const char* at = value_of(line, key);
    if (!at || *at != '"') return false;
    size_t length = 0;
    for (at++; *at && *at != '"' && length + 1 < kLongestName; at++) {
        if (*at == '\\' && at[1]) at++;
        text[length++] = *at;
    }
    text[length] = '\0';
    return length > 0;
}

// The extents of the first output without the first, which is the batch; none where they are not understood.
static int extents_of(const char* line, int64_t* extents) {
    const char* at = value_of(line, "output_type_shape");
    if (!at || *at != '[') return 0;
    at = strchr(at + 1, '[');
    if (!at) return 0;
    int axes = -1;
    for (at++; *at != ']'; axes++) {
        int64_t value = 0;
        int digits = 0;
        for (; *at >= '0' && *at <= '9' && digits < 10; at++, digits++) value = value * 10 + (*at - '0');
        if (digits == 0 || (*at != ',' && *at != ']') || axes == BENCH_MOST_AXES || value == 0) return 0;
        if (axes >= 0) extents[axes] = value;
        if (*at == ',') at++;
    }
    return axes < 0 ? 0 : axes;
}

// The node of this index and name, at first where the one before was followed by it the last time.
static ProfiledNode* node_of(Profile* profile, int64_t index, const char* name) {
    for (size_t step = 0; step < profile->count; step++) {
        const size_t place = (profile->next + step) % profile->count;
        ProfiledNode* node = &profile->nodes[place];
        if (node->index == index && strcmp(node->name, name) == 0) {
            profile->next = place + 1;
            return node;
        }
    }
    if (profile->count == kMostNodes) return NULL;
    if (profile->count == profile->room) {
        const size_t room = profile->room ? 2 * profile->room : 64;
        ProfiledNode* more = realloc(profile->nodes, room * sizeof *more);
        if (!more) return NULL;
        profile->nodes = more;
        profile->room = room;
    }
    ProfiledNode* node = &profile->nodes[profile->count++];
    memset(node, 0, sizeof *node);
    node->index = index;
    memcpy(node->name, name, strlen(name) + 1);
    profile->next = profile->count;
    return node;
}

// False only when there is no memory, or there are too many nodes.
static bool read_line(Profile* profile, const char* line) {
    static const char suffix[] = "_kernel_time";
    char category[kLongestName], name[kLongestName];
    if (!text_of(line, "cat", category) || strcmp(category, "Node") != 0 || !text_of(line, "name", name)) return true;
    const size_t length = strlen(name), ending = sizeof suffix - 1;
    const int64_t microseconds = number_of(line, "dur", -1);
    if (length <= ending || strcmp(name + length - ending, suffix) != 0 || microseconds < 0 || microseconds > INT32_MAX) return true;
    name[length - ending] = '\0';
    ProfiledNode* node = node_of(profile, number_of(line, "node_index", -1), name);
    if (!node) return false;
    if (node->count == 0) {
        if (!text_of(line, "op_name", node->type)) strcpy(node->type, "unknown");
        node->read = number_of(line, "activation_size", -1);
        node->bytes = number_of(line, "output_size", 0);
        node->weight_bytes = number_of(line, "parameter_size", -1);
        node->axes = extents_of(line, node->extents);
    }
    if (node->count == node->room) {
        const size_t room = node->room ? 2 * node->room : 64;
        int64_t* more = realloc(node->ns, room * sizeof *more);
        if (!more) return false;
        node->ns = more;
        node->room = room;
    }
    node->ns[node->count++] = microseconds * 1000;
    return true;
}

static int ascending(const void* a, const void* b) {
    const int64_t left = *(const int64_t*)a, right = *(const int64_t*)b;
    return (left > right) - (left < right);
}

// The mean of the middle half: its profiler counts whole microseconds, of which a median would be one.
static int64_t middle_of(int64_t* ns, size_t count) {
    qsort(ns, count, sizeof *ns, ascending);
    const size_t first = count / 4, last = count - count / 4;
    int64_t sum = 0;
    for (size_t i = first; i < last; i++) sum += ns[i];
    return sum / (int64_t)(last - first);
}

static int tell_all(Profile* profile, size_t iterations, BenchTell tell, void* to, BenchWhy* why) {
    for (size_t i = 0; i < profile->count; i++) {
        ProfiledNode* node = &profile->nodes[i];
        if (node->count != profile->nodes[0].count || node->count < iterations) {
            snprintf(why->text, sizeof why->text, "its profiler does not have the node %.200s once for every inference", node->name);
            return kUnsupported;
        }
        BenchLayer layer = {node->name, node->type, middle_of(node->ns + node->count - iterations, iterations), node->read,
                            node->bytes, node->weight_bytes < 0 ? -1 : node->weight_bytes / 4, node->axes, {0}};
        memcpy(layer.extents, node->extents, sizeof layer.extents);
        tell(to, &layer);
    }
    if (profile->count > 0) return 0;
    snprintf(why->text, sizeof why->text, "its profiler has written no node");
    return kUnsupported;
}

static int onnxruntime_layers(const char* path, size_t iterations, BenchTell tell, void* to, BenchWhy* why) {
    FILE* file = fopen(path, "re");
    char* line = malloc(kLongestLine);
    Profile profile = {0};
    int status = 0;
    if (!file || !line) {
        snprintf(why->text, sizeof why->text, "the file of its profiler cannot be read: %.200s", path);
        status = kInferenceFailed;
    }
    while (status == 0 && fgets(line, kLongestLine, file)) {
        if (!read_line(&profile, line)) {
            snprintf(why->text, sizeof why->text, "its profiler has more nodes than there is room for");
            status = kOutOfMemory;
        }
    }
    if (status == 0) status = tell_all(&profile, iterations, tell, to, why);
    for (size_t i = 0; i < profile.count; i++) free(profile.nodes[i].ns);
    free(profile.nodes);
    free(line);
    if (file) fclose(file);
    return status;
}

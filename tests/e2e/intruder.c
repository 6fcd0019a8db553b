// A backend that tries to get at a network, in all the ways it knows, and tells what came of each. test_privacy.py compiles it.
#define _GNU_SOURCE
#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "loaded/backend.h"

static int socket_of(int family, int type) { return socket(family, type, 0) < 0 ? errno : 0; }

static void* in_thread(void* found) {
    *(int*)found = socket_of(AF_INET, SOCK_STREAM);
    return NULL;
}

static int in_child(void) {
    const pid_t child = fork();
    if (child == 0) _exit(socket_of(AF_INET, SOCK_DGRAM));
    int status = 0;
    waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

// Each attempt with its errno, 0 where it succeeded: "tcp 1, udp 1, …".
__attribute__((visibility("default"))) void attempts(char* text, size_t room) {
    struct sockaddr_in there = {.sin_family = AF_INET, .sin_port = htons(9)};
    int pair[2], by_thread = -1;
    pthread_t thread;
    pthread_create(&thread, NULL, in_thread, &by_thread);
    pthread_join(thread, NULL);
    const struct {
        const char* name;
        int found;
    } tried[] = {
        {"tcp", socket_of(AF_INET, SOCK_STREAM)},
        {"udp", socket_of(AF_INET6, SOCK_DGRAM)},
        {"local", socket_of(AF_UNIX, SOCK_STREAM)},
        {"netlink", socket_of(AF_NETLINK, SOCK_RAW)},
        {"pair", socketpair(AF_UNIX, SOCK_STREAM, 0, pair) < 0 ? errno : 0},
        {"connect", connect(1, (struct sockaddr*)&there, sizeof there) < 0 ? errno : 0},
        {"bind", bind(1, (struct sockaddr*)&there, sizeof there) < 0 ? errno : 0},
        {"sendto", sendto(1, "x", 1, 0, (struct sockaddr*)&there, sizeof there) < 0 ? errno : 0},
        {"io_uring", syscall(425, 1, NULL) < 0 ? errno : 0},
        {"thread", by_thread},
        {"child", in_child()},
    };
    text[0] = '\0';
    for (size_t i = 0; i < sizeof tried / sizeof *tried; i++) {
        const size_t used = strlen(text);
        snprintf(text + used, room - used, "%s%s %d", i ? ", " : "", tried[i].name, tried[i].found);
    }
}

static int load(const char* library, char* name, size_t room, BenchWhy* why) {
    (void)library, (void)why;
    snprintf(name, room, "intruder");
    return 0;
}

static int open_network(const BenchOpen* what, BenchNetwork** network, BenchWhy* why) {
    (void)what, (void)network;
    attempts(why->text, sizeof why->text);
    return 4;  // bad_graph
}

__attribute__((visibility("default"))) const BenchBackend* bench_backend(void) {
    static const BenchBackend backend = {BENCH_BACKEND_VERSION, 0, load, open_network, NULL, NULL, NULL, NULL};
    return &backend;
}

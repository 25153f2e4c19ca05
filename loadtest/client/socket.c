#define _GNU_SOURCE
#include "socket.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

/* Standard streams, epoll, and what the system's library has open. */
enum { OTHERS = 16 };

void socket_allow(unsigned count) {
    struct rlimit limit;
    rlim_t wanted = count + OTHERS;
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0) return;
    if (limit.rlim_cur >= wanted) return;
    limit.rlim_cur = wanted;
    if (limit.rlim_max < wanted) limit.rlim_max = wanted;
    if (setrlimit(RLIMIT_NOFILE, &limit) == 0) return;
    fprintf(stderr, "discard: %u connections need more descriptors than are allowed (ulimit -n)\n", count);
    exit(1);
}

static int undo(int fd) {
    int error = errno;
    close(fd);
    return -error;
}

int socket_connect(uint16_t port, uint64_t number) {
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port)};
    struct sockaddr_in from = {.sin_family = AF_INET};
    int on = 1;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return -errno;
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    from.sin_addr.s_addr = htonl(INADDR_LOOPBACK + (uint32_t)(number % SOURCES));
    /* The port is picked by connect, which may take one that is in use towards another peer. */
    if (setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on) < 0) return undo(fd);
    if (bind(fd, (struct sockaddr *)&from, sizeof from) < 0) return undo(fd);
    if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) < 0) return undo(fd);
    if (connect(fd, (struct sockaddr *)&to, sizeof to) < 0) return undo(fd);
    return fd;
}

bool socket_is_quiet(int fd) {
    char byte;
    return recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0 && errno == EAGAIN;
}

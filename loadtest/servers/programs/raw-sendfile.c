/*
 * raw-sendfile FILE SIZE PORT: answers whatever ends like a request head with SIZE bytes of the file, from a random
 * page on. It reads no request, judges nothing and holds nothing: what is left is the price of the system calls, which
 * no HTTP server can go below.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

enum { EVENTS = 256, ROOM = 4096, HEAD_ROOM = 128, PAGE = 4096 };

struct server {
    int file, listener, epoll;
    uint64_t pages, size;
    char head[HEAD_ROOM];
    size_t head_length;
};

struct connection {
    int fd;
    off_t at;
    uint64_t left;
};

_Noreturn static void give_up(const char *what) {
    perror(what);
    exit(1);
}

/* A request comes in one piece, as a client on this machine sends it. False when the connection is gone. */
static bool start_answer(struct server *server, struct connection *connection) {
    char bytes[ROOM];
    ssize_t got = recv(connection->fd, bytes, sizeof bytes, MSG_DONTWAIT);
    if (got < 0 && errno == EAGAIN) return true;
    if (got < 4 || memcmp(bytes + got - 4, "\r\n\r\n", 4) != 0) return false;
    ssize_t sent = send(connection->fd, server->head, server->head_length, MSG_MORE | MSG_NOSIGNAL | MSG_DONTWAIT);
    connection->at = (off_t)((uint64_t)random() % server->pages * PAGE);
    connection->left = server->size;
    return sent == (ssize_t)server->head_length;
}

static void serve(struct server *server, struct connection *connection) {
    bool alive = connection->left > 0 || start_answer(server, connection);
    while (alive && connection->left > 0) {
        ssize_t sent = sendfile(connection->fd, server->file, &connection->at, connection->left);
        if (sent < 0 && errno == EAGAIN) return;
        alive = sent > 0;
        if (alive) connection->left -= (uint64_t)sent;
    }
    if (alive) return;
    close(connection->fd);
    free(connection);
}

static void welcome(const struct server *server) {
    int on = 1;
    int fd = accept4(server->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) return;
    struct connection *connection = calloc(1, sizeof *connection);
    if (!connection || setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) < 0) give_up("accept");
    connection->fd = fd;
    /* Told once of each change: no call is needed to wait for room, or for it no more. */
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLET, .data.ptr = connection};
    if (epoll_ctl(server->epoll, EPOLL_CTL_ADD, fd, &event) < 0) give_up("epoll_ctl");
}

static void open_file(struct server *server, const char *path, const char *size) {
    struct stat status;
    server->file = open(path, O_RDONLY | O_CLOEXEC);
    if (server->file < 0 || fstat(server->file, &status) < 0) give_up(path);
    uint64_t length = (uint64_t)status.st_size;
    server->size = strtoull(size, NULL, 10);
    if (server->size == 0 || server->size > length) {
        fprintf(stderr, "raw-sendfile: SIZE must be above 0 and at most %" PRIu64 "\n", length);
        exit(2);
    }
    server->pages = (length - server->size) / PAGE + 1;
    server->head_length =
        (size_t)snprintf(server->head, sizeof server->head, "HTTP/1.1 %s\r\nContent-Length: %" PRIu64 "\r\n\r\n",
                         server->size == length ? "200 OK" : "206 Partial Content", server->size);
}

static void listen_on(struct server *server, uint16_t port) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    server->listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    bool bound = bind(server->listener, (struct sockaddr *)&address, sizeof address) == 0;
    if (!bound || listen(server->listener, SOMAXCONN) < 0) give_up("listen");
    server->epoll = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL};
    if (epoll_ctl(server->epoll, EPOLL_CTL_ADD, server->listener, &event) < 0) give_up("epoll_ctl");
}

int main(int argc, char **argv) {
    static struct server server;
    if (argc != 4) {
        fputs("usage: raw-sendfile FILE SIZE PORT\n", stderr);
        return 2;
    }
    open_file(&server, argv[1], argv[2]);
    listen_on(&server, (uint16_t)strtoul(argv[3], NULL, 10));
    for (;;) {
        struct epoll_event events[EVENTS];
        int count = epoll_wait(server.epoll, events, EVENTS, -1);
        if (count < 0 && errno != EINTR) give_up("epoll_wait");
        for (int at = 0; at < count; at++) {
            if (!events[at].data.ptr)
                welcome(&server);
            else
                serve(&server, events[at].data.ptr);
        }
    }
}

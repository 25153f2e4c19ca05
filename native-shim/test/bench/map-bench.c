/*
 * What it costs to send from a mapping (vmsplice) and from the file (splice) through the same pipe, to send by
 * sendfile, and to map a window for each answer: CPU of the sending thread over loopback, against a reader that throws
 * away.
 *
 *   map-bench FILE [ROUNDS]    FILE: of 256 MiB or more, in memory
 */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum { PIPE_BYTES = 256 << 10, PIECE = 64 << 10, MOST_ROUNDS = 64, PAGE = 4096 };
#define SPAN ((uint64_t)256 << 20)

enum way { BY_SENDFILE, BY_VMSPLICE, BY_SPLICE, BY_WINDOW, BY_COPY, BY_READ, WAYS };
static const char *const names[WAYS] = {
    "sendfile",     "vmsplice", "splice from the file", "vmsplice, a window for each", "copy from a mapping",
    "copy by pread"};

static const size_t sizes[] = {64 << 10, 128 << 10, 256 << 10, 1 << 20, 16 << 20};
enum { SIZES = sizeof sizes / sizeof *sizes };

static int file, ends[2], server;
static char *mapping;

static void fail(const char *what) {
    perror(what);
    exit(1);
}

static double now(clockid_t clock) {
    struct timespec time;
    clock_gettime(clock, &time);
    return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

static void connect_pair(int pair[2]) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;
    /* A paced connection (BBR) would measure timers. */
    setsockopt(listener, IPPROTO_TCP, TCP_CONGESTION, "reno", 4);
    if (bind(listener, (struct sockaddr *)&address, length) < 0 || listen(listener, 1) < 0) fail("listen");
    getsockname(listener, (struct sockaddr *)&address, &length);
    pair[0] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connect(pair[0], (struct sockaddr *)&address, sizeof address) < 0) fail("connect");
    pair[1] = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (pair[1] < 0) fail("accept");
    setsockopt(pair[1], IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    close(listener);
}

/* Asks with the size of what it wants, and throws that away in the kernel. */
static void read_on(int socket, int requests) {
    uint64_t size;
    while (read(requests, &size, sizeof size) == sizeof size) {
        for (uint64_t got = 0; got < size;) {
            ssize_t some = recv(socket, NULL, (size_t)(size - got), MSG_TRUNC);
            if (some <= 0) exit(1);
            got += (uint64_t)some;
        }
        if (write(socket, "x", 1) != 1) exit(1);
    }
    exit(0);
}

static void wait_for(short events) {
    struct pollfd socket = {.fd = server, .events = events};
    if (poll(&socket, 1, 10000) != 1) fail("poll");
}

static bool took(ssize_t sent) {
    if (sent > 0) return true;
    if (sent == 0 || errno != EAGAIN) fail("send");
    wait_for(POLLOUT);
    return false;
}

static void send_by_sendfile(uint64_t offset, size_t size) {
    off_t at = (off_t)offset;
    while (at < (off_t)(offset + size)) took(sendfile(server, file, &at, offset + size - (uint64_t)at));
}

static ssize_t fill(enum way way, const char *from, uint64_t offset, size_t size) {
    struct iovec vector = {.iov_base = (void *)(uintptr_t)(from + offset), .iov_len = size};
    off_t at = (off_t)offset;
    if (way == BY_SPLICE) return splice(file, &at, ends[1], NULL, size, SPLICE_F_NONBLOCK | SPLICE_F_MOVE);
    return vmsplice(ends[1], &vector, 1, SPLICE_F_NONBLOCK);
}

static void send_through_pipe(enum way way, const char *from, uint64_t offset, size_t size) {
    for (size_t sent = 0; sent < size;) {
        struct stat status; /* as the engine looks, between pipe and socket */
        ssize_t filled = fill(way, from, offset + sent, size - sent);
        if (filled <= 0 || fstat(file, &status) < 0) fail("fill");
        sent += (size_t)filled;
        unsigned more = sent < size ? SPLICE_F_MORE : 0;
        while (filled > 0) {
            ssize_t moved =
                splice(ends[0], NULL, server, NULL, (size_t)filled, SPLICE_F_NONBLOCK | SPLICE_F_MOVE | more);
            if (took(moved)) filled -= moved;
        }
    }
}

static void send_from_window(uint64_t offset, size_t size) {
    char *window = mmap(NULL, size, PROT_READ, MAP_SHARED, file, (off_t)offset);
    if (window == MAP_FAILED) fail("mmap");
    send_through_pipe(BY_WINDOW, window - offset, offset, size);
    munmap(window, size);
}

static void send_copied(const char *from, uint64_t offset, size_t size) {
    for (size_t sent = 0; sent < size;) {
        ssize_t moved = send(server, from + offset + sent, size - sent < PIECE ? size - sent : PIECE, MSG_NOSIGNAL);
        if (took(moved)) sent += (size_t)moved;
    }
}

static void send_read(uint64_t offset, size_t size) {
    static char bytes[PIECE];
    for (size_t sent = 0; sent < size;) {
        ssize_t got = pread(file, bytes, size - sent < PIECE ? size - sent : PIECE, (off_t)(offset + sent));
        if (got <= 0) fail("pread");
        ssize_t moved = send(server, bytes, (size_t)got, MSG_NOSIGNAL);
        if (took(moved)) sent += (size_t)moved;
    }
}

static void answer(enum way way, uint64_t offset, size_t size) {
    switch (way) {
    case BY_SENDFILE: send_by_sendfile(offset, size); break;
    case BY_WINDOW: send_from_window(offset, size); break;
    case BY_COPY: send_copied(mapping, offset, size); break;
    case BY_READ: send_read(offset, size); break;
    default: send_through_pipe(way, mapping, offset, size);
    }
}

static double cpu(void) {
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * 1e-6;
}

struct figure {
    double cpu, wall; /* seconds for 10^9 bytes */
};

static struct figure measure(enum way way, size_t size, int requests, uint64_t bytes) {
    uint64_t answers = bytes / size, length = size;
    double cpu_before = cpu(), wall_before = now(CLOCK_MONOTONIC);
    for (uint64_t index = 0; index < answers; index++) {
        uint64_t offset = ((uint64_t)random() % ((SPAN - size) / PAGE + 1)) * PAGE;
        char byte;
        if (write(requests, &length, sizeof length) != sizeof length) fail("request");
        answer(way, offset, size);
        do wait_for(POLLIN);
        while (read(server, &byte, 1) != 1);
    }
    double sent = (double)(answers * size) * 1e-9;
    return (struct figure){(cpu() - cpu_before) / sent, (now(CLOCK_MONOTONIC) - wall_before) / sent};
}

static int compare(const void *a, const void *b) {
    double first = *(const double *)a, second = *(const double *)b;
    return first < second ? -1 : first > second;
}

/* The median, and the quartiles. */
static void print(double *values, int rounds, int places) {
    qsort(values, (size_t)rounds, sizeof *values, compare);
    printf(" %.*f (%.*f to %.*f) |", places, values[rounds / 2], places, values[rounds / 4], places,
           values[rounds * 3 / 4]);
}

static struct figure figures[WAYS][MOST_ROUNDS];

static void run(size_t size, int rounds, int requests) {
    for (int round = 0; round < rounds; round++)
        for (int step = 0; step < WAYS; step++) {
            enum way way = (enum way)((step + round) % WAYS);
            figures[way][round] = measure(way, size, requests, SPAN);
        }
    for (int way = 0; way < WAYS; way++) {
        double cpus[MOST_ROUNDS], ratios[MOST_ROUNDS], rates[MOST_ROUNDS];
        for (int round = 0; round < rounds; round++) {
            cpus[round] = figures[way][round].cpu;
            ratios[round] = figures[way][round].cpu / figures[BY_VMSPLICE][round].cpu;
            rates[round] = 1 / figures[way][round].wall;
        }
        printf("| %zu KiB | %s |", size >> 10, names[way]);
        print(cpus, rounds, 3);
        print(ratios, rounds, 2);
        print(rates, rounds, 2);
        printf("\n");
    }
    fflush(stdout);
}

int main(int count, char **arguments) {
    int pair[2], requests[2], rounds = count > 2 ? atoi(arguments[2]) : 9;
    if (count < 2 || rounds < 1 || rounds > MOST_ROUNDS) return fprintf(stderr, "map-bench FILE [ROUNDS]\n"), 2;
    file = open(arguments[1], O_RDONLY | O_CLOEXEC);
    struct stat status;
    if (file < 0 || fstat(file, &status) < 0) fail(arguments[1]);
    if ((uint64_t)status.st_size < SPAN) return fprintf(stderr, "the file has less than 256 MiB\n"), 2;
    mapping = mmap(NULL, SPAN, PROT_READ, MAP_SHARED | MAP_POPULATE, file, 0);
    if (mapping == MAP_FAILED) fail("mmap");
    connect_pair(pair);
    if (pipe2(requests, O_CLOEXEC) < 0 || pipe2(ends, O_CLOEXEC | O_NONBLOCK) < 0) fail("pipe");
    if (fcntl(ends[1], F_SETPIPE_SZ, PIPE_BYTES) < 0) fail("F_SETPIPE_SZ");
    server = pair[1];
    if (fork() == 0) {
        close(requests[1]);
        read_on(pair[0], requests[0]);
    }
    printf("| range | by | CPU s/GB (quartiles) | over vmsplice | GB/s |\n| ---: | --- | ---: | ---: | ---: |\n");
    for (int index = 0; index < SIZES; index++) run(sizes[index], rounds, requests[1]);
    return 0;
}

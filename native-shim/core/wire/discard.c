#include "wire/discard.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "base/sys.h"

enum { PATIENCE = 10 /* s without a byte */, AT_ONCE = 1 << 20 };

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static int connect_to(uint16_t port) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    struct timeval patience = {.tv_sec = PATIENCE};
    int on = 1;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = pr_sys.socket(AF_INET, SOCK_STREAM, 0);
    if (fd < 0) return -errno;
    if (pr_sys.connect(fd, (struct sockaddr *)&address, sizeof address) < 0 ||
        pr_sys.setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) < 0 ||
        pr_sys.setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience) < 0) {
        int error = errno;
        close(fd);
        return -error;
    }
    return fd;
}

/* Bytes into `into`, or nowhere: at least one, or -errno. */
static ssize_t receive(int fd, char *into, size_t room) {
    ssize_t got;
    do got = into ? pr_sys.recv(fd, into, room, 0) : pr_sys.discard(fd, room, 0);
    while (got < 0 && errno == EINTR);
    if (got < 0) return errno == EAGAIN ? -ETIMEDOUT : -errno;
    return got == 0 ? -ECONNRESET : got;
}

/* Up to the empty line: gives how many bytes of the body came with it, or -errno. */
static ssize_t read_head(int fd, char *head, size_t room) {
    size_t got = 0;
    while (got + 1 < room) {
        ssize_t some = receive(fd, head + got, room - got - 1);
        if (some < 0) return some;
        got += (size_t)some;
        head[got] = '\0';
        char *end = memmem(head, got, "\r\n\r\n", 4);
        if (end) {
            end[2] = '\0';
            return (ssize_t)got - (end + 4 - head);
        }
    }
    return -EBADMSG;
}

static int one_answer(int fd, const struct pr_reading *reading, struct pr_discarded *discarded) {
    char head[2048];
    ssize_t sent = pr_sys.send(fd, reading->request, reading->request_length, MSG_NOSIGNAL);
    if (sent != (ssize_t)reading->request_length) return sent < 0 ? -errno : -EIO;
    ssize_t got = read_head(fd, head, sizeof head);
    if (got < 0) return (int)got;
    if (discarded->answers == 0) {
        memcpy(discarded->head, head, sizeof discarded->head);
        discarded->head[sizeof discarded->head - 1] = '\0';
    }
    uint64_t left = reading->body > (uint64_t)got ? reading->body - (uint64_t)got : 0;
    while (left > 0) {
        ssize_t some = receive(fd, NULL, left < AT_ONCE ? (size_t)left : AT_ONCE);
        if (some < 0) return (int)some;
        left -= (uint64_t)some;
    }
    discarded->answers++;
    discarded->bytes += reading->body;
    return 0;
}

int pr_discard(const struct pr_reading *reading, struct pr_discarded *discarded) {
    memset(discarded, 0, sizeof *discarded);
    int fd = connect_to(reading->port), result;
    if (fd < 0) return fd;
    double began = now();
    do {
        result = one_answer(fd, reading, discarded);
        discarded->seconds = now() - began;
    } while (result == 0 && discarded->answers < reading->most && discarded->seconds < reading->seconds);
    close(fd);
    return result;
}

#include "witness.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/sockios.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "file.h"
#include "peer.h"
#include "sys.h"

/*
 * The scratch file is larger than a huge page and the pages lie inside one: where the file system makes huge pages, a
 * hole in one that is being sent would be zeroed in flight.
 */
enum { SCRATCH = 4 << 20, OFFSET = (2 << 20) + (64 << 10), LENGTH = 16 << 10 };
enum { OLD = 'o', NEW = 'n', PATIENCE = 1000 /* ms */ };

static int fill(int fd) {
    static char bytes[64 << 10];
    memset(bytes, OLD, sizeof bytes);
    int result = 0;
    for (uint64_t at = 0; result == 0 && at < SCRATCH; at += sizeof bytes)
        result = pr_file_write(fd, bytes, sizeof bytes, at);
    return result;
}

static int send_by_sendfile(int socket, int fd) {
    off_t offset = OFFSET;
    ssize_t sent = pr_sys.sendfile(socket, fd, &offset, LENGTH);
    return sent == LENGTH ? 0 : sent < 0 ? -errno : -EIO;
}

static int send_by_vmsplice(int socket, int fd) {
    int ends[2];
    void *address = mmap(NULL, SCRATCH, PROT_READ, MAP_SHARED, fd, 0);
    if (address == MAP_FAILED) return -errno;
    int result = pr_sys.pipe(ends) < 0 ? -errno : 0;
    if (result < 0) goto unmap;
    struct iovec vector = {.iov_base = (char *)address + OFFSET, .iov_len = LENGTH};
    ssize_t moved = pr_sys.vmsplice(ends[1], &vector, 1, SPLICE_F_NONBLOCK);
    if (moved == LENGTH) moved = pr_sys.splice(ends[0], NULL, socket, NULL, LENGTH, SPLICE_F_NONBLOCK);
    result = moved == LENGTH ? 0 : moved < 0 ? -errno : -EIO;
    close(ends[0]);
    close(ends[1]);
unmap:
    munmap(address, SCRATCH);
    return result;
}

static int wait_until_acknowledged(int socket) {
    int queued = 1;
    for (int tries = 0; tries < PATIENCE; tries++) {
        if (ioctl(socket, SIOCOUTQ, &queued) < 0) return -errno;
        if (queued == 0) return 0;
        poll(NULL, 0, 1);
    }
    return -ETIMEDOUT;
}

static int rewrite(int fd) {
    char bytes[LENGTH];
    memset(bytes, NEW, sizeof bytes);
    if (pr_sys.fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, OFFSET, LENGTH) < 0) return -errno;
    return pr_file_write(fd, bytes, sizeof bytes, OFFSET);
}

/* Whether all that the peer has is old. */
static int reads_old(int socket) {
    char bytes[LENGTH];
    for (size_t got = 0; got < LENGTH;) {
        struct pollfd arrival = {.fd = socket, .events = POLLIN};
        if (poll(&arrival, 1, PATIENCE) != 1) return -ETIMEDOUT;
        ssize_t some = recv(socket, bytes + got, LENGTH - got, 0);
        if (some <= 0) return some < 0 ? -errno : -ECONNRESET;
        got += (size_t)some;
    }
    for (size_t index = 0; index < LENGTH; index++)
        if (bytes[index] != OLD) return 0;
    return 1;
}

static int keeps_old_pages(int fd, int (*send_pages)(int socket, int fd)) {
    int pair[2];
    int result = fill(fd);
    if (result < 0) return result;
    result = pr_socket_pair(pair);
    if (result == 0) result = send_pages(pair[1], fd);
    if (result == 0) result = wait_until_acknowledged(pair[1]);
    if (result == 0) result = rewrite(fd);
    if (result == 0) result = reads_old(pair[0]);
    for (int end = 0; end < 2; end++)
        if (pair[end] >= 0) close(pair[end]);
    return result;
}

int pr_witness_fresh_pages(const char *path) {
    int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0) return -errno;
    unlink(path);
    int result = keeps_old_pages(fd, send_by_sendfile);
    if (result == 1) result = keeps_old_pages(fd, send_by_vmsplice);
    close(fd);
    return result;
}

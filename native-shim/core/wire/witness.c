#include "wire/witness.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/errqueue.h>
#include <linux/falloc.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/sys.h"
#include "pages/backing.h"
#include "pages/direct.h"
#include "pages/file.h"
#include "pages/folios.h"
#include "pages/mapping.h"
#include "wire/peer.h"

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25 /* Linux 6.1 */
#endif

enum { LENGTH = 16 << 10, OLD = 'o', NEW = 'n', PATIENCE = 1000 /* ms */ };

/* Sending LENGTH bytes from `offset` of a file that is mapped at `address`. */

static int send_by_sendfile(int socket, int fd, char *address, off_t offset) {
    (void)address;
    ssize_t sent = pr_sys.sendfile(socket, fd, &offset, LENGTH);
    return sent == LENGTH ? 0 : sent < 0 ? -errno : -EIO;
}

static int send_by_vmsplice(int socket, int fd, char *address, off_t offset) {
    (void)fd;
    int ends[2];
    if (pr_sys.pipe(ends) < 0) return -errno;
    struct iovec vector = {.iov_base = address + offset, .iov_len = LENGTH};
    ssize_t moved = pr_sys.vmsplice(ends[1], &vector, 1, SPLICE_F_NONBLOCK);
    if (moved == LENGTH) moved = pr_sys.splice(ends[0], NULL, socket, NULL, LENGTH, SPLICE_F_NONBLOCK);
    int result = moved == LENGTH ? 0 : moved < 0 ? -errno : -EIO;
    close(ends[0]);
    close(ends[1]);
    return result;
}

static int send_by_copy(int socket, int fd, char *address, off_t offset) {
    (void)fd;
    ssize_t sent = pr_sys.send(socket, address + offset, LENGTH, MSG_NOSIGNAL);
    return sent == LENGTH ? 0 : sent < 0 ? -errno : -EIO;
}

static int send_by_zerocopy(int socket, int fd, char *address, off_t offset) {
    (void)fd;
    int on = 1;
    if (pr_sys.setsockopt(socket, SOL_SOCKET, SO_ZEROCOPY, &on, sizeof on) < 0) return -errno;
    ssize_t sent = pr_sys.send(socket, address + offset, LENGTH, MSG_NOSIGNAL | MSG_ZEROCOPY);
    return sent == LENGTH ? 0 : sent < 0 ? -errno : -EIO;
}

/* As engine.c does on this backing. */
static int send_by_splice(int socket, int fd, char *address, off_t offset) {
    struct pr_backing_info info;
    int ends[2], result = pr_backing_of(fd, &info);
    if (result < 0) return result;
    if (pr_is_mapped_backing(info.backing)) return send_by_vmsplice(socket, fd, address, offset);
    if (pr_sys.pipe(ends) < 0) return -errno;
    ssize_t moved = pr_sys.splice(fd, &offset, ends[1], NULL, LENGTH, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
    if (moved == LENGTH) moved = pr_sys.splice(ends[0], NULL, socket, NULL, LENGTH, SPLICE_F_NONBLOCK);
    result = moved == LENGTH ? 0 : moved < 0 ? -errno : -EIO;
    close(ends[0]);
    close(ends[1]);
    return result;
}

typedef int (*sender)(int socket, int fd, char *address, off_t offset);

static sender sender_of(enum pr_engine engine) {
    switch (engine) {
    case PR_ENGINE_SENDFILE: return send_by_sendfile;
    case PR_ENGINE_SPLICE: return send_by_splice;
    case PR_ENGINE_COPY: return send_by_copy;
    case PR_ENGINE_ZEROCOPY: return send_by_zerocopy;
    default: return NULL;
    }
}

static int wait_until_acknowledged(int socket) {
    int queued = 1;
    for (int tries = 0; tries < PATIENCE; tries++) {
        if (pr_sys.queued(socket, &queued) < 0) return -errno;
        if (queued == 0) return 0;
        poll(NULL, 0, 1);
    }
    return -ETIMEDOUT;
}

/* The byte that all of what the peer has is; -EILSEQ for a mixture. */
static int read_byte(int socket) {
    char bytes[LENGTH];
    for (size_t got = 0; got < LENGTH;) {
        struct pollfd arrival = {.fd = socket, .events = POLLIN};
        if (poll(&arrival, 1, PATIENCE) != 1) return -ETIMEDOUT;
        ssize_t some = pr_sys.recv(socket, bytes + got, LENGTH - got, 0);
        if (some <= 0) return some < 0 ? -errno : -ECONNRESET;
        got += (size_t)some;
    }
    for (size_t index = 1; index < LENGTH; index++)
        if (bytes[index] != bytes[0]) return -EILSEQ;
    return bytes[0];
}

/* Whether pages are copied. */

int pr_scratch_open(enum pr_scratch kind, const char *path, int *fd, uint64_t *size) {
    struct pr_backing_info info;
    if (kind == PR_SCRATCH_MEMFD || kind == PR_SCRATCH_HUGETLB)
        *fd = pr_sys.memfd_create("pagerelay-scratch", MFD_CLOEXEC | (kind == PR_SCRATCH_HUGETLB ? MFD_HUGETLB : 0));
    else
        *fd = pr_sys.open(AT_FDCWD, path, false, O_RDWR | O_CLOEXEC | (kind == PR_SCRATCH_FOLDER ? O_TMPFILE : 0));
    if (*fd < 0) return -errno;
    int result = pr_backing_of(*fd, &info);
    if (result == 0 && kind == PR_SCRATCH_DEVICE && info.backing != PR_BACKING_DEVDAX) result = -ENODEV;
    uint64_t page = info.page_size;
    *size = page > LENGTH ? page : LENGTH;
    /* hugetlbfs hides the size of a memfd's pages from statfs: 2 MiB is what MFD_HUGETLB alone means on x86. */
    if (kind == PR_SCRATCH_HUGETLB && *size < 2u << 20) *size = 2u << 20;
    /* Set aside now: on a full file system a store through the mapping would be SIGBUS. */
    if (result == 0 && kind != PR_SCRATCH_DEVICE && pr_sys.fallocate(*fd, 0, 0, (off_t)*size) < 0) result = -errno;
    if (result < 0) close(*fd);
    return result;
}

int pr_huge_memfd(const char *name, uint64_t size) {
    int fd = pr_sys.memfd_create(name, MFD_CLOEXEC | MFD_HUGETLB);
    if (fd < 0) return -errno;
    if (pr_sys.fallocate(fd, 0, 0, (off_t)size) == 0) return fd;
    int error = errno;
    close(fd);
    return -error;
}

static int copy_free(int fd, char *address, sender send_pages) {
    int pair[2];
    memset(address, OLD, LENGTH);
    int result = pr_socket_pair(pair);
    if (result == 0) result = send_pages(pair[1], fd, address, 0);
    if (result == 0) result = wait_until_acknowledged(pair[1]);
    if (result == 0) {
        memset(address, NEW, LENGTH);
        result = read_byte(pair[0]);
    }
    pr_socket_pair_close(pair);
    return result < 0 ? result : result == NEW;
}

/* Runs an experiment on a mapping of the scratch pages, which are put back as they were. */
static int on_mapping(int fd, uint64_t size, sender send_pages, int (*act)(int fd, char *address, sender send_pages)) {
    char *kept = pr_allocate(1, LENGTH);
    if (!kept) return -ENOMEM;
    char *address = pr_sys.mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    int result = address == MAP_FAILED ? -errno : 0;
    if (result == 0) {
        memcpy(kept, address, LENGTH);
        result = act(fd, address, send_pages);
        memcpy(address, kept, LENGTH);
        munmap(address, size);
    }
    pr_free(kept);
    return result;
}

int pr_witness_copy_free(int fd, uint64_t size, enum pr_engine engine) {
    sender send_pages = sender_of(engine);
    return send_pages ? on_mapping(fd, size, send_pages, copy_free) : -EINVAL;
}

/* The notice of one zero-copy send. */

static int wait_for_notice(int socket) {
    char control[128];
    struct msghdr message = {.msg_control = control, .msg_controllen = sizeof control};
    struct pollfd error = {.fd = socket};
    if (poll(&error, 1, PATIENCE) != 1) return -ETIMEDOUT;
    if (pr_sys.errqueue(socket, &message) < 0) return -errno;
    struct cmsghdr *part = CMSG_FIRSTHDR(&message);
    struct sock_extended_err notice;
    if (!part) return -EBADMSG;
    memcpy(&notice, CMSG_DATA(part), sizeof notice);
    if (notice.ee_origin != SO_EE_ORIGIN_ZEROCOPY) return -EBADMSG;
    return (notice.ee_code & SO_EE_CODE_ZEROCOPY_COPIED) != 0;
}

static int notice_says_copied(int fd, char *address, sender send_pages) {
    int pair[2];
    int result = pr_socket_pair(pair);
    if (result == 0) result = send_pages(pair[1], fd, address, 0);
    if (result == 0) result = wait_for_notice(pair[1]);
    pr_socket_pair_close(pair);
    return result;
}

int pr_witness_notice_says_copied(int fd, uint64_t size) {
    return on_mapping(fd, size, send_by_zerocopy, notice_says_copied);
}

/* Fresh pages. */

/*
 * The scratch file is larger than a huge page and the pages lie inside one: where the file system makes huge pages, a
 * hole in one that is being sent would be zeroed in flight.
 */
enum { SCRATCH = 4 << 20, OFFSET = (2 << 20) + (64 << 10) };

static int fill(int fd) {
    static char bytes[64 << 10];
    memset(bytes, OLD, sizeof bytes);
    int result = 0;
    for (uint64_t at = 0; result == 0 && at < SCRATCH; at += sizeof bytes)
        result = pr_file_write(fd, bytes, sizeof bytes, at);
    return result;
}

static int punch_and_write(int fd, const char *bytes) {
    if (pr_sys.fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, OFFSET, LENGTH) < 0) return -errno;
    return pr_file_write(fd, bytes, LENGTH, OFFSET);
}

static int write_directly(int fd, const char *bytes) {
    int direct = pr_direct_open(fd);
    if (direct < 0) return direct;
    int result = pr_file_write(direct, bytes, LENGTH, OFFSET);
    close(direct);
    return result;
}

static int rewrite(int fd, enum pr_means means) {
    _Alignas(PR_DIRECT_ALIGNMENT) char bytes[LENGTH];
    memset(bytes, NEW, sizeof bytes);
    return means == PR_MEANS_PUNCH ? punch_and_write(fd, bytes) : write_directly(fd, bytes);
}

/* Whether the peer gets the old bytes of pages that are rewritten behind it. No mapping of the file stores to it. */
static int keeps_old_pages(int fd, sender send_pages, enum pr_means means) {
    int pair[2];
    int result = fill(fd);
    if (result < 0) return result;
    result = pr_socket_pair(pair);
    if (result == 0) result = send_pages(pair[1], fd, NULL, OFFSET);
    if (result == 0) result = wait_until_acknowledged(pair[1]);
    if (result == 0) result = rewrite(fd, means);
    if (result == 0) result = read_byte(pair[0]);
    pr_socket_pair_close(pair);
    if (result == -EILSEQ) return 0;
    return result < 0 ? result : result == OLD;
}

/*
 * Whether a large folio is told from small ones: the pages of a huge page that is made by collapsing, also of one that
 * the file's end lies in. Where none can be made there is none to be told.
 */
static int tells_large_folios(int fd) {
    enum { WINDOW = SCRATCH / 2 };
    char *reserved = pr_sys.mmap(NULL, SCRATCH, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (reserved == MAP_FAILED) return -errno;
    char *window = reserved + (WINDOW - (uintptr_t)reserved % WINDOW) % WINDOW;
    int result = 1;
    for (off_t at = 0; result == 1 && at < SCRATCH; at += WINDOW) {
        if (at > 0 && pr_sys.ftruncate(fd, SCRATCH - WINDOW / 2) < 0) result = -errno;
        char *mapped = pr_sys.mmap(window, WINDOW, PROT_READ, MAP_SHARED | MAP_FIXED, fd, at);
        if (mapped == MAP_FAILED) result = -errno;
        bool large = result == 1 && pr_sys.madvise(window, WINDOW, MADV_COLLAPSE) == 0;
        if (large && pr_folios_are_small(fd, (uint64_t)at, LENGTH)) result = 0;
    }
    munmap(reserved, SCRATCH);
    return result;
}

/* The file was never mapped to be written: only so is a direct write sure of its pages. */
static int keeps_old_pages_of(int fd, enum pr_means means) {
    int result = means == PR_MEANS_DIRECT ? pr_direct_alignment(fd) : 0;
    if (result == -EOPNOTSUPP) return 0;
    /* Written before it is sent, as regions are: only so ext4 gives it large folios. */
    if (result == 0) result = keeps_old_pages(fd, send_by_sendfile, means);
    if (result == 1) result = keeps_old_pages(fd, send_by_splice, means);
    return result == 1 && means == PR_MEANS_PUNCH ? tells_large_folios(fd) : result;
}

int pr_witness_means(const char *path, enum pr_means means) {
    if (means == PR_MEANS_WAIT) return -EINVAL;
    int fd = pr_sys.open(AT_FDCWD, path, false, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC);
    if (fd < 0) return -errno;
    pr_sys.unlink(path);
    int result = keeps_old_pages_of(fd, means);
    close(fd);
    return result;
}

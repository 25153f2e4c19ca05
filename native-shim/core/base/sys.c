#include "base/sys.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <linux/sockios.h>
#include <malloc.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/beneath.h"

/* A filter answers EPERM, or ENOSYS; the kernel itself means the file by EPERM, which the other way then says too. */
static int real_open(int directory, const char *path, bool beneath, int flags) {
    struct open_how how = {.flags = (unsigned)flags, .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS};
    /* With O_CREAT the mode counts, and without one a C library that was told to look (_FORTIFY_SOURCE) aborts. */
    if (!beneath) return openat(directory, path, flags, 0600);
    int fd = (int)syscall(SYS_openat2, directory, path, &how, sizeof how);
    return fd < 0 && (errno == EPERM || errno == ENOSYS) ? pr_open_beneath(directory, path, flags) : fd;
}

static int real_dup(int fd) {
    return fcntl(fd, F_DUPFD_CLOEXEC, 0);
}

static int real_dup_to(int fd, int to) {
    return dup3(fd, to, O_CLOEXEC);
}

static int real_pipe(int fds[2]) {
    return pipe2(fds, O_CLOEXEC | O_NONBLOCK);
}

static int real_statx(int fd, const char *path, int flags, unsigned mask, struct statx *status) {
    /* The C library's own answers ENOSYS by what fstat knows, which is nothing of DAX. */
    return (int)syscall(SYS_statx, fd, path, flags, mask, status);
}

/* A directory can only be synced as a whole. */
static int real_fsync(int fd) {
    struct stat status;
    return fstat(fd, &status) == 0 && S_ISDIR(status.st_mode) ? fsync(fd) : fdatasync(fd);
}

/* For the open file, not for the process. Never waits. */
static int real_lock(int fd, struct flock *lock) {
    return fcntl(fd, F_OFD_SETLK, lock);
}

static int real_ioctl(int fd, unsigned long request, void *argument) {
    return ioctl(fd, request, argument);
}

/* Of this process, where a load could be SIGBUS. */
static ssize_t real_read_mapped(const void *from, void *into, size_t length) {
    struct iovec theirs = {.iov_base = (void *)(uintptr_t)from, .iov_len = length};
    struct iovec ours = {.iov_base = into, .iov_len = length};
    return process_vm_readv(getpid(), &ours, 1, &theirs, 1, 0);
}

static long real_get_mempolicy(int *node, const void *address, unsigned flags) {
    return syscall(SYS_get_mempolicy, node, NULL, 0ul, address, (unsigned long)flags);
}

static long real_move_pages(void **page, int *status) {
    return syscall(SYS_move_pages, 0, 1ul, page, NULL, status, 0);
}

static int real_fcntl(int fd, int command, int argument) {
    return fcntl(fd, command, argument);
}

static int real_eventfd(void) {
    return eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
}

static int real_epoll_create(void) {
    return epoll_create1(EPOLL_CLOEXEC);
}

static int real_socket(int family, int type, int protocol) {
    return socket(family, type | SOCK_CLOEXEC, protocol);
}

static int real_accept(int fd, struct sockaddr *address, socklen_t *length, int flags) {
    return accept4(fd, address, length, flags | SOCK_CLOEXEC);
}

static int real_queued(int fd, int *bytes) {
    return ioctl(fd, SIOCOUTQ, bytes);
}

/*
 * The bare call: ThreadSanitizer believes that recv writes to its buffer, and there is none. TCP alone does without
 * (tcp(7)); what a unix socket discards it copies.
 */
static ssize_t real_discard(int fd, size_t length, int flags) {
    char bytes[16 << 10];
    ssize_t got = syscall(SYS_recvfrom, fd, NULL, length, flags | MSG_TRUNC, NULL, NULL);
    if (got >= 0 || errno != EFAULT) return got;
    return recv(fd, bytes, length < sizeof bytes ? length : sizeof bytes, flags);
}

static ssize_t real_errqueue(int fd, struct msghdr *message) {
    return recvmsg(fd, message, MSG_ERRQUEUE | MSG_DONTWAIT);
}

static ssize_t real_diag(int fd, const void *request, size_t length) {
    return send(fd, request, length, 0);
}

static ssize_t real_diag_answer(int fd, void *answer, size_t size) {
    return recv(fd, answer, size, 0);
}

#define REAL(number, name, real, type, failure, parameters, arguments) .name = real,
const struct pr_sys pr_sys_real = {PR_CALLS(REAL)};
struct pr_sys pr_sys = {PR_CALLS(REAL)};

/*
 * Memory, counted by what the allocator really set aside: by each thread on a line of its own, for all of them allocate
 * all the time. What one has set aside another can free: the sum is right.
 */

enum { COUNTS = 64 };

static struct { _Alignas(128) atomic_size_t bytes; } allocated[COUNTS];

static atomic_size_t *count_of_thread(void) {
    static atomic_uint threads;
    static _Thread_local unsigned number; /* from 1 on */
    if (number == 0) number = 1 + atomic_fetch_add_explicit(&threads, 1, memory_order_relaxed) % COUNTS;
    return &allocated[number - 1].bytes;
}

void *pr_allocate(size_t count, size_t size) {
    void *memory = pr_sys.allocate(count, size);
    if (memory) atomic_fetch_add_explicit(count_of_thread(), malloc_usable_size(memory), memory_order_relaxed);
    return memory;
}

void pr_free(void *memory) {
    if (memory) atomic_fetch_sub_explicit(count_of_thread(), malloc_usable_size(memory), memory_order_relaxed);
    free(memory);
}

size_t pr_allocated_bytes(void) {
    size_t sum = 0;
    for (unsigned count = 0; count < COUNTS; count++)
        sum += atomic_load_explicit(&allocated[count].bytes, memory_order_relaxed);
    return sum;
}

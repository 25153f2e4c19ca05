#include "base/sys.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <malloc.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
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

static int real_pipe(int fds[2]) {
    return pipe2(fds, O_CLOEXEC | O_NONBLOCK);
}

static ssize_t real_diag(int fd, const void *request, size_t length) {
    return send(fd, request, length, 0);
}

static ssize_t real_errqueue(int fd, struct msghdr *message) {
    return recvmsg(fd, message, MSG_ERRQUEUE | MSG_DONTWAIT);
}

static int real_accept(int fd) {
    return accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
}

/* A directory can only be synced as a whole. */
static int real_fsync(int fd) {
    struct stat status;
    return fstat(fd, &status) == 0 && S_ISDIR(status.st_mode) ? fsync(fd) : fdatasync(fd);
}

#define REAL_CALLS                                                                                                     \
    {                                                                                                                  \
        .allocate = calloc, .open = real_open, .fstat = fstat, .mmap = mmap, .dup = real_dup, .pipe = real_pipe,       \
        .epoll_ctl = epoll_ctl, .send = send, .sendfile = sendfile, .vmsplice = vmsplice, .splice = splice,            \
        .diag = real_diag, .pread = pread, .pwrite = pwrite, .fallocate = fallocate, .ftruncate = ftruncate,           \
        .fsync = real_fsync, .errqueue = real_errqueue, .recv = recv, .accept = real_accept,                           \
    }

static const struct pr_sys real = REAL_CALLS;
struct pr_sys pr_sys = REAL_CALLS;

/* Switches: calls are counted, and can be made to fail. */

static pthread_mutex_t fault_lock = PTHREAD_MUTEX_INITIALIZER;
static bool routed, faults_enabled;
static atomic_bool armed; /* a fault was set at least once: before, no call waits for the lock */
static atomic_uint_fast64_t made[PR_CALL_COUNT];
static struct fault {
    int error;
    unsigned skip, count;
} faults[PR_CALL_COUNT];

static bool fails(enum pr_call call) {
    atomic_fetch_add_explicit(&made[call], 1, memory_order_relaxed);
    if (!atomic_load(&armed)) return false;
    pthread_mutex_lock(&fault_lock);
    struct fault *fault = &faults[call];
    bool hit = fault->count > 0 && fault->skip == 0;
    if (hit)
        fault->count--;
    else if (fault->count > 0)
        fault->skip--;
    int error = fault->error;
    pthread_mutex_unlock(&fault_lock);
    if (hit) errno = error;
    return hit;
}

static void *faulty_allocate(size_t count, size_t size) {
    return fails(PR_CALL_ALLOCATE) ? NULL : real.allocate(count, size);
}

static int faulty_open(int directory, const char *path, bool beneath, int flags) {
    return fails(PR_CALL_OPEN) ? -1 : real.open(directory, path, beneath, flags);
}

static int faulty_fstat(int fd, struct stat *status) {
    return fails(PR_CALL_FSTAT) ? -1 : real.fstat(fd, status);
}

static void *faulty_mmap(void *address, size_t length, int protection, int flags, int fd, off_t offset) {
    return fails(PR_CALL_MMAP) ? MAP_FAILED : real.mmap(address, length, protection, flags, fd, offset);
}

static int faulty_dup(int fd) {
    return fails(PR_CALL_DUP) ? -1 : real.dup(fd);
}

static int faulty_pipe(int fds[2]) {
    return fails(PR_CALL_PIPE) ? -1 : real.pipe(fds);
}

static int faulty_epoll_ctl(int epoll, int operation, int fd, struct epoll_event *event) {
    return fails(PR_CALL_EPOLL_CTL) ? -1 : real.epoll_ctl(epoll, operation, fd, event);
}

static ssize_t faulty_send(int fd, const void *buffer, size_t length, int flags) {
    return fails(PR_CALL_SEND) ? -1 : real.send(fd, buffer, length, flags);
}

static ssize_t faulty_sendfile(int out, int in, off_t *offset, size_t length) {
    return fails(PR_CALL_SENDFILE) ? -1 : real.sendfile(out, in, offset, length);
}

static ssize_t faulty_vmsplice(int fd, const struct iovec *vectors, size_t count, unsigned flags) {
    return fails(PR_CALL_VMSPLICE) ? -1 : real.vmsplice(fd, vectors, count, flags);
}

static ssize_t faulty_splice(int in, off_t *in_offset, int out, off_t *out_offset, size_t length, unsigned flags) {
    return fails(PR_CALL_SPLICE) ? -1 : real.splice(in, in_offset, out, out_offset, length, flags);
}

static ssize_t faulty_diag(int fd, const void *request, size_t length) {
    return fails(PR_CALL_DIAG) ? -1 : real.diag(fd, request, length);
}

static ssize_t faulty_pread(int fd, void *buffer, size_t length, off_t offset) {
    return fails(PR_CALL_PREAD) ? -1 : real.pread(fd, buffer, length, offset);
}

static ssize_t faulty_pwrite(int fd, const void *buffer, size_t length, off_t offset) {
    return fails(PR_CALL_PWRITE) ? -1 : real.pwrite(fd, buffer, length, offset);
}

static int faulty_fallocate(int fd, int mode, off_t offset, off_t length) {
    return fails(PR_CALL_FALLOCATE) ? -1 : real.fallocate(fd, mode, offset, length);
}

static int faulty_ftruncate(int fd, off_t size) {
    return fails(PR_CALL_FTRUNCATE) ? -1 : real.ftruncate(fd, size);
}

static ssize_t faulty_errqueue(int fd, struct msghdr *message) {
    return fails(PR_CALL_ERRQUEUE) ? -1 : real.errqueue(fd, message);
}

static ssize_t faulty_recv(int fd, void *buffer, size_t length, int flags) {
    return fails(PR_CALL_RECV) ? -1 : real.recv(fd, buffer, length, flags);
}

static int faulty_accept(int fd) {
    return fails(PR_CALL_ACCEPT) ? -1 : real.accept(fd);
}

static int faulty_fsync(int fd) {
    return fails(PR_CALL_FSYNC) ? -1 : real.fsync(fd);
}

/* Under fault_lock. */
static void route(void) {
    if (!routed) {
        routed = true;
        pr_sys = (struct pr_sys){
            .allocate = faulty_allocate,
            .open = faulty_open,
            .fstat = faulty_fstat,
            .mmap = faulty_mmap,
            .dup = faulty_dup,
            .pipe = faulty_pipe,
            .epoll_ctl = faulty_epoll_ctl,
            .send = faulty_send,
            .sendfile = faulty_sendfile,
            .vmsplice = faulty_vmsplice,
            .splice = faulty_splice,
            .diag = faulty_diag,
            .pread = faulty_pread,
            .pwrite = faulty_pwrite,
            .fallocate = faulty_fallocate,
            .ftruncate = faulty_ftruncate,
            .fsync = faulty_fsync,
            .errqueue = faulty_errqueue,
            .recv = faulty_recv,
            .accept = faulty_accept,
        };
    }
}

void pr_faults_enable(void) {
    pthread_mutex_lock(&fault_lock);
    faults_enabled = true;
    route();
    pthread_mutex_unlock(&fault_lock);
}

void pr_counting_enable(void) {
    pthread_mutex_lock(&fault_lock);
    route();
    pthread_mutex_unlock(&fault_lock);
}

uint64_t pr_calls_made(enum pr_call call) {
    return atomic_load_explicit(&made[call], memory_order_relaxed);
}

bool pr_faults_enabled(void) {
    pthread_mutex_lock(&fault_lock);
    bool answer = faults_enabled;
    pthread_mutex_unlock(&fault_lock);
    return answer;
}

void pr_fault_set(enum pr_call call, int error, unsigned skip, unsigned count) {
    pthread_mutex_lock(&fault_lock);
    faults[call] = (struct fault){.error = error, .skip = skip, .count = count};
    atomic_store(&armed, true);
    pthread_mutex_unlock(&fault_lock);
}

static const char *const names[PR_CALL_COUNT] = {
    [PR_CALL_ALLOCATE] = "allocate",   [PR_CALL_OPEN] = "open",     [PR_CALL_FSTAT] = "fstat",
    [PR_CALL_MMAP] = "mmap",           [PR_CALL_DUP] = "dup",       [PR_CALL_PIPE] = "pipe",
    [PR_CALL_EPOLL_CTL] = "epoll_ctl", [PR_CALL_SEND] = "send",     [PR_CALL_SENDFILE] = "sendfile",
    [PR_CALL_VMSPLICE] = "vmsplice",   [PR_CALL_SPLICE] = "splice", [PR_CALL_DIAG] = "diag",
    [PR_CALL_PREAD] = "pread",         [PR_CALL_PWRITE] = "pwrite", [PR_CALL_FALLOCATE] = "fallocate",
    [PR_CALL_FTRUNCATE] = "ftruncate", [PR_CALL_FSYNC] = "fsync",   [PR_CALL_ERRQUEUE] = "errqueue",
    [PR_CALL_RECV] = "recv",           [PR_CALL_ACCEPT] = "accept",
};

const char *pr_call_name(enum pr_call call) {
    return names[call];
}

int pr_call_by_name(const char *name) {
    for (int call = 0; call < PR_CALL_COUNT; call++)
        if (strcmp(names[call], name) == 0) return call;
    return -1;
}

/* Memory, counted by what the allocator really set aside. */

static atomic_size_t allocated;

void *pr_allocate(size_t count, size_t size) {
    void *memory = pr_sys.allocate(count, size);
    if (memory) atomic_fetch_add_explicit(&allocated, malloc_usable_size(memory), memory_order_relaxed);
    return memory;
}

void pr_free(void *memory) {
    if (memory) atomic_fetch_sub_explicit(&allocated, malloc_usable_size(memory), memory_order_relaxed);
    free(memory);
}

size_t pr_allocated_bytes(void) {
    return atomic_load_explicit(&allocated, memory_order_relaxed);
}

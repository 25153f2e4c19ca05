/*
 * The system calls that can fail under load, in one table, so that a test can make any of them fail. What serves
 * regions and changes files calls them through `pr_sys`. What only looks at the machine (witnesses, self-tests, readers
 * of benchmarks) calls them directly, as do calls whose failure changes nothing.
 */
#ifndef PR_SYS_H
#define PR_SYS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>

enum pr_call {
    PR_CALL_ALLOCATE,
    PR_CALL_OPEN,
    PR_CALL_FSTAT,
    PR_CALL_MMAP,
    PR_CALL_DUP,
    PR_CALL_PIPE,
    PR_CALL_EPOLL_CTL,
    PR_CALL_SEND,
    PR_CALL_SENDFILE,
    PR_CALL_VMSPLICE,
    PR_CALL_SPLICE,
    PR_CALL_DIAG,
    PR_CALL_PREAD,
    PR_CALL_PWRITE,
    PR_CALL_FALLOCATE,
    PR_CALL_FTRUNCATE,
    PR_CALL_FSYNC,
    PR_CALL_ERRQUEUE,
    PR_CALL_RECV,
    PR_CALL_ACCEPT,
    PR_CALL_COUNT,
};

/* All follow the kernel's own convention: -1 and errno. */
struct pr_sys {
    void *(*allocate)(size_t count, size_t size);
    int (*open)(int directory, const char *path, bool beneath, int flags); /* makes files for their owner alone */
    int (*fstat)(int fd, struct stat *status);
    void *(*mmap)(void *address, size_t length, int protection, int flags, int fd, off_t offset);
    int (*dup)(int fd);
    int (*pipe)(int fds[2]);
    int (*epoll_ctl)(int epoll, int operation, int fd, struct epoll_event *event);
    ssize_t (*send)(int fd, const void *buffer, size_t length, int flags);
    ssize_t (*sendfile)(int out, int in, off_t *offset, size_t length);
    ssize_t (*vmsplice)(int fd, const struct iovec *vectors, size_t count, unsigned flags);
    ssize_t (*splice)(int in, off_t *in_offset, int out, off_t *out_offset, size_t length, unsigned flags);
    ssize_t (*diag)(int fd, const void *request, size_t length);
    ssize_t (*pread)(int fd, void *buffer, size_t length, off_t offset);
    ssize_t (*pwrite)(int fd, const void *buffer, size_t length, off_t offset);
    int (*fallocate)(int fd, int mode, off_t offset, off_t length);
    int (*ftruncate)(int fd, off_t size);
    ssize_t (*errqueue)(int fd, struct msghdr *message); /* one message of a socket's error queue; never waits */
    ssize_t (*recv)(int fd, void *buffer, size_t length, int flags);
    int (*accept)(int fd); /* non-blocking, and closed by exec */
    int (*fsync)(int fd);  /* of a file: its data, and what is needed to find it */
};

extern struct pr_sys pr_sys;

/* Routes the table through the fault switches. Call it before any lane runs; it cannot be undone. */
void pr_faults_enable(void);
bool pr_faults_enabled(void);

/* Has the table count its calls from now on; the same rules. Names are as of pr_call_by_name. */
void pr_counting_enable(void);
uint64_t pr_calls_made(enum pr_call call);
const char *pr_call_name(enum pr_call call);

/* After `skip` more calls, the next `count` calls of `call` fail with `error` (a positive errno); count 0 ends it. */
void pr_fault_set(enum pr_call call, int error, unsigned skip, unsigned count);

/* The number of the call called `name` in lower case ("sendfile"), or -1. */
int pr_call_by_name(const char *name);

/* Bytes that the shim has allocated and not freed, over all relays of this process. */
size_t pr_allocated_bytes(void);
void *pr_allocate(size_t count, size_t size);
void pr_free(void *memory);

#endif

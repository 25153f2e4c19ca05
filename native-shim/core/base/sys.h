/*
 * The system calls of the core, in one table, so that a test can make any of them fail. All that can fail are called
 * through `pr_sys`; sys.c and beneath.c are what is behind it, and needed.h tries what they go without. Not in it is
 * what nothing depends on (close, munmap, poll, shutdown), threads, clocks, and the reading of /proc and /sys by stdio.
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

struct flock;
struct statfs;
struct statx;

/*
 * Each with its number, its name, what it is really, what it gives, what that is when it fails (with errno), and what
 * it takes.
 */
/* clang-format off */
#define PR_CALLS(CALL)                                                                                                 \
    CALL(ALLOCATE, allocate, calloc, void *, NULL, (size_t count, size_t size), (count, size))                         \
    /* Files. Beneath: no path leads out of the directory. Makes them for their owner alone. */                       \
    CALL(OPEN, open, real_open, int, -1, (int directory, const char *path, bool beneath, int flags),                   \
         (directory, path, beneath, flags))                                                                            \
    CALL(MEMFD, memfd_create, memfd_create, int, -1, (const char *name, unsigned flags), (name, flags))                \
    CALL(FSTAT, fstat, fstat, int, -1, (int fd, struct stat *status), (fd, status))                                    \
    CALL(FSTATAT, fstatat, fstatat, int, -1, (int directory, const char *path, struct stat *status, int flags),        \
         (directory, path, status, flags))                                                                             \
    CALL(STATX, statx, real_statx, int, -1, (int fd, const char *path, int flags, unsigned mask, struct statx *status),\
         (fd, path, flags, mask, status))                                                                              \
    CALL(FSTATFS, fstatfs, fstatfs, int, -1, (int fd, struct statfs *status), (fd, status))                            \
    CALL(FACCESSAT, faccessat, faccessat, int, -1, (int directory, const char *path, int mode, int flags),             \
         (directory, path, mode, flags))                                                                               \
    CALL(READLINKAT, readlinkat, readlinkat, ssize_t, -1, (int directory, const char *path, char *target, size_t size),\
         (directory, path, target, size))                                                                              \
    CALL(RENAME, rename, rename, int, -1, (const char *from, const char *to), (from, to))                              \
    CALL(UNLINK, unlink, unlink, int, -1, (const char *path), (path))                                                  \
    CALL(LSEEK, lseek, lseek, off_t, -1, (int fd, off_t offset, int whence), (fd, offset, whence))                     \
    CALL(PREAD, pread, pread, ssize_t, -1, (int fd, void *buffer, size_t length, off_t offset),                        \
         (fd, buffer, length, offset))                                                                                 \
    CALL(PREADV2, preadv2, preadv2, ssize_t, -1,                                                                       \
         (int fd, const struct iovec *vectors, int count, off_t offset, int flags), (fd, vectors, count, offset, flags))\
    CALL(PWRITE, pwrite, pwrite, ssize_t, -1, (int fd, const void *buffer, size_t length, off_t offset),               \
         (fd, buffer, length, offset))                                                                                 \
    CALL(FALLOCATE, fallocate, fallocate, int, -1, (int fd, int mode, off_t offset, off_t length),                     \
         (fd, mode, offset, length))                                                                                   \
    CALL(FTRUNCATE, ftruncate, ftruncate, int, -1, (int fd, off_t size), (fd, size))                                   \
    /* Of a file its data and what is needed to find it; of a directory its entries. */                               \
    CALL(FSYNC, fsync, real_fsync, int, -1, (int fd), (fd))                                                            \
    CALL(LOCK, lock, real_lock, int, -1, (int fd, struct flock *lock), (fd, lock))                                     \
    /* Memory. */                                                                                                      \
    CALL(MMAP, mmap, mmap, void *, MAP_FAILED,                                                                         \
         (void *address, size_t length, int protection, int flags, int fd, off_t offset),                              \
         (address, length, protection, flags, fd, offset))                                                             \
    CALL(MADVISE, madvise, madvise, int, -1, (void *address, size_t length, int advice), (address, length, advice))    \
    CALL(MINCORE, mincore, mincore, int, -1, (void *address, size_t length, unsigned char *there),                     \
         (address, length, there))                                                                                     \
    CALL(SCAN_PAGEMAP, scan_pagemap, real_ioctl, int, -1, (int fd, unsigned long request, void *scan),                 \
         (fd, request, scan))                                                                                          \
    CALL(READ_MAPPED, read_mapped, real_read_mapped, ssize_t, -1, (const void *from, void *into, size_t length),       \
         (from, into, length))                                                                                         \
    CALL(GET_MEMPOLICY, get_mempolicy, real_get_mempolicy, long, -1, (int *node, const void *address, unsigned flags), \
         (node, address, flags))                                                                                       \
    CALL(MOVE_PAGES, move_pages, real_move_pages, long, -1, (void **page, int *status), (page, status))                \
    /* Descriptors. Those that are made are closed by exec. */                                                        \
    CALL(DUP, dup, real_dup, int, -1, (int fd), (fd))                                                                  \
    CALL(DUP_TO, dup_to, real_dup_to, int, -1, (int fd, int to), (fd, to))                                             \
    CALL(PIPE, pipe, real_pipe, int, -1, (int fds[2]), (fds))                                                          \
    CALL(FCNTL, fcntl, real_fcntl, int, -1, (int fd, int command, int argument), (fd, command, argument))              \
    CALL(WRITE, write, write, ssize_t, -1, (int fd, const void *buffer, size_t length), (fd, buffer, length))          \
    CALL(EVENTFD, eventfd, real_eventfd, int, -1, (void), ())                                                          \
    CALL(EPOLL_CREATE, epoll_create, real_epoll_create, int, -1, (void), ())                                           \
    CALL(EPOLL_CTL, epoll_ctl, epoll_ctl, int, -1, (int epoll, int operation, int fd, struct epoll_event *event),      \
         (epoll, operation, fd, event))                                                                                \
    CALL(EPOLL_WAIT, epoll_wait, epoll_wait, int, -1, (int epoll, struct epoll_event *events, int most, int timeout),  \
         (epoll, events, most, timeout))                                                                               \
    /* Sockets. */                                                                                                     \
    CALL(SOCKET, socket, real_socket, int, -1, (int family, int type, int protocol), (family, type, protocol))         \
    CALL(BIND, bind, bind, int, -1, (int fd, const struct sockaddr *address, socklen_t length), (fd, address, length)) \
    CALL(LISTEN, listen, listen, int, -1, (int fd, int backlog), (fd, backlog))                                        \
    CALL(CONNECT, connect, connect, int, -1, (int fd, const struct sockaddr *address, socklen_t length),               \
         (fd, address, length))                                                                                        \
    CALL(ACCEPT, accept, real_accept, int, -1, (int fd, struct sockaddr *address, socklen_t *length, int flags),       \
         (fd, address, length, flags))                                                                                 \
    CALL(GETSOCKNAME, getsockname, getsockname, int, -1, (int fd, struct sockaddr *address, socklen_t *length),        \
         (fd, address, length))                                                                                        \
    CALL(GETPEERNAME, getpeername, getpeername, int, -1, (int fd, struct sockaddr *address, socklen_t *length),        \
         (fd, address, length))                                                                                        \
    CALL(GETSOCKOPT, getsockopt, getsockopt, int, -1, (int fd, int level, int name, void *value, socklen_t *length),   \
         (fd, level, name, value, length))                                                                             \
    CALL(SETSOCKOPT, setsockopt, setsockopt, int, -1,                                                                  \
         (int fd, int level, int name, const void *value, socklen_t length), (fd, level, name, value, length))         \
    /* Bytes that were written and are not acknowledged. */                                                           \
    CALL(QUEUED, queued, real_queued, int, -1, (int fd, int *bytes), (fd, bytes))                                      \
    CALL(SEND, send, send, ssize_t, -1, (int fd, const void *buffer, size_t length, int flags),                        \
         (fd, buffer, length, flags))                                                                                  \
    CALL(RECV, recv, recv, ssize_t, -1, (int fd, void *buffer, size_t length, int flags), (fd, buffer, length, flags)) \
    /* Throws away so much of what was received. */                                                                   \
    CALL(DISCARD, discard, real_discard, ssize_t, -1, (int fd, size_t length, int flags), (fd, length, flags))         \
    /* One message of a socket's error queue; never waits. */                                                         \
    CALL(ERRQUEUE, errqueue, real_errqueue, ssize_t, -1, (int fd, struct msghdr *message), (fd, message))              \
    CALL(SENDFILE, sendfile, sendfile, ssize_t, -1, (int out, int in, off_t *offset, size_t length),                   \
         (out, in, offset, length))                                                                                    \
    CALL(VMSPLICE, vmsplice, vmsplice, ssize_t, -1,                                                                    \
         (int fd, const struct iovec *vectors, size_t count, unsigned flags), (fd, vectors, count, flags))             \
    CALL(SPLICE, splice, splice, ssize_t, -1,                                                                          \
         (int in, off_t *in_offset, int out, off_t *out_offset, size_t length, unsigned flags),                        \
         (in, in_offset, out, out_offset, length, flags))                                                              \
    /* Netlink: a question, and its answer. */                                                                        \
    CALL(DIAG, diag, real_diag, ssize_t, -1, (int fd, const void *request, size_t length), (fd, request, length))      \
    CALL(DIAG_ANSWER, diag_answer, real_diag_answer, ssize_t, -1, (int fd, void *answer, size_t size),                 \
         (fd, answer, size))
/* clang-format on */

#define PR_NUMBER(number, name, real, type, failure, parameters, arguments) PR_CALL_##number,
enum pr_call { PR_CALLS(PR_NUMBER) PR_CALL_COUNT };
#undef PR_NUMBER

/* All follow the kernel's own convention: -1 and errno. */
#define PR_MEMBER(number, name, real, type, failure, parameters, arguments) type(*name) parameters;
struct pr_sys {
    PR_CALLS(PR_MEMBER)
};
#undef PR_MEMBER

extern struct pr_sys pr_sys;
extern const struct pr_sys pr_sys_real;

/* Bytes that the shim has allocated and not freed, over all relays of this process. */
size_t pr_allocated_bytes(void);
void *pr_allocate(size_t count, size_t size);
void pr_free(void *memory);

#endif

#include "wire/engine.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sock_diag.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/sys.h"
#include "pages/generation.h"
#include "pages/mapping.h"

/* Pipes. */

enum { IDLE_PIPES = 64 };

/* What goes through at once: of 1 MiB it saves a fifth of the CPU that the kernel's 64 KiB takes (docs/performance.md).
 */
enum { PIPE_BYTES = 256 << 10 };

void pr_pipes_init(struct pr_pipes *pipes) {
    pthread_mutex_init(&pipes->lock, NULL);
    pr_list_init(&pipes->idle);
}

static struct pr_pipe *take_idle(struct pr_pipes *pipes) {
    struct pr_pipe *pipe = NULL;
    pthread_mutex_lock(&pipes->lock);
    if (!pr_list_empty(&pipes->idle)) {
        pipe = pr_container(pipes->idle.next, struct pr_pipe, pooled);
        pr_list_remove(&pipe->pooled);
        pipes->idle_count--;
    }
    pthread_mutex_unlock(&pipes->lock);
    return pipe;
}

int pr_pipe_take(struct pr_pipes *pipes, struct pr_pipe **pipe) {
    *pipe = take_idle(pipes);
    if (*pipe) return 0;
    struct pr_pipe *fresh = pr_allocate(1, sizeof *fresh);
    if (!fresh) return -ENOMEM;
    int ends[2];
    if (pr_sys.pipe(ends) < 0) {
        int error = errno;
        pr_free(fresh);
        return -error;
    }
    /* Beyond what a user may have (pipe(7): pipe-user-pages-soft) it stays as small as it is. */
    pr_sys.fcntl(ends[1], F_SETPIPE_SZ, PIPE_BYTES);
    fresh->read_end = ends[0];
    fresh->write_end = ends[1];
    fresh->home = pipes;
    pr_list_init(&fresh->pooled);
    *pipe = fresh;
    return 0;
}

static void close_pipe(struct pr_pipe *pipe) {
    close(pipe->read_end);
    close(pipe->write_end);
    pr_free(pipe);
}

void pr_pipe_give(struct pr_pipe *pipe) {
    struct pr_pipes *pipes = pipe->home;
    pthread_mutex_lock(&pipes->lock);
    bool kept = pipe->filled == 0 && pipes->idle_count < IDLE_PIPES;
    if (kept) pr_list_append(&pipes->idle, &pipe->pooled);
    if (kept) pipes->idle_count++;
    pthread_mutex_unlock(&pipes->lock);
    if (!kept) close_pipe(pipe);
}

void pr_pipes_free(struct pr_pipes *pipes) {
    pr_list_each(node, &pipes->idle) close_pipe(pr_container(node, struct pr_pipe, pooled));
    pthread_mutex_destroy(&pipes->lock);
}

/* Ends of files. */

/*
 * How much of the chunk the file still has. send() and vmsplice() take from the mapping, which goes on to the end of
 * the last page with zeros: without this check a file cut inside a page would go out padded.
 */
ssize_t pr_engine_present(const struct pr_chunk *chunk) {
    if (chunk->generation->info.backing.backing == PR_BACKING_DEVDAX) return (ssize_t)chunk->length;
    struct stat status;
    if (pr_sys.fstat(chunk->generation->fd, &status) < 0) return -errno;
    uint64_t size = (uint64_t)status.st_size;
    if (size <= chunk->offset) return 0;
    return (ssize_t)(size - chunk->offset < chunk->length ? size - chunk->offset : chunk->length);
}

/* After the fact: a file that was cut while the bytes were taken may have given zeros for some of them. */
ssize_t pr_engine_still_present(const struct pr_chunk *chunk, ssize_t taken) {
    struct pr_chunk part = *chunk;
    part.length = (size_t)taken;
    ssize_t left = pr_engine_present(&part);
    return left < 0 ? left : left < taken ? 0 : taken;
}

/* Copies. */

/* A turn of a lane. */
enum { READ_BYTES = 256 << 10, LEAST_ROOM = 16 << 10 };

/* What the socket has room for, more or less: what is read in vain has to be read again. */
static size_t room_in(int socket) {
    uint32_t memory[SK_MEMINFO_VARS];
    socklen_t length = sizeof memory;
    if (pr_sys.getsockopt(socket, SOL_SOCKET, SO_MEMINFO, memory, &length) < 0) return READ_BYTES;
    uint32_t limit = memory[SK_MEMINFO_SNDBUF], queued = memory[SK_MEMINFO_WMEM_QUEUED];
    return limit > queued + LEAST_ROOM ? limit - queued : LEAST_ROOM;
}

static ssize_t send_read(int socket, const struct pr_chunk *chunk) {
    static _Thread_local char bytes[READ_BYTES];
    size_t room = room_in(socket), length = chunk->length < sizeof bytes ? chunk->length : sizeof bytes;
    if (room < length) length = room;
    ssize_t got = pr_sys.pread(chunk->generation->fd, bytes, length, (off_t)chunk->offset);
    if (got <= 0) return got < 0 ? -errno : 0;
    bool more = (size_t)got < chunk->length || chunk->more;
    ssize_t sent = pr_sys.send(socket, bytes, (size_t)got, MSG_DONTWAIT | MSG_NOSIGNAL | (more ? MSG_MORE : 0));
    return sent < 0 ? -errno : sent;
}

/* One copy instead of the two of reading and sending, where there is a mapping. */
static ssize_t send_from_mapping(int socket, const struct pr_chunk *chunk) {
    ssize_t length = pr_engine_present(chunk);
    if (length <= 0) return length;
    int flags = MSG_DONTWAIT | MSG_NOSIGNAL | (chunk->more ? MSG_MORE : 0);
    ssize_t sent = pr_sys.send(socket, chunk->generation->address + chunk->offset, (size_t)length, flags);
    if (sent < 0) return errno == EFAULT ? 0 : -errno; /* EFAULT: past the end, where a load would be SIGBUS */
    return pr_engine_still_present(chunk, sent);
}

ssize_t pr_engine_send_copied(int socket, const struct pr_chunk *chunk) {
    int hole = chunk->generation->address ? pr_has_fillable_hole(chunk->generation) : 1;
    if (hole < 0) return hole;
    return hole ? send_read(socket, chunk) : send_from_mapping(socket, chunk);
}

static ssize_t step_copy(int socket, struct pr_chunk *chunk) {
    chunk->copied = true;
    return pr_engine_send_copied(socket, chunk);
}

/* The engines. */

static ssize_t step_sendfile(int socket, const struct pr_chunk *chunk) {
    off_t offset = (off_t)chunk->offset;
    ssize_t sent = pr_sys.sendfile(socket, chunk->generation->fd, &offset, chunk->length);
    return sent < 0 ? -errno : sent;
}

static int fill_pipe(struct pr_pipe *pipe, const struct pr_chunk *chunk) {
    const struct pr_generation *generation = chunk->generation;
    off_t offset = (off_t)chunk->offset;
    ssize_t filled;
    if (generation->address) {
        struct iovec vector = {.iov_base = (void *)(uintptr_t)(generation->address + offset), .iov_len = chunk->length};
        filled = pr_sys.vmsplice(pipe->write_end, &vector, 1, SPLICE_F_NONBLOCK);
    } else {
        filled = pr_sys.splice(generation->fd, &offset, pipe->write_end, NULL, chunk->length,
                               SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
    }
    if (filled < 0) return -errno;
    pipe->filled = (size_t)filled;
    return 0;
}

/*
 * How much of the pipe may go out. The one look is between pipe and socket: what the file has lost by then stays in the
 * pipe, be it that it was cut before its pages were taken, or while they waited for a slow reader. What the socket has
 * taken are the pages themselves, as by sendfile: who cuts the file then changes them there.
 */
static ssize_t sendable(struct pr_pipe *pipe, const struct pr_chunk *chunk) {
    int result = pipe->filled > 0 ? 0 : fill_pipe(pipe, chunk);
    if (result < 0) return result == -EFAULT ? 0 : result;
    struct pr_chunk part = *chunk;
    part.length = pipe->filled;
    return pr_engine_present(&part);
}

/* What would be filled, or copied by the kernel unseen, is read. */
static int must_be_read(const struct pr_pipe *pipe, const struct pr_chunk *chunk) {
    if (!pipe || pr_is_out_of_reach(chunk->generation)) return 1;
    return pipe->filled > 0 ? 0 : pr_has_fillable_hole(chunk->generation);
}

static ssize_t step_splice(int socket, struct pr_pipe *pipe, struct pr_chunk *chunk) {
    int read = must_be_read(pipe, chunk);
    if (read != 0) return read < 0 ? read : step_copy(socket, chunk);
    ssize_t ready = sendable(pipe, chunk);
    if (ready <= 0) return ready;
    bool more = chunk->length > (size_t)ready || chunk->more;
    unsigned flags = SPLICE_F_MOVE | SPLICE_F_NONBLOCK | (more ? SPLICE_F_MORE : 0);
    ssize_t sent = pr_sys.splice(pipe->read_end, NULL, socket, NULL, (size_t)ready, flags);
    if (sent < 0) return -errno;
    pipe->filled -= (size_t)sent;
    return sent;
}

static ssize_t step_literal(int socket, const struct pr_chunk *chunk) {
    int flags = MSG_DONTWAIT | MSG_NOSIGNAL | (chunk->more ? MSG_MORE : 0);
    ssize_t sent = pr_sys.send(socket, chunk->literal, chunk->length, flags);
    return sent < 0 ? -errno : sent;
}

static ssize_t step_extent(enum pr_engine engine, int socket, struct pr_pipe *pipe, struct pr_chunk *chunk) {
    switch (engine) {
    case PR_ENGINE_SENDFILE: return step_sendfile(socket, chunk);
    case PR_ENGINE_SPLICE: return step_splice(socket, pipe, chunk);
    case PR_ENGINE_COPY: return step_copy(socket, chunk);
    default: return -EINVAL;
    }
}

ssize_t pr_engine_step(enum pr_engine engine, int socket, struct pr_pipe *pipe, struct pr_chunk *chunk) {
    ssize_t result;
    do {
        result = chunk->literal ? step_literal(socket, chunk) : step_extent(engine, socket, pipe, chunk);
    } while (result == -EINTR);
    return result;
}

bool pr_engine_copies(enum pr_engine engine, const struct pr_generation *generation) {
    if (engine == PR_ENGINE_COPY || engine == PR_ENGINE_STREAM) return true;
    if (engine == PR_ENGINE_SPLICE && pr_is_out_of_reach(generation)) return true;
    return (generation->copying >> engine & 1) != 0;
}

#include "file.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <string.h>

#include "relay.h"
#include "sys.h"

/* What is copied at a time; while fresh pages are made, also what is zeros for a moment. */
enum { CHUNK = 256 << 10 };

int pr_file_write(int fd, const void *bytes, size_t length, uint64_t offset) {
    const char *at = bytes;
    while (length > 0) {
        ssize_t written = pr_sys.pwrite(fd, at, length, (off_t)offset);
        if (written < 0 && errno == EINTR) continue;
        if (written < 0) return -errno;
        if (written == 0) return -ENOSPC;
        at += written;
        offset += (uint64_t)written;
        length -= (size_t)written;
    }
    return 0;
}

static int read_all(int fd, void *bytes, size_t length, uint64_t offset) {
    char *at = bytes;
    while (length > 0) {
        ssize_t got = pr_sys.pread(fd, at, length, (off_t)offset);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return -errno;
        if (got == 0) return -ENODATA;
        at += got;
        offset += (uint64_t)got;
        length -= (size_t)got;
    }
    return 0;
}

int pr_file_sync(int fd) {
    int result;
    do result = pr_sys.fsync(fd);
    while (result < 0 && errno == EINTR);
    return result < 0 ? -errno : 0;
}

int pr_file_copy(int from, uint64_t from_offset, int to, uint64_t to_offset, uint64_t length) {
    char *buffer = pr_allocate(1, CHUNK);
    int result = buffer ? 0 : -ENOMEM;
    for (uint64_t done = 0; result == 0 && done < length;) {
        size_t bytes = length - done < CHUNK ? (size_t)(length - done) : CHUNK;
        result = read_all(from, buffer, bytes, from_offset + done);
        if (result == 0) result = pr_file_write(to, buffer, bytes, to_offset + done);
        done += bytes;
    }
    pr_free(buffer);
    return result;
}

/* Overwriting. */

void pr_overwrite_span(const struct pr_overwrite *overwrite, uint64_t *first, uint64_t *end) {
    uint64_t page = overwrite->page_size, last = overwrite->offset + overwrite->length;
    *first = overwrite->offset;
    *end = last;
    if (!overwrite->fresh) return;
    *first -= *first % page;
    *end = (last + page - 1) / page * page;
    if (*end > overwrite->file_size) *end = overwrite->file_size;
}

/* The new content of [first, end): the new bytes, and around them those that are there. */
static int prepare(const struct pr_overwrite *overwrite, uint64_t first, uint64_t end, char *into) {
    uint64_t from = overwrite->offset > first ? overwrite->offset : first;
    uint64_t last = overwrite->offset + overwrite->length, to = last < end ? last : end;
    int result = 0;
    if (first < from) result = read_all(overwrite->to, into, (size_t)(from - first), first);
    if (result == 0)
        result = read_all(overwrite->from, into + (from - first), (size_t)(to - from), from - overwrite->offset);
    if (result == 0 && to < end) result = read_all(overwrite->to, into + (to - first), (size_t)(end - to), to);
    return result;
}

/* To the end of the last page, also behind the end of the file: only whole pages are let go, others are zeroed. */
static int punch(const struct pr_overwrite *overwrite, uint64_t first, uint64_t end) {
    uint64_t page = overwrite->page_size, whole = (end + page - 1) / page * page - first;
    int result;
    do result = pr_sys.fallocate(overwrite->to, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)first, (off_t)whole);
    while (result < 0 && errno == EINTR);
    return result < 0 ? -errno : 0;
}

int pr_file_overwrite(const struct pr_overwrite *overwrite) {
    uint64_t at, end;
    pr_overwrite_span(overwrite, &at, &end);
    char *buffer = pr_allocate(1, CHUNK);
    int result = buffer ? 0 : -ENOMEM;
    while (result == 0 && at < end) {
        uint64_t next = (at / CHUNK + 1) * CHUNK < end ? (at / CHUNK + 1) * CHUNK : end;
        result = prepare(overwrite, at, next, buffer);
        if (result == 0 && overwrite->fresh) result = punch(overwrite, at, next);
        if (result == 0) result = pr_file_write(overwrite->to, buffer, (size_t)(next - at), at);
        at = next;
    }
    pr_free(buffer);
    return result;
}

/* Sizes. */

int pr_file_cut(int fd, uint64_t size) {
    int result;
    pr_nudge();
    do result = pr_sys.ftruncate(fd, (off_t)size);
    while (result < 0 && errno == EINTR);
    return result < 0 ? -errno : 0;
}

int pr_file_extend(int fd, uint64_t size) {
    struct stat status;
    if (pr_sys.fstat(fd, &status) < 0) return -errno;
    return (uint64_t)status.st_size < size ? pr_file_write(fd, "", 1, size - 1) : 0;
}

#include "pages/file.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/nudge.h"
#include "base/sys.h"

/* What is copied at a time. */
enum { CHUNK = 256 << 10 };

enum { MOST_TRIES = 16 };

int pr_file_open(int folder, const char *path, bool beneath, int flags) {
    int fd = -1, tries = 0;
    do fd = pr_sys.open(folder, path, beneath, flags | O_CLOEXEC);
    while (fd < 0 && (errno == EINTR || (errno == EAGAIN && ++tries < MOST_TRIES)));
    return fd < 0 ? -errno : fd;
}

int pr_file_write_on(int fd, const void *bytes, size_t length, uint64_t *offset) {
    const char *at = bytes;
    while (length > 0) {
        ssize_t written = pr_sys.pwrite(fd, at, length, (off_t)*offset);
        if (written < 0 && errno == EINTR) continue;
        if (written < 0) return -errno;
        if (written == 0) return -ENOSPC;
        at += written;
        *offset += (uint64_t)written;
        length -= (size_t)written;
    }
    return 0;
}

int pr_file_write(int fd, const void *bytes, size_t length, uint64_t offset) {
    return pr_file_write_on(fd, bytes, length, &offset);
}

int pr_file_read(int fd, void *bytes, size_t length, uint64_t offset) {
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
        result = pr_file_read(from, buffer, bytes, from_offset + done);
        if (result == 0) result = pr_file_write(to, buffer, bytes, to_offset + done);
        done += bytes;
    }
    pr_free(buffer);
    return result;
}

/* Holes. */

/* Passing over a page by SEEK_HOLE takes 50 ns, asking for one by SEEK_DATA 0.5 µs. */
enum { PASSED_FOR_ONE_ASKED = 8 };

/* The end of the data that begins at `offset`, or `end` where that comes first. */
static int64_t end_of_data(int fd, uint64_t offset, uint64_t end) {
    uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE), at = (offset / page + 1) * page;
    struct stat status;
    if (pr_sys.fstat(fd, &status) < 0) return -errno;
    uint64_t size = (uint64_t)status.st_size;
    if (size <= end || (size - end) / PASSED_FOR_ONE_ASKED <= end - offset) {
        off_t hole = pr_sys.lseek(fd, (off_t)offset, SEEK_HOLE);
        if (hole < 0) return errno == ENXIO ? (int64_t)end : -errno; /* it was cut since: its end will be noticed */
        at = (uint64_t)hole > offset ? (uint64_t)hole : at;          /* or a hole was made since */
    } else {
        while (at < end && pr_sys.lseek(fd, (off_t)at, SEEK_DATA) == (off_t)at) at += page;
    }
    return (int64_t)(at < end ? at : end);
}

int64_t pr_file_alike(int fd, uint64_t offset, uint64_t length, bool *hole) {
    uint64_t end = offset + length;
    off_t data = pr_sys.lseek(fd, (off_t)offset, SEEK_DATA);
    if (data < 0 && errno != ENXIO) return -errno;
    *hole = data != (off_t)offset;
    if (data < 0) return (int64_t)length; /* a hole up to the end of the file */
    int64_t reached = *hole ? (int64_t)((uint64_t)data < end ? (uint64_t)data : end) : end_of_data(fd, offset, end);
    return reached < 0 ? reached : reached - (int64_t)offset;
}

/* Sizes. */

int pr_file_cut(int fd, uint64_t size) {
    struct pr_nudging nudging;
    int result;
    pr_nudging_begin(&nudging);
    do result = pr_sys.ftruncate(fd, (off_t)size);
    while (result < 0 && errno == EINTR);
    int error = errno;
    pr_nudging_end(&nudging);
    return result < 0 ? -error : 0;
}

int pr_file_extend(int fd, uint64_t size) {
    struct stat status;
    if (pr_sys.fstat(fd, &status) < 0) return -errno;
    return (uint64_t)status.st_size < size ? pr_file_write(fd, "", 1, size - 1) : 0;
}

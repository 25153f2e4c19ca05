/*
 * What is done to files off the event loop: writing, making durable, cutting. Each call may take long, needs no relay
 * and touches none; descriptors belong to the caller. 0 or -errno.
 */
#ifndef PR_FILE_H
#define PR_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Opens as pr_sys.open does, with O_CLOEXEC, and again where a signal came between or, beneath a folder, a rename
 * elsewhere in it (EAGAIN; with no end where somebody has a lease on the file). A descriptor, or -errno.
 */
int pr_file_open(int folder, const char *path, bool beneath, int flags);

/* All of the bytes, or an error: a write that ends short is one of a full disk. */
int pr_file_write(int fd, const void *bytes, size_t length, uint64_t offset);
/* The same from `*offset` on, which becomes the end of what was written, also after an error. */
int pr_file_write_on(int fd, const void *bytes, size_t length, uint64_t *offset);

/* All of the bytes, or -ENODATA where the file ends before. */
int pr_file_read(int fd, void *bytes, size_t length, uint64_t offset);

/* What was written is on the medium (on DAX: flushed from the processor's caches); for a folder, its entries are. */
int pr_file_sync(int fd);

/* So many bytes of one file to another. -ENODATA when the source ends before. */
int pr_file_copy(int from, uint64_t from_offset, int to, uint64_t to_offset, uint64_t length);

/*
 * How many bytes from `offset` on, at most `length` (1 or more), are all data, or all hole (`*hole`). -errno. What it
 * costs grows with those, not with the file: lseek(2) for SEEK_HOLE alone passes over all data up to the next hole, and
 * takes 13 ms for each GiB of tmpfs that has none.
 */
int64_t pr_file_alike(int fd, uint64_t offset, uint64_t length, bool *hole);

/*
 * Makes a file shorter. On fsdax the kernel waits for every buffer that refers to any page of it: call it when all are
 * done. Runs network work on every CPU first, for buffers that were read and are parked there.
 */
int pr_file_cut(int fd, uint64_t size);

/* Makes a file longer, by zeros. By a write, for on xfs with DAX ftruncate and fallocate wait as a cut does. */
int pr_file_extend(int fd, uint64_t size);

#endif

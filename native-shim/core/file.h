/*
 * What is done to files off the event loop: writing, making durable, cutting. Each call may take long, needs no relay
 * and touches none; descriptors belong to the caller. 0 or -errno.
 */
#ifndef PR_FILE_H
#define PR_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* All of the bytes, or an error: a write that ends short is one of a full disk. */
int pr_file_write(int fd, const void *bytes, size_t length, uint64_t offset);

/* What was written is on the medium (on DAX: flushed from the processor's caches); for a folder, its entries are. */
int pr_file_sync(int fd);

/* So many bytes of one file to another. -ENODATA when the source ends before. */
int pr_file_copy(int from, uint64_t from_offset, int to, uint64_t to_offset, uint64_t length);

/* Overwrites whole pages of a file in place, under a lease. */
struct pr_overwrite {
    int to;
    int from;                /* its first byte is the one for `offset` */
    uint64_t offset, length; /* what changes */
    uint64_t page_size, file_size;
    /*
     * Punch the pages out of the file and write them anew: whoever still sends the old ones keeps them. The rest of a
     * partly written page is carried over. Only where a witness has seen that the kernel does so.
     */
    bool fresh;
};

/* The bytes of the file that an overwrite touches: its own, or with fresh pages all of theirs. */
void pr_overwrite_span(const struct pr_overwrite *overwrite, uint64_t *first, uint64_t *end);
/* After an error the span holds old bytes, new ones, or with fresh pages zeros: keep a copy of it before. */
int pr_file_overwrite(const struct pr_overwrite *overwrite);

/*
 * Makes a file shorter. On fsdax the kernel waits for every buffer that refers to any page of it: call it when all are
 * done. Runs network work on every CPU first, for buffers that were read and are parked there.
 */
int pr_file_cut(int fd, uint64_t size);

/* Makes a file longer, by zeros. By a write, for on xfs with DAX ftruncate and fallocate wait as a cut does. */
int pr_file_extend(int fd, uint64_t size);

#endif

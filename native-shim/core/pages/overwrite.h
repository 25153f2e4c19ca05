/*
 * Overwriting a part of a file in place, in one go: what it does can fail at every step, and the process can die
 * between any two of them, and the old bytes are not lost. Needs no relay and touches none; descriptors belong to the
 * caller.
 */
#ifndef PR_OVERWRITE_H
#define PR_OVERWRITE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct pr_overwrite {
    int to;
    int from;                /* where there are no `bytes`: its first byte is the one for `offset` */
    const void *bytes;       /* the new ones, or NULL */
    uint64_t offset, length; /* what changes */
    uint64_t page_size, file_size;
    /*
     * Punch the pages out of the file and write them anew: whoever still sends the old ones keeps them. The rest of a
     * partly written page is carried over. Only where a witness has seen that the kernel does so.
     */
    bool fresh;
    /*
     * A file that holds `heading` and then the old bytes of the span, from when it is there at all: while fresh pages
     * are made, and for good where the old bytes could not be put back. Not synced: it is for this process's death.
     */
    const char *note;
    const char *heading;
};

/* The bytes of the file that an overwrite touches: its own, or with fresh pages all of theirs. */
void pr_overwrite_span(const struct pr_overwrite *overwrite, uint64_t *first, uint64_t *end);

/*
 * 0: the new bytes are there, and durable. -errno: `*undone` says whether the old ones are; else the span holds old and
 * new bytes and zeros, and the note is to be written back, unless there was no way to write one. Holds the whole span
 * in memory. Only under a lease.
 */
int pr_overwrite(const struct pr_overwrite *overwrite, bool *undone);

#endif

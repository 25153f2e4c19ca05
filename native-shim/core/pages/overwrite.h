/*
 * Overwriting parts of a file in place, in one go: what it does can fail at every step, and the process can die
 * between any two of them, and the old bytes are not lost. Needs no relay and touches none; descriptors belong to the
 * caller.
 */
#ifndef PR_OVERWRITE_H
#define PR_OVERWRITE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What an overwrite does about pages that are in flight. The two others are for where a witness has seen that they
 * work. */
enum pr_means {
    PR_MEANS_WAIT,   /* there are none: it writes to the pages themselves */
    PR_MEANS_PUNCH,  /* it punches them out of the file, and writes new ones */
    PR_MEANS_DIRECT, /* it writes past the page cache, which drops them (pages/direct.h): the range must fit */
    PR_MEANS_COUNT,
};

struct pr_overwrite {
    int to;
    int from;                /* where there are no `bytes`: its first byte is the one for `offset` */
    const void *bytes;       /* the new ones, or NULL */
    uint64_t offset, length; /* what changes */
    uint64_t page_size, file_size;
    /* By punching and direct writes whole pages are written: the rest of a partly written one is carried over. */
    enum pr_means means;
    bool unsynced; /* it is left to the kernel when the bytes reach the medium; alike in all that go together */
    /*
     * A file that holds `heading` and then the old bytes of the span while they are overwritten, from when it is there
     * at all, and for good where they could not be put back. It is not synced: it is for the death of this process, and
     * one that the machine's death has brought back must not undo what is durable.
     */
    const char *note;
    const char *heading;
};

/* The bytes of the file that an overwrite touches: its own, or those of whole pages up to the file's end. */
void pr_overwrite_span(const struct pr_overwrite *overwrite, uint64_t *first, uint64_t *end);

/*
 * 0: the new bytes are there, and durable unless `unsynced`. -errno: `undone` says whether the old ones are; else the
 * span holds old and new bytes and zeros, and the note is to be written back.
 */
struct pr_overwritten {
    int result;
    bool undone;
};

/*
 * Overwrites of one file, of which no two touch the same page: each is written, one flush makes all of them durable,
 * and each ends by itself. Holds all their spans in memory. Only under leases.
 */
void pr_overwrite_all(const struct pr_overwrite *overwrites, struct pr_overwritten *ended, size_t count);

#endif

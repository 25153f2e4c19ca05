/* Generations: each is one opening of a file that holds a region's bytes. */
#ifndef PR_GENERATION_H
#define PR_GENERATION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/shared.h"
#include "pages/backing.h"
#include "pages/inode.h"
#include "pages/nodes.h"

struct pr_generation_info {
    struct pr_backing_info backing;
    uint64_t device, inode, size, links;
    int64_t modified_seconds, modified_nanoseconds; /* mtime: of the bytes; anybody can set it */
    int64_t changed_seconds, changed_nanoseconds;   /* ctime: of anything about the inode; nobody can set it */
    struct pr_nodes nodes; /* where its pages are, as far as they are there; `backing.node` is where most are */
};

/* A file as it was when it was looked at: one that is alike in all of this was not changed since. */
struct pr_seen_file {
    uint64_t device, inode, size;
    int64_t modified_seconds, modified_nanoseconds, changed_seconds, changed_nanoseconds;
    enum pr_backing backing;
    unsigned copying; /* engines that a witness has seen copy from there, by bit */
};

/* What one part of a relay holds of a generation. */
struct pr_held {
    struct pr_list references;
    char apart[2 * PR_CACHE_LINE - sizeof(struct pr_list)]; /* it can begin anywhere in a line */
};

/*
 * A descriptor and, of huge pages and DAX, a mapping of so many bytes. What every answer, and every look at its path,
 * reads comes first and is together.
 */
struct pr_generation {
    uint64_t id;
    struct pr_inode *inode;
    int fd;
    unsigned copying; /* engines that a witness has seen copy from here, by bit */
    bool closed;
    bool cut;                /* others cut the file while it was sent: its size is not `info.size` any more */
    bool followed;           /* somebody answers from it, by the validator that it has at */
    bool mincore_tells;      /* of this file, to this process */
    uint64_t epoch, version; /* this version: its inode's, unless that was changed by another name of the file */
    uint64_t file_size;      /* may be more than is served: a shrunk region's file is cut later */
    struct pr_generation_info info;
    struct pr_relay *relay;
    const char *address; /* NULL: it is not mapped (pages/mapping.h) */
    unsigned claims;
    struct pr_list of_inode; /* all generations of that */
    struct pr_list closing;  /* of the relay, once it is closed */
    struct pr_garbage garbage;
    uint64_t tree;         /* in which it was opened, or 0 */
    const char *path;      /* by which */
    struct pr_held held[]; /* by each part of the relay */
};

/*
 * Opens the file, of which at most `limit` bytes are served; inside a tree no link may lead out of it. -EINVAL when it
 * is nothing that has pages, -ENOMEM where it has to be mapped and the address space has no room.
 */
int pr_generation_open(struct pr_relay *relay, uint64_t tree, const char *path, uint64_t limit, uint64_t *generation,
                       struct pr_generation_info *info);

/*
 * The same for all of a file that is still as it was seen, by fewer system calls; one that is not is -ESTALE, or is
 * opened where it is exchanged meanwhile.
 */
int pr_generation_open_seen(struct pr_relay *relay, uint64_t tree, const char *path, const struct pr_seen_file *seen,
                            uint64_t *generation, struct pr_generation_info *info);

/*
 * How far the file was changed in place before it was opened. Where the relay knows that already, from another opening
 * or a change of its own, it stays, and is filled in.
 */
int pr_generation_set_version(struct pr_relay *relay, uint64_t generation, uint64_t *epoch, uint64_t *version);

/* Whether its content is still at this epoch and version, and nobody may be changing bytes of it: 1, 0. */
int pr_generation_is_settled(struct pr_relay *relay, uint64_t generation, uint64_t epoch, uint64_t version);

/* No new references; its descriptor, and its mapping, go when the last reference does. */
int pr_generation_close(struct pr_relay *relay, uint64_t generation);

/*
 * The same, for a file that has lost its name: an event tells when no reference to any page of it is left, and its
 * descriptors are closed.
 */
int pr_generation_retire(struct pr_relay *relay, uint64_t generation);

/*
 * What a witness has seen: these engines (by bit) copy from this generation, so that its pages are free when the socket
 * has taken the bytes. All others are held as if they did not, but for copy and stream.
 */
int pr_generation_set_copying(struct pr_relay *relay, uint64_t generation, unsigned engines);

/* For the portable engine, which reads through it: valid while the caller has a reference. */
int pr_generation_descriptor(struct pr_relay *relay, uint64_t generation);

/*
 * For the portable engine, of what can only be mapped (devdax): where bytes of the mapping are, at most `*length`,
 * which becomes 0 at its end; valid while the caller has a reference. They are read by pr_copy_mapped, which answers
 * -EFAULT where a load would be SIGBUS. Any thread.
 */
const char *pr_generation_at(struct pr_relay *relay, uint64_t generation, uint64_t offset, size_t *length);
int pr_copy_mapped(const char *from, void *into, size_t length);

/* For the other parts of the core. */

/*
 * Under any lock: whether the version of its file is the one that it has. It is not where the file was changed by
 * another name, which has a validator of its own.
 */
static inline bool pr_generation_is_in_step(const struct pr_generation *generation) {
    return generation->epoch == generation->inode->epoch && generation->version == generation->inode->version;
}
/* Under all locks: it has the version of its file. */
static inline void pr_generation_keep_step(struct pr_generation *generation) {
    generation->epoch = generation->inode->epoch;
    generation->version = generation->inode->version;
}
/*
 * Under all locks: somebody answers from it from now on, at the version of its file. False where others do so already
 * and have fallen behind: it is to be opened anew.
 */
static inline bool pr_generation_follow(struct pr_generation *generation) {
    if (generation->followed && !pr_generation_is_in_step(generation)) return false;
    generation->followed = true;
    pr_generation_keep_step(generation);
    return true;
}
/* Under all locks: it is closed. */
void pr_generation_shut(struct pr_generation *generation);
/* Under all locks, after every change: one that nobody needs any more is closed. */
void pr_generation_settle(struct pr_generation *generation);
/* Without a lock: waits for the threads that close generations. */
void pr_generations_closed(struct pr_relay *relay);

#endif

/*
 * Which generations are mapped, and windows for those that are not.
 *
 * Files of tmpfs, memfds and the page cache are not mapped: splice(2) takes the same pages from the file, without a
 * copy, without filling holes and without address space (docs/decisions/0011-files-are-not-mapped.md). Huge pages and
 * DAX are mapped, for there splice(2) from the file copies, or is refused.
 */
#ifndef PR_MAPPING_H
#define PR_MAPPING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pages/backing.h"

struct pr_generation;

/* Whether regions on this backing are mapped as a whole. */
bool pr_is_mapped_backing(enum pr_backing backing);

/* Maps a generation where its backing is. 0, or -errno: -ENOMEM when there is no room in the address space. */
int pr_generation_map(struct pr_generation *generation);
void pr_generation_unmap(struct pr_generation *generation);

/* Whether its pages can be reached only by a copy: its backing is mapped, and it is too large for that. */
bool pr_is_out_of_reach(const struct pr_generation *generation);

/* Whether a hole can be anywhere in it that a look through its mapping would fill for good. 1, 0 or -errno. */
int pr_has_fillable_hole(const struct pr_generation *generation);

/* Part of a file that is mapped for a while. */
struct pr_file_window {
    char *address; /* NULL: nothing is mapped */
    uint64_t offset;
    size_t length;
};

/*
 * Has the window cover `offset`, and as much of what follows as it can; returns how many bytes from there on, or
 * -errno, and nothing is mapped.
 */
int64_t pr_file_window_move(struct pr_file_window *window, const struct pr_generation *generation, uint64_t offset);
void pr_file_window_close(struct pr_file_window *window);

/*
 * How many bytes from `offset` on, at most `length`, are all data of the file, or all hole (`*hole`). On the page cache
 * of a disk a hole is not told apart, for filling it takes memory that the kernel can have back. -errno.
 */
int64_t pr_data_or_hole(const struct pr_generation *generation, uint64_t offset, uint64_t length, bool *hole);

/* Whether these bytes are there, so that sending them does not wait for a disk. Only the page cache can. */
bool pr_resident(const struct pr_generation *generation, uint64_t offset, uint64_t length);

#endif

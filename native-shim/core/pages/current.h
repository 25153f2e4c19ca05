/* What files are now, and whether they are still what was opened. */
#ifndef PR_CURRENT_H
#define PR_CURRENT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#include "pages/generation.h"

/* What `path` names now, without opening it; `backing.backing` is not filled in. `tree` 0: any path of the process. */
int pr_generation_stat(struct pr_relay *relay, uint64_t tree, const char *path, struct pr_generation_info *info);

/*
 * Whether `path` still names this generation: one inode on one device, unchanged in size, mtime and ctime, but for what
 * is changed under a lease right now. 1, 0, or -errno as above.
 */
int pr_generation_is_at(struct pr_relay *relay, uint64_t generation, uint64_t tree, const char *path);

/* The same, mostly by one call and without opening anything; by the thread that has this part. */
int pr_generation_is_still_at(struct pr_part *part, uint64_t generation, uint64_t tree, const char *path);

/* The same by the path that it was opened by; by Node's thread. -ESTALE when it is closed. */
int pr_generation_is_in_place(struct pr_relay *relay, uint64_t generation);

/* Whether a file is as it was seen, but for its backing. */
bool pr_is_as_seen(const struct pr_seen_file *seen, const struct pr_generation_info *now);

/* For the other parts of the core. */

/* 0, or -ESTALE when it is closed, or its file was changed by others. */
int pr_generation_check(struct pr_relay *relay, uint64_t id);
/*
 * Brings up to date, after a change of our own, what all openings of its file by its name know of its time and size.
 * It may be closed, as long as a claim keeps it. `info` (may be NULL) tells what it knows now.
 */
void pr_generation_refresh(const struct pr_generation *generation, struct pr_generation_info *info);
/* What a path leads to, without opening it: 0 or -errno. Where links lead out of the tree is not looked at. */
int pr_glance(struct pr_part *part, uint64_t tree, const char *path, struct pr_generation_info *now);
void pr_describe_status(const struct stat *status, struct pr_generation_info *info);

#endif

/* Looks at many files of one folder of a tree in one go, for lists. */
#ifndef PR_LOOKS_H
#define PR_LOOKS_H

#include <stddef.h>
#include <stdint.h>

struct pr_relay;

/* Of each file: device, inode, size, and seconds and nanoseconds of mtime and of ctime. */
enum { PR_LOOK_NUMBERS = 7 };

/*
 * Looks at `names`, which `/` separates (it is cut apart there), and writes PR_LOOK_NUMBERS numbers for each of them,
 * `most` names at most. Of what is no regular file the first number is -errno: -ELOOP for a link, for none is followed,
 * -EINVAL for what else has no pages, and for what is no name.
 *
 * Gives how many names it has looked at: it ends early, behind one at least, when the files take long, so that whoever
 * waits is not kept waiting by a slow medium. -errno where the folder can't be opened.
 */
int pr_looks(struct pr_relay *relay, uint64_t tree, const char *folder, char *names, double *numbers, size_t most);

#endif

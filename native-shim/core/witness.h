/* Experiments that show what this kernel does with pages, on scratch files: nothing is concluded from its version. */
#ifndef PR_WITNESS_H
#define PR_WITNESS_H

/*
 * May pages that are still being sent be punched out of a file and written anew? Sends pages of the file at `path`
 * (made and removed here; on the file system in question) by sendfile and by vmsplice to a peer that does not read,
 * punches and rewrites them, and lets the peer read: old bytes mean yes. 1, 0, or -errno.
 */
int pr_witness_fresh_pages(const char *path);

#endif

/* Absolute symbolic links inside a tree that lead to what is inside it as well. */
#ifndef PR_LINKS_H
#define PR_LINKS_H

/*
 * Opens `path` beneath the folder `tree` as pr_sys.open does, but follows absolute links too whose target is in that
 * folder, by the path that the kernel has for it now or by `given`, the one that it was opened by (NULL: none). A
 * descriptor, or -errno: -EXDEV for what leads out.
 *
 * Links are read here and their targets put in the place of their names, which decides nothing: what comes of it is
 * opened beneath the folder again, so whoever exchanges links meanwhile leads nobody out.
 */
int pr_links_open(int tree, const char *given, const char *path, int flags);

#endif

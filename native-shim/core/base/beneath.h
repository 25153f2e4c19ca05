/* Opening beneath a folder where openat2(2) is refused, as by filters that do not know it. */
#ifndef PR_BENEATH_H
#define PR_BENEATH_H

/*
 * As openat2 with O_CLOEXEC, RESOLVE_BENEATH and RESOLVE_NO_MAGICLINKS: -1 and errno, EXDEV for what leads out of the
 * folder.
 *
 * Each name is opened by itself and never through a link (O_NOFOLLOW); a link's target is read and gone on with from
 * here, and ".." goes back to the folder itself and down again, by names that were gone over before. So whoever renames
 * folders or exchanges links meanwhile can lead nobody out: no step ever follows a link, or goes up.
 */
int pr_open_beneath(int folder, const char *path, int flags);

#endif

/* Calls that filters refuse (seccomp: containers, systemd), and that there are other ways for. */
#ifndef PR_NEEDED_H
#define PR_NEEDED_H

enum pr_needed {
    PR_NEEDED_OPENAT2,
    PR_NEEDED_VMSPLICE,
    PR_NEEDED_STATX,
    PR_NEEDED_GET_MEMPOLICY,
    PR_NEEDED_MOVE_PAGES,
    PR_NEEDED_NETLINK,
    PR_NEEDED_COUNT,
};

extern const char *const pr_needed_names[PR_NEEDED_COUNT];

/* Makes the call, in a way that changes nothing: 0, or -errno when it is refused or unknown here. */
int pr_needed_try(enum pr_needed call);

#endif

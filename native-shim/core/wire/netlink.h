/* Questions to the kernel, by netlink(7). */
#ifndef PR_NETLINK_H
#define PR_NETLINK_H

#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <stddef.h>
#include <sys/types.h>

struct pr_prober;

struct pr_netlink_answer {
    struct nlmsghdr header;
    char payload[8192];
};

/* A socket of this protocol, which waits a second at most, or -errno. */
int pr_netlink_socket(int protocol);

/* Sends one request and reads its one answer; the payload's length, or the error that the kernel answered. */
ssize_t pr_netlink_ask(struct pr_prober *prober, int fd, struct nlmsghdr *request, struct pr_netlink_answer *answer);

/* The first attribute of a type among `length` bytes of them, or NULL. */
const struct rtattr *pr_netlink_find(const void *from, size_t length, unsigned short type);

#endif

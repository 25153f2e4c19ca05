#include "wire/netlink.h"

#include <errno.h>
#include <sys/socket.h>
#include <sys/time.h>

#include "base/sys.h"
#include "wire/peer.h"

int pr_netlink_socket(int protocol) {
    int fd = pr_sys.socket(AF_NETLINK, SOCK_RAW, protocol);
    if (fd < 0) return -errno;
    struct timeval second = {.tv_sec = 1};
    pr_sys.setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &second, sizeof second);
    return fd;
}

ssize_t pr_netlink_ask(struct pr_prober *prober, int fd, struct nlmsghdr *request, struct pr_netlink_answer *answer) {
    request->nlmsg_seq = ++prober->sequence;
    if (pr_sys.diag(fd, request, request->nlmsg_len) < 0) return -errno;
    for (;;) {
        ssize_t got = pr_sys.diag_answer(fd, answer, sizeof *answer);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return -errno;
        if (!NLMSG_OK(&answer->header, (size_t)got)) return -EBADMSG;
        if (answer->header.nlmsg_seq != prober->sequence) continue; /* the late answer of a query that timed out */
        if (answer->header.nlmsg_type != NLMSG_ERROR) return (ssize_t)NLMSG_PAYLOAD(&answer->header, 0);
        const struct nlmsgerr *error = NLMSG_DATA(&answer->header);
        return error->error < 0 ? error->error : -EBADMSG;
    }
}

const struct rtattr *pr_netlink_find(const void *from, size_t length, unsigned short type) {
    const struct rtattr *attribute = from;
    for (; RTA_OK(attribute, (unsigned)length); attribute = RTA_NEXT(attribute, length))
        if ((attribute->rta_type & NLA_TYPE_MASK) == type) return attribute;
    return NULL;
}

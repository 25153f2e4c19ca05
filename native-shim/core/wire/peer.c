#include "wire/peer.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/inet_diag.h>
#include <linux/sock_diag.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/sys.h"
#include "wire/netlink.h"
#include "wire/route.h"

/* The kernel's numbers, which <netinet/tcp.h> shares; used for a peer that has no full socket left. */
_Static_assert(TCP_LISTEN == 10 && TCP_TIME_WAIT == 6, "TCP states differ from the kernel's");

/* Addresses. */

static bool same_family(const union pr_address *a, const union pr_address *b) {
    sa_family_t family = a->any.sa_family;
    return family == b->any.sa_family && (family == AF_INET || family == AF_INET6);
}

void pr_unmap(union pr_address *address) {
    const struct in6_addr mapped = address->six.sin6_addr;
    if (address->any.sa_family != AF_INET6 || !IN6_IS_ADDR_V4MAPPED(&mapped)) return;
    struct sockaddr_in four = {.sin_family = AF_INET, .sin_port = address->six.sin6_port};
    memcpy(&four.sin_addr, &mapped.s6_addr[12], sizeof four.sin_addr);
    memset(address, 0, sizeof *address);
    address->four = four;
}

size_t pr_address_bytes(const union pr_address *address, void *bytes, uint16_t *port) {
    if (address->any.sa_family == AF_INET) {
        memcpy(bytes, &address->four.sin_addr, 4);
        if (port) *port = address->four.sin_port;
        return 4;
    }
    memcpy(bytes, &address->six.sin6_addr, 16);
    if (port) *port = address->six.sin6_port;
    return 16;
}

bool pr_is_of_this_machine(const struct pr_peer *peer) {
    const union pr_address *there = &peer->there;
    if (there->any.sa_family == AF_INET) return ntohl(there->four.sin_addr.s_addr) >> 24 == IN_LOOPBACKNET;
    return pr_is_unix(peer) || IN6_IS_ADDR_LOOPBACK(&there->six.sin6_addr);
}

static const char name_of_unix[] = "unix:";

unsigned pr_peer_address(const struct pr_peer *peer, char text[PR_ADDRESS_TEXT]) {
    static const char prefix[] = "::ffff:";
    unsigned char bytes[16] = {0};
    size_t before = peer->mapped ? sizeof prefix - 1 : 0;
    uint16_t port = 0;
    if (pr_is_unix(peer)) {
        memcpy(text, name_of_unix, sizeof name_of_unix);
        return 0;
    }
    memcpy(text, prefix, before + 1);
    pr_address_bytes(&peer->there, bytes, &port);
    inet_ntop(peer->there.any.sa_family, bytes, text + before, (socklen_t)(PR_ADDRESS_TEXT - before));
    return ntohs(port);
}

void pr_peer_name(const struct pr_peer *peer, char *buffer, size_t size) {
    char text[INET6_ADDRSTRLEN] = "?";
    unsigned char bytes[16] = {0};
    uint16_t port = 0;
    if (pr_is_unix(peer)) {
        snprintf(buffer, size, name_of_unix);
        return;
    }
    pr_address_bytes(&peer->there, bytes, &port);
    inet_ntop(peer->there.any.sa_family, bytes, text, sizeof text);
    snprintf(buffer, size, peer->there.any.sa_family == AF_INET6 ? "[%s]:%u" : "%s:%u", text, ntohs(port));
}

/* The query: exactly the peer's socket, seen from its side, so source and destination are swapped. */

struct diag_request {
    struct nlmsghdr header;
    struct inet_diag_req_v2 body;
};

static struct diag_request diag_request_for(const struct pr_peer *peer) {
    struct diag_request request = {
        .header = {.nlmsg_len = sizeof request, .nlmsg_type = SOCK_DIAG_BY_FAMILY, .nlmsg_flags = NLM_F_REQUEST},
        .body = {.sdiag_family = (uint8_t)peer->there.any.sa_family,
                 .sdiag_protocol = IPPROTO_TCP,
                 /* The kernel adds INET_DIAG_ULP_INFO to an answer only where INET_DIAG_INFO was asked for. */
                 .idiag_ext = 1u << (INET_DIAG_INFO - 1),
                 .idiag_states = ~0u},
    };
    struct inet_diag_sockid *id = &request.body.id;
    pr_address_bytes(&peer->there, id->idiag_src, &id->idiag_sport);
    pr_address_bytes(&peer->here, id->idiag_dst, &id->idiag_dport);
    if (peer->there.any.sa_family == AF_INET6) id->idiag_if = peer->there.six.sin6_scope_id;
    memcpy(id->idiag_cookie, peer->cookie, sizeof peer->cookie);
    return request;
}

struct found {
    struct inet_diag_msg message;
    bool upper_layer; /* the socket is used by a protocol above TCP: MPTCP, TLS in the kernel, … */
};

static int diag(struct pr_prober *prober, const struct pr_peer *peer, struct found *found) {
    const size_t heading = NLMSG_ALIGN(sizeof found->message);
    struct diag_request request = diag_request_for(peer);
    struct pr_netlink_answer answer;
    ssize_t length = pr_netlink_ask(prober, prober->diag, &request.header, &answer);
    if (length == -ENOENT || length == -ESTALE) return -ENOENT; /* ESTALE: the addresses now are another socket's */
    if (length < 0) return (int)length;
    if ((size_t)length < heading) return -EBADMSG;
    const struct inet_diag_msg *message = &found->message;
    memcpy(&found->message, answer.payload, sizeof found->message);
    found->upper_layer = pr_netlink_find(answer.payload + heading, (size_t)length - heading, INET_DIAG_ULP_INFO);
    /* Where no connection matches, the kernel falls back to a listener on the same port: not what was asked. */
    if (message->idiag_state == TCP_LISTEN || message->id.idiag_dport != request.body.id.idiag_dport) return -ENOENT;
    return 0;
}

int pr_peer_look(struct pr_prober *prober, const struct pr_peer *peer, uint32_t *unread) {
    enum { TIMER_OF_TIME_WAIT = 3 };
    struct found found;
    const struct inet_diag_msg *message = &found.message;
    int result = diag(prober, peer, &found);
    if (result == -ENOENT) return PR_SIGHT_NONE;
    if (result < 0) return result;
    /* Also of a socket that its process has closed: what was moved out of it can still be read. */
    if (found.upper_layer) return PR_SIGHT_UPPER_LAYER;
    if (message->idiag_timer == TIMER_OF_TIME_WAIT || message->idiag_inode == 0) return PR_SIGHT_CLOSED;
    *unread = message->idiag_rqueue;
    return PR_SIGHT_QUEUE;
}

int pr_stream_family(int fd) {
    int domain = 0, type = 0, protocol = 0;
    socklen_t length = sizeof domain;
    if (pr_sys.getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &length) < 0 ||
        pr_sys.getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &length) < 0 ||
        pr_sys.getsockopt(fd, SOL_SOCKET, SO_PROTOCOL, &protocol, &length) < 0)
        return -errno;
    bool known = domain == AF_UNIX ? type == SOCK_STREAM : protocol == IPPROTO_TCP;
    return known ? domain : -EPROTOTYPE;
}

static void unmap_peer(struct pr_peer *peer) {
    bool six = peer->there.any.sa_family == AF_INET6;
    pr_unmap(&peer->there);
    peer->mapped = six && peer->there.any.sa_family == AF_INET;
}

int pr_peer_accept(int listener, struct pr_peer *peer) {
    memset(peer, 0, sizeof *peer);
    socklen_t length = sizeof peer->there;
    int fd = pr_sys.accept(listener, &peer->there.any, &length, SOCK_NONBLOCK);
    unmap_peer(peer);
    return fd;
}

static int own_address(int fd, struct pr_peer *peer) {
    socklen_t length = sizeof peer->here;
    if (pr_sys.getsockname(fd, &peer->here.any, &length) < 0) return -errno;
    pr_unmap(&peer->here);
    return same_family(&peer->here, &peer->there) ? 0 : -EPROTOTYPE;
}

int pr_peer_addresses(int fd, struct pr_peer *peer) {
    int result = pr_stream_family(fd);
    if (result < 0) return result;
    memset(peer, 0, sizeof *peer);
    socklen_t length = sizeof peer->there;
    if (pr_sys.getpeername(fd, &peer->there.any, &length) < 0) return -errno;
    unmap_peer(peer);
    return pr_is_unix(peer) ? 0 : own_address(fd, peer);
}

void pr_peer_classify(struct pr_prober *prober, int fd, struct pr_peer *peer) {
    peer->kind = pr_is_unix(peer) ? PR_PEER_LOCAL : PR_PEER_UNASKABLE;
    if (pr_is_unix(peer)) return;
    bool known = peer->here.any.sa_family != AF_UNSPEC || own_address(fd, peer) == 0;
    peer->cookie[0] = peer->cookie[1] = (uint32_t)INET_DIAG_NOCOOKIE;
    struct found found;
    int result = known && prober->diag_works ? diag(prober, peer, &found) : -ENOSYS;
    if (result == 0) {
        peer->kind = found.upper_layer ? PR_PEER_UNASKABLE : PR_PEER_LOCAL;
        memcpy(peer->cookie, found.message.id.idiag_cookie, sizeof peer->cookie);
    } else if (pr_is_behind_a_network_card(prober, peer)) {
        peer->kind = PR_PEER_REMOTE;
    }
}

/* Opening: the query is tried on connections of our own. A kernel without tcp_diag, or a filter, may refuse it. */

#ifndef IPPROTO_MPTCP
#define IPPROTO_MPTCP 262
#endif

/* A connection over loopback whose connecting end is of `protocol` and whose accepted end is plain TCP. */
static int connect_pair(int protocol, int fds[2]) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    fds[0] = fds[1] = -1;
    int listener = pr_sys.socket(AF_INET, SOCK_STREAM, 0);
    if (listener < 0) return -errno;
    int result = -ECONNREFUSED;
    if (pr_sys.bind(listener, (struct sockaddr *)&address, sizeof address) < 0 || pr_sys.listen(listener, 1) < 0 ||
        pr_sys.getsockname(listener, (struct sockaddr *)&address, &length) < 0)
        goto out;
    fds[0] = pr_sys.socket(AF_INET, SOCK_STREAM, protocol);
    if (fds[0] < 0) {
        result = -errno;
        goto out;
    }
    if (pr_sys.connect(fds[0], (struct sockaddr *)&address, sizeof address) < 0) goto out;
    fds[1] = pr_sys.accept(listener, NULL, NULL, 0);
    if (fds[1] >= 0) result = 0;
out:
    close(listener);
    return result;
}

int pr_socket_pair(int fds[2]) {
    return connect_pair(0, fds);
}

void pr_socket_pair_close(const int fds[2]) {
    for (int end = 0; end < 2; end++)
        if (fds[end] >= 0) close(fds[end]);
}

static bool diag_counts_unread(struct pr_prober *prober) {
    int fds[2];
    struct pr_peer peer;
    bool counted = false;
    if (pr_socket_pair(fds) == 0 && pr_peer_addresses(fds[1], &peer) == 0) {
        peer.cookie[0] = peer.cookie[1] = (uint32_t)INET_DIAG_NOCOOKIE;
        struct pollfd arrival = {.fd = fds[0], .events = POLLIN}; /* under load the loopback device has a delay */
        uint32_t unread = 0;
        counted = pr_sys.send(fds[1], "x", 1, MSG_NOSIGNAL) == 1 && poll(&arrival, 1, 1000) == 1 &&
                  pr_peer_look(prober, &peer, &unread) == PR_SIGHT_QUEUE && unread == 1;
    }
    pr_socket_pair_close(fds);
    return counted;
}

/*
 * Whether a client of MPTCP is recognised. Where no socket of MPTCP can be made there is none to try it with. Then the
 * answers are believed: every kernel that has MPTCP (5.6) reports upper-layer protocols (5.3).
 */
static bool diag_tells_upper_layers(struct pr_prober *prober) {
    int fds[2];
    struct pr_peer peer;
    uint32_t unread = 0;
    int result = connect_pair(IPPROTO_MPTCP, fds);
    bool none = result == -EPROTONOSUPPORT || result == -ENOPROTOOPT || result == -EPERM || result == -EACCES;
    if (result == 0) result = pr_peer_addresses(fds[1], &peer);
    if (result == 0) {
        peer.cookie[0] = peer.cookie[1] = (uint32_t)INET_DIAG_NOCOOKIE;
        result = pr_peer_look(prober, &peer, &unread);
    }
    pr_socket_pair_close(fds);
    return none || result == PR_SIGHT_UPPER_LAYER;
}

int pr_prober_open(struct pr_prober *prober) {
    memset(prober, 0, sizeof *prober);
    prober->diag = pr_netlink_socket(NETLINK_SOCK_DIAG);
    prober->route = pr_netlink_socket(NETLINK_ROUTE);
    if (prober->diag >= 0) prober->diag_works = diag_counts_unread(prober) && diag_tells_upper_layers(prober);
    /* Without netlink nobody can be asked, and every peer is unaskable: the copying engines still serve. */
    int result = prober->diag < 0 ? prober->diag : prober->route < 0 ? prober->route : 0;
    bool short_of_something = result == -EMFILE || result == -ENFILE || result == -ENOMEM || result == -ENOBUFS;
    return short_of_something ? result : 0;
}

void pr_prober_close(struct pr_prober *prober) {
    if (prober->diag >= 0) close(prober->diag);
    if (prober->route >= 0) close(prober->route);
    prober->diag = prober->route = -1;
}

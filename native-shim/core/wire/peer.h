/*
 * Who is at the other end of a connection, and how much of what TCP has acknowledged its process has not read.
 * Acknowledged is not released: on loopback the receiver's queue holds the sender's own pages.
 */
#ifndef PR_PEER_H
#define PR_PEER_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

enum pr_peer_kind {
    PR_PEER_LOCAL,     /* its socket is in this network namespace, and can be asked */
    PR_PEER_REMOTE,    /* behind a physical device: the acknowledgement is the end */
    PR_PEER_UNASKABLE, /* may be in this kernel, can't be asked or believed: only copying engines */
};

/* Netlink sockets of one thread. */
struct pr_prober {
    int diag, route;
    uint32_t sequence;
    bool diag_works; /* tried on connections of our own: it counts unread bytes, and tells a client of MPTCP */
};

/* A sockaddr_storage would be four times as long, and each connection has two. */
union pr_address {
    struct sockaddr any;
    struct sockaddr_in four;
    struct sockaddr_in6 six;
};

struct pr_peer {
    enum pr_peer_kind kind;
    union pr_address here, there;
    bool mapped;        /* the socket is an IPv6 one, of an IPv4 peer */
    uint32_t cookie[2]; /* of a local peer's socket: a later socket with the same addresses is another one */
};

int pr_prober_open(struct pr_prober *prober);
void pr_prober_close(struct pr_prober *prober);

/* Who is at the other end of a unix socket has no address. */
static inline bool pr_is_unix(const struct pr_peer *peer) {
    return peer->there.any.sa_family == AF_UNIX;
}

/* An address of IPv4 that is mapped into IPv6 becomes one of IPv4: its own socket is an IPv4 one. */
void pr_unmap(union pr_address *address);

/* By the loopback, or a unix socket. */
bool pr_is_of_this_machine(const struct pr_peer *peer);

/* The family of a socket of TCP, or of a stream of AF_UNIX; -EPROTOTYPE of any other. */
int pr_stream_family(int fd);

/*
 * Accepts a connection without ever waiting, and fills in the other end's address, which saves a call for that. The
 * listener is of a family as above. The descriptor, or -1 with errno.
 */
int pr_peer_accept(int listener, struct pr_peer *peer);
/* Fills in both ends' addresses, without which a peer of TCP can't be looked at. -EPROTOTYPE as of pr_stream_family. */
int pr_peer_addresses(int fd, struct pr_peer *peer);

/* Fills in what is not known yet: our own end's address, the kind and the cookie. */
void pr_peer_classify(struct pr_prober *prober, int fd, struct pr_peer *peer);

/* A connection of our own over loopback: 0, or -errno with both ends -1 or open. fds[1] is the accepted end. */
int pr_socket_pair(int fds[2]);
/* Those of its ends that are open. */
void pr_socket_pair_close(const int fds[2]);

enum pr_sight {
    PR_SIGHT_QUEUE,  /* the peer's socket was seen: `unread` counts, a queued FIN as 1 */
    PR_SIGHT_CLOSED, /* a process that closed it leaves an orphan or a TIME_WAIT entry; its queue was thrown away */
    PR_SIGHT_NONE,   /* no such socket any more */
    /*
     * A protocol above TCP (MPTCP, TLS in the kernel, …) has the socket. It moves what arrives to a queue of its own,
     * which nobody can ask about: an empty receive queue does not mean that anything was read.
     */
    PR_SIGHT_UPPER_LAYER,
};

/* One exact query about a local peer: a pr_sight, or -errno. */
int pr_peer_look(struct pr_prober *prober, const struct pr_peer *peer, uint32_t *unread);

/* The address as inet_diag and rtnetlink want it; returns its length. `port` may be NULL. */
size_t pr_address_bytes(const union pr_address *address, void *bytes, uint16_t *port);

/* "192.0.2.1:443", "[2001:db8::1]:443" or "unix:". */
void pr_peer_name(const struct pr_peer *peer, char *buffer, size_t size);

/*
 * The address alone, as Node writes it: "192.0.2.1", "2001:db8::1", or "::ffff:192.0.2.1" of a mapped one; "unix:", as
 * nginx calls it, where there is none. Returns the port, 0 for none.
 */
enum { PR_ADDRESS_TEXT = 64 };
unsigned pr_peer_address(const struct pr_peer *peer, char text[PR_ADDRESS_TEXT]);

#endif

/* Who is at the other end: found by its exact addresses, seen from its side. */
#include "test.h"
#include "wire/done.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

struct ends {
    int listener, ours, peer;
};

static struct ends connect_ends(const char *listen_on, const char *connect_to, bool both_families) {
    struct ends ends;
    struct sockaddr_in6 six = {.sin6_family = AF_INET6}, there = {.sin6_family = AF_INET6};
    struct sockaddr_in four = {.sin_family = AF_INET};
    bool listen_six = strchr(listen_on, ':'), connect_six = strchr(connect_to, ':');
    struct sockaddr_storage bound;
    socklen_t length = sizeof bound;
    ends.listener = (int)MUST(socket(listen_six ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    int only = !both_families;
    if (listen_six) MUST(setsockopt(ends.listener, IPPROTO_IPV6, IPV6_V6ONLY, &only, sizeof only));
    inet_pton(AF_INET6, listen_on, &six.sin6_addr);
    inet_pton(AF_INET, listen_on, &four.sin_addr);
    if (listen_six)
        MUST(bind(ends.listener, (struct sockaddr *)&six, sizeof six));
    else
        MUST(bind(ends.listener, (struct sockaddr *)&four, sizeof four));
    MUST(listen(ends.listener, 1));
    MUST(getsockname(ends.listener, (struct sockaddr *)&bound, &length));
    four.sin_port = there.sin6_port = ((struct sockaddr_in *)&bound)->sin_port; /* both families have it there */
    inet_pton(AF_INET6, connect_to, &there.sin6_addr);
    inet_pton(AF_INET, connect_to, &four.sin_addr);
    ends.peer = (int)MUST(socket(connect_six ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (connect_six)
        MUST(connect(ends.peer, (struct sockaddr *)&there, sizeof there));
    else
        MUST(connect(ends.peer, (struct sockaddr *)&four, sizeof four));
    ends.ours = (int)MUST(accept4(ends.listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK));
    return ends;
}

static void close_ends(struct ends *ends) {
    close(ends->peer);
    close(ends->ours);
    close(ends->listener);
}

static void check_name(const struct pr_peer *peer, int fd, const char *format) {
    struct sockaddr_storage bound;
    socklen_t length = sizeof bound;
    char expected[64], name[64];
    MUST(getsockname(fd, (struct sockaddr *)&bound, &length));
    snprintf(expected, sizeof expected, "%s:%u", format, ntohs(((struct sockaddr_in *)&bound)->sin_port));
    pr_peer_name(peer, name, sizeof name);
    if (strcmp(name, expected) != 0) FAIL("%s, not %s", name, expected);
}

static void check_local(const char *listen_on, const char *connect_to, const char *name) {
    struct pr_prober prober;
    struct pr_peer peer;
    uint32_t unread = 77;
    CHECK_EQUAL(pr_prober_open(&prober), 0);
    CHECK(prober.diag_works);
    struct ends ends = connect_ends(listen_on, connect_to, true);
    CHECK_EQUAL(classify(&prober, ends.ours, &peer), 0);
    CHECK_EQUAL(peer.kind, PR_PEER_LOCAL);
    check_name(&peer, ends.peer, name);
    CHECK_EQUAL(pr_peer_look(&prober, &peer, &unread), PR_SIGHT_QUEUE);
    CHECK_EQUAL(unread, 0);
    CHECK_EQUAL(pr_position(ends.ours), 0); /* lanes do not ask for it when they have accepted a connection */
    CHECK_EQUAL(MUST(send(ends.ours, "three", 3, 0)), 3);
    wait_until(pr_peer_look(&prober, &peer, &unread) == PR_SIGHT_QUEUE && unread == 3, 5000);
    MUST(shutdown(ends.ours, SHUT_WR));
    wait_until(pr_peer_look(&prober, &peer, &unread) == PR_SIGHT_QUEUE && unread == 4, 5000); /* the FIN */
    close_ends(&ends);
    wait_until(pr_peer_look(&prober, &peer, &unread) == PR_SIGHT_NONE, 5000);
    pr_prober_close(&prober);
}

static void over_ipv4(void) {
    check_local("127.0.0.1", "127.0.0.1", "127.0.0.1");
    check_local("0.0.0.0", "127.0.0.5", "127.0.0.1");
}

static void over_ipv6(void) {
    int probe = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in6 loopback = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    bool works = probe >= 0 && bind(probe, (struct sockaddr *)&loopback, sizeof loopback) == 0;
    if (probe >= 0) close(probe);
    if (!works) {
        printf("  SKIPPED: over_ipv6, this machine has no ::1\n");
        return;
    }
    check_local("::1", "::1", "[::1]");
    check_local("::", "::1", "[::1]");
    check_local("::", "127.0.0.1", "127.0.0.1");
    check_local("::", "::ffff:127.0.0.1", "127.0.0.1");
}

/* A new socket at the address of one that was reset, or -1 where yet another connection has its port, too. */
static int socket_at(const struct sockaddr_in *address) {
    int reuse = 1, fd = (int)MUST(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    MUST(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &reuse, sizeof reuse));
    if (bind(fd, (const struct sockaddr *)address, sizeof *address) == 0) return fd;
    CHECK_EQUAL(errno, EADDRINUSE);
    close(fd);
    return -1;
}

struct gone {
    struct pr_prober prober;
    struct pr_peer peer;
    struct ends ends;
    struct sockaddr_in peer_address, our_address;
    int successor;
};

/* A classified peer that was reset, and a socket bound to its old address. */
static struct gone gone_open(void) {
    struct linger reset = {.l_onoff = 1};
    struct gone gone;
    socklen_t length = sizeof gone.peer_address;
    uint32_t unread;
    CHECK_EQUAL(pr_prober_open(&gone.prober), 0);
    for (int attempt = 0; attempt < 100; attempt++) {
        gone.ends = connect_ends("127.0.0.1", "127.0.0.1", false);
        CHECK_EQUAL(classify(&gone.prober, gone.ends.ours, &gone.peer), 0);
        MUST(getsockname(gone.ends.peer, (struct sockaddr *)&gone.peer_address, &length));
        MUST(getsockname(gone.ends.ours, (struct sockaddr *)&gone.our_address, &length));
        MUST(setsockopt(gone.ends.peer, SOL_SOCKET, SO_LINGER, &reset, sizeof reset));
        close(gone.ends.peer);
        CHECK_EQUAL(pr_peer_look(&gone.prober, &gone.peer, &unread), PR_SIGHT_NONE);
        gone.successor = socket_at(&gone.peer_address);
        if (gone.successor >= 0) return gone;
        close(gone.ends.ours);
        close(gone.ends.listener);
    }
    FAIL("no port to be had twice");
}

static void gone_close(struct gone *gone) {
    close(gone->successor);
    close(gone->ends.ours);
    close(gone->ends.listener);
    pr_prober_close(&gone->prober);
}

static void a_listener_on_the_peers_port_is_not_the_peer(void) {
    uint32_t unread;
    struct gone gone = gone_open();
    MUST(listen(gone.successor, 1));
    CHECK_EQUAL(pr_peer_look(&gone.prober, &gone.peer, &unread), PR_SIGHT_NONE);
    memset(gone.peer.cookie, 0xff, sizeof gone.peer.cookie); /* any socket at these addresses */
    CHECK_EQUAL(pr_peer_look(&gone.prober, &gone.peer, &unread), PR_SIGHT_NONE);
    gone_close(&gone);
}

/* The same four numbers, another connection: its queue says nothing about the first one's. */
static void a_later_socket_at_the_same_addresses_is_another_one(void) {
    uint32_t unread;
    struct gone gone = gone_open();
    MUST(connect(gone.successor, (struct sockaddr *)&gone.our_address, sizeof gone.our_address));
    CHECK_EQUAL(pr_peer_look(&gone.prober, &gone.peer, &unread), PR_SIGHT_NONE);
    memset(gone.peer.cookie, 0xff, sizeof gone.peer.cookie);
    CHECK_EQUAL(pr_peer_look(&gone.prober, &gone.peer, &unread), PR_SIGHT_QUEUE);
    gone_close(&gone);
}

static void a_peer_that_closed_after_reading_is_seen_closed(void) {
    struct pr_prober prober;
    struct pr_peer peer;
    uint32_t unread;
    CHECK_EQUAL(pr_prober_open(&prober), 0);
    struct ends ends = connect_ends("127.0.0.1", "127.0.0.1", false);
    CHECK_EQUAL(classify(&prober, ends.ours, &peer), 0);
    close(ends.peer);
    int sight = pr_peer_look(&prober, &peer, &unread);
    CHECK(sight == PR_SIGHT_CLOSED || sight == PR_SIGHT_NONE);
    close(ends.ours);
    close(ends.listener);
    pr_prober_close(&prober);
}

static void what_is_no_connection_of_tcp_or_by_a_unix_socket_is_refused(void) {
    struct pr_prober prober;
    struct pr_peer peer;
    int pipes[2], unix_ends[2], packets[2];
    CHECK_EQUAL(pr_prober_open(&prober), 0);
    MUST(pipe(pipes));
    MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, unix_ends));
    MUST(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, packets));
    int datagrams = (int)MUST(socket(AF_INET, SOCK_DGRAM, 0)), alone = (int)MUST(socket(AF_INET, SOCK_STREAM, 0));
    CHECK_EQUAL(classify(&prober, pipes[0], &peer), -ENOTSOCK);
    CHECK_EQUAL(classify(&prober, packets[0], &peer), -EPROTOTYPE);
    CHECK_EQUAL(classify(&prober, unix_ends[0], &peer), 0);
    CHECK_EQUAL(peer.kind, PR_PEER_LOCAL);
    CHECK_EQUAL(classify(&prober, datagrams, &peer), -EPROTOTYPE);
    CHECK_EQUAL(classify(&prober, alone, &peer), -ENOTCONN);
    CHECK_EQUAL(classify(&prober, -1, &peer), -EBADF);
    for (int end = 0; end < 2; end++) {
        close(pipes[end]);
        close(unix_ends[end]);
        close(packets[end]);
    }
    close(datagrams);
    close(alone);
    pr_prober_close(&prober);
}

/* Last, for the switches can't be taken out again. */

static void without_the_query_everybody_is_unaskable(void) {
    struct pr_prober prober;
    struct pr_peer peer;
    pr_faults_enable();
    pr_fault_set(PR_CALL_DIAG, EPERM, 0, 1);
    CHECK_EQUAL(pr_prober_open(&prober), 0);
    CHECK(!prober.diag_works);
    struct ends ends = connect_ends("127.0.0.1", "127.0.0.1", false);
    CHECK_EQUAL(classify(&prober, ends.ours, &peer), 0);
    CHECK_EQUAL(peer.kind, PR_PEER_UNASKABLE);
    pr_prober_close(&prober);

    CHECK_EQUAL(pr_prober_open(&prober), 0);
    CHECK(prober.diag_works);
    pr_fault_set(PR_CALL_DIAG, ENOBUFS, 0, 1); /* this one query alone */
    CHECK_EQUAL(classify(&prober, ends.ours, &peer), 0);
    CHECK_EQUAL(peer.kind, PR_PEER_UNASKABLE);
    CHECK_EQUAL(classify(&prober, ends.ours, &peer), 0);
    CHECK_EQUAL(peer.kind, PR_PEER_LOCAL);
    close_ends(&ends);
    pr_prober_close(&prober);
}

/* A question that fails tells nothing: the reference stays. */
static void a_failing_query_lets_nothing_go(void) {
    pr_faults_enable();
    struct pr_relay *relay = relay_start(options_with(1));
    struct region region = region_create(relay, 65536);
    struct pair pair = pair_open(ROOMY);
    uint64_t connection = adopt(relay, &pair);
    CHECK_EQUAL(serve(relay, connection, &region, PR_ENGINE_SENDFILE, 0, 65536, NULL), 1);
    wait_acknowledged(pair.ours);
    pr_fault_set(PR_CALL_DIAG, ENOBUFS, 0, 1000000);
    stays(only_reference(relay).bytes == 65536, 300);
    read_body(pair.peer, 0, 65536, 0);
    stays(only_reference(relay).bytes == 65536, 50);
    pr_fault_set(PR_CALL_DIAG, 0, 0, 0);
    wait_until(references(relay) == 0, 5000);
    node_close(relay, connection, &pair);
    pair_close(&pair);
    region_close(relay, &region);
    pr_relay_destroy(relay);
}

int main(void) {
    RUN(over_ipv4);
    RUN(over_ipv6);
    RUN(a_listener_on_the_peers_port_is_not_the_peer);
    RUN(a_later_socket_at_the_same_addresses_is_another_one);
    RUN(a_peer_that_closed_after_reading_is_seen_closed);
    RUN(what_is_no_connection_of_tcp_or_by_a_unix_socket_is_refused);
    RUN(without_the_query_everybody_is_unaskable);
    RUN(a_failing_query_lets_nothing_go);
    return 0;
}

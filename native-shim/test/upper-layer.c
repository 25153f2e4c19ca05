/*
 * Peers whose socket a protocol above TCP has: it moves what arrives to a queue of its own, so that the socket's own
 * queue is empty while nothing was read.
 */
#include "test.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#ifndef TCP_ULP
#define TCP_ULP 31
#endif

enum { LENGTH = 64 << 10 };
static const enum pr_engine copy_free[] = {PR_ENGINE_SENDFILE, PR_ENGINE_SPLICE};

static struct pair mptcp_pair(void) {
    struct pair pair;
    if (!pair_open_mptcp(&pair)) test_skip("this kernel, or net.mptcp.enabled, has no MPTCP");
    return pair;
}

static uint64_t adopt_kind(struct pr_relay *relay, const struct pair *pair, enum pr_peer_kind expected) {
    uint64_t connection;
    enum pr_peer_kind kind;
    CHECK_EQUAL(pr_connection_adopt(relay, pair->ours, false, -1, &connection, &kind), 0);
    CHECK_EQUAL(kind, expected);
    return connection;
}

/* What it would be taken for if its queue were believed: empty, though all of it is unread. */
static void a_client_of_mptcp_is_told_at_each_look(void) {
    struct pr_prober prober;
    struct pr_peer peer;
    char byte;
    uint32_t unread = 77;
    struct pair pair = mptcp_pair();
    CHECK_EQUAL(pr_prober_open(&prober), 0);
    CHECK(prober.diag_works);
    CHECK_EQUAL(classify(&prober, pair.ours, &peer), 0);
    CHECK_EQUAL(peer.kind, PR_PEER_UNASKABLE);
    CHECK_EQUAL(MUST(send(pair.ours, "three", 5, 0)), 5);
    wait_acknowledged(pair.ours);
    CHECK_EQUAL(pr_peer_look(&prober, &peer, &unread), PR_SIGHT_UPPER_LAYER);
    MUST(shutdown(pair.ours, SHUT_WR));
    CHECK_EQUAL(pr_peer_look(&prober, &peer, &unread), PR_SIGHT_UPPER_LAYER);
    CHECK_EQUAL(unread, 77);
    CHECK_EQUAL(MUST(recv(pair.peer, &byte, 1, 0)), 1);
    pair_close(&pair);
    pr_prober_close(&prober);
}

static void a_client_of_mptcp_gets_copies_only(void) {
    struct pr_relay *relay = relay_start(options_with(1));
    struct region region = region_create(relay, 2 * LENGTH);
    struct pair pair = mptcp_pair();
    uint64_t connection = adopt_kind(relay, &pair, PR_PEER_UNASKABLE);
    for (int each = 0; each < 2; each++) {
        uint64_t transmission = hold(relay, &region, copy_free[each], 0, LENGTH);
        CHECK_EQUAL(pr_send(relay, connection, transmission, NULL, 0, NULL), -EXDEV);
        CHECK_EQUAL(pr_release(relay, transmission, PR_OUTCOME_FAILED), 0);
    }
    CHECK_EQUAL(serve(relay, connection, &region, PR_ENGINE_COPY, 0, LENGTH, NULL), 1);
    CHECK_EQUAL(references(relay), 0);
    region_write(&region, 0, LENGTH, 1);
    read_body(pair.peer, 0, LENGTH, 0);
    node_close(relay, connection, &pair);
    pair_close(&pair);
    region_close(relay, &region);
    pr_relay_destroy(relay);
}

/* From the next look on, the peer's socket is one of MPTCP: as if the protocol had come to it after it was classified.
 */
static void let_an_upper_layer_come(struct pr_relay *relay, uint64_t id, const struct pair *taken) {
    struct pr_prober prober;
    struct pr_peer peer;
    CHECK_EQUAL(pr_prober_open(&prober), 0);
    CHECK_EQUAL(classify(&prober, taken->ours, &peer), 0);
    pr_prober_close(&prober);
    peer.kind = PR_PEER_LOCAL;
    pr_lock(relay);
    struct pr_connection *connection = pr_slots_find(&relay->slots, PR_KIND_CONNECTION, id);
    connection->peer = peer;
    pr_unlock(relay);
}

static void one_that_comes_later_quarantines(enum pr_engine engine) {
    struct pr_relay *relay = relay_start(options_with(1));
    struct region region = region_create(relay, 2 * LENGTH);
    struct pair pair = pair_open(ROOMY), taken = mptcp_pair();
    uint64_t connection = adopt_kind(relay, &pair, PR_PEER_LOCAL);
    let_an_upper_layer_come(relay, connection, &taken);
    CHECK_EQUAL(serve(relay, connection, &region, engine, 0, LENGTH, NULL), 1);
    wait_acknowledged(pair.ours);
    CHECK_EQUAL(only_reference(relay).state, PR_REFERENCE_QUARANTINED);
    CHECK_EQUAL(counted(relay).quarantined_bytes, LENGTH);
    read_body(pair.peer, 0, LENGTH, 0);
    stays(counted(relay).quarantined == 1, 20); /* nobody can tell that it was read */

    /* What follows is copied, whatever was asked for, and nothing more is quarantined. */
    CHECK_EQUAL(serve(relay, connection, &region, engine, LENGTH, LENGTH, NULL), 1);
    CHECK_EQUAL(references(relay), 1);
    CHECK_EQUAL(counted(relay).copied_bytes[PR_ENGINE_COPY], LENGTH);
    region_write(&region, LENGTH, LENGTH, 1);
    read_body(pair.peer, LENGTH, LENGTH, 0);
    CHECK_EQUAL(pr_connection_finish(relay, connection), 1);
    node_close(relay, connection, &pair);
    pair_close(&pair);
    pair_close(&taken);
    region_close(relay, &region);
    pr_relay_destroy(relay);
}

static void an_upper_layer_that_comes_later_quarantines_what_is_undone(void) {
    for (int each = 0; each < 2; each++) one_that_comes_later_quarantines(copy_free[each]);
}

/* It has closed the socket below it, and can keep the bytes: what is then seen of that socket means nothing. */
static void what_was_taken_stays_quarantined_when_the_socket_is_gone(void) {
    struct pr_relay *relay = relay_start(options_with(1));
    struct region region = region_create(relay, 2 * LENGTH);
    struct pair pair = pair_open(ROOMY), taken = mptcp_pair();
    uint64_t connection = adopt_kind(relay, &pair, PR_PEER_LOCAL);
    let_an_upper_layer_come(relay, connection, &taken);
    CHECK_EQUAL(serve(relay, connection, &region, PR_ENGINE_SENDFILE, 0, LENGTH, NULL), 1);
    CHECK_EQUAL(only_reference(relay).state, PR_REFERENCE_QUARANTINED);
    pair_close(&taken);
    close_peer(&pair);
    stays(only_reference(relay).state == PR_REFERENCE_QUARANTINED, 20);
    node_close(relay, connection, &pair);
    wait_until(counted(relay).connections == 0, 5000);
    CHECK_EQUAL(references(relay), 1);
    region_close(relay, &region);
    pr_relay_destroy(relay);
}

/* TLS in the kernel, on a real socket. */
static void kernel_tls_on_the_peers_socket_quarantines(void) {
    struct pr_relay *relay = relay_start(options_with(1));
    struct region region = region_create(relay, LENGTH);
    struct pair pair = pair_open(ROOMY);
    uint64_t connection = adopt_kind(relay, &pair, PR_PEER_LOCAL);
    CHECK_EQUAL(serve(relay, connection, &region, PR_ENGINE_SENDFILE, 0, LENGTH, NULL), 1);
    wait_acknowledged(pair.ours);
    CHECK_EQUAL(only_reference(relay).state, PR_REFERENCE_SENT);
    bool has = setsockopt(pair.peer, IPPROTO_TCP, TCP_ULP, "tls", sizeof "tls") == 0;
    if (has)
        CHECK_EQUAL(only_reference(relay).state, PR_REFERENCE_QUARANTINED);
    else
        printf("  SKIPPED: kernel_tls_on_the_peers_socket_quarantines, this kernel has no tls\n");
    node_close(relay, connection, &pair);
    pair_close(&pair);
    if (!has) wait_until(references(relay) == 0, 5000);
    region_close(relay, &region);
    pr_relay_destroy(relay);
}

/* Last, for the switches can't be taken out again. The second query of a prober that opens is about MPTCP. */
static void where_mptcp_is_not_recognised_everybody_is_unaskable(void) {
    struct pr_prober prober;
    struct pr_peer peer;
    struct pair pair = mptcp_pair(), plain = pair_open(ROOMY);
    pr_faults_enable();
    pr_fault_set(PR_CALL_DIAG, EPERM, 1, 1);
    CHECK_EQUAL(pr_prober_open(&prober), 0);
    CHECK(!prober.diag_works);
    CHECK_EQUAL(classify(&prober, plain.ours, &peer), 0);
    CHECK_EQUAL(peer.kind, PR_PEER_UNASKABLE);
    pr_prober_close(&prober);
    pair_close(&pair);
    pair_close(&plain);
}

int main(void) {
    RUN(kernel_tls_on_the_peers_socket_quarantines);
    RUN(a_client_of_mptcp_is_told_at_each_look);
    RUN(a_client_of_mptcp_gets_copies_only);
    RUN(an_upper_layer_that_comes_later_quarantines_what_is_undone);
    RUN(what_was_taken_stays_quarantined_when_the_socket_is_gone);
    RUN(where_mptcp_is_not_recognised_everybody_is_unaskable);
    return 0;
}

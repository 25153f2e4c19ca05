/*
 * Local peers that have sent a FIN. Such a peer vanishes from the kernel's tables once our FIN reaches it too, while
 * its process can still read its queue, and with it whatever the pages hold then. Each test proves by overwriting that
 * what the table says is true.
 */
#include "test.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { LENGTH = 64 << 10, LARGE = 16 << 20 };

struct scene {
    struct pr_relay *relay;
    struct region region;
    struct pair pair;
    uint64_t connection;
};

static struct scene scene_open(int receive_buffer) {
    struct scene scene = {.relay = relay_start(options_with(1))};
    scene.region = region_create(scene.relay, LARGE);
    scene.pair = pair_open(receive_buffer);
    scene.connection = adopt(scene.relay, &scene.pair);
    return scene;
}

static void scene_close(struct scene *scene) {
    if (scene->pair.ours >= 0) node_close(scene->relay, scene->connection, &scene->pair);
    pair_close(&scene->pair);
    region_close(scene->relay, &scene->region);
    pr_relay_destroy(scene->relay);
}

static void queue_unread(struct scene *scene) {
    CHECK_EQUAL(serve(scene->relay, scene->connection, &scene->region, PR_ENGINE_SENDFILE, 0, LENGTH, NULL), 1);
    wait_acknowledged(scene->pair.ours);
}

static void half_close_peer(struct scene *scene) {
    MUST(shutdown(scene->pair.peer, SHUT_WR));
}

static bool still_sent(struct scene *scene) {
    struct pr_reference_info info = only_reference(scene->relay);
    return info.state == PR_REFERENCE_SENT && info.bytes == LENGTH;
}

/* The pages are live: a change is seen by the peer, so nothing may call them done. */
static void overwrite_is_seen(struct scene *scene) {
    region_write(&scene->region, 0, LENGTH, 1);
    read_body(scene->pair.peer, 0, LENGTH, 1);
}

static void wait_released(struct scene *scene) {
    wait_until(references(scene->relay) == 0, 5000);
    CHECK_EQUAL(counted(scene->relay).quarantined, 0);
    CHECK_EQUAL(counted(scene->relay).held_bytes, 0);
}

/* Finishing in order. */

static void a_fin_waits_for_a_half_closed_peer_to_read(void) {
    struct scene scene = scene_open(ROOMY);
    queue_unread(&scene);
    half_close_peer(&scene);
    wait_until(tcp_state(scene.pair.ours) == TCP_CLOSE_WAIT, 5000);
    CHECK_EQUAL(pr_connection_finish(scene.relay, scene.connection), 0);
    stays(still_sent(&scene) && no_event(scene.relay), 300);
    overwrite_is_seen(&scene);
    struct pr_event event = next_event(scene.relay);
    CHECK_EQUAL(event.kind, PR_EVENT_DRAINED);
    CHECK_EQUAL(event.id, scene.connection);
    CHECK_EQUAL(references(scene.relay), 0);
    CHECK_EQUAL(pr_connection_finish(scene.relay, scene.connection), 1);
    MUST(shutdown(scene.pair.ours, SHUT_WR));
    CHECK_EQUAL(read_to_end(scene.pair.peer, LENGTH, 0, NULL), 0);
    scene_close(&scene);
}

static void a_fin_waits_for_an_open_peer_too(void) {
    struct scene scene = scene_open(ROOMY);
    queue_unread(&scene);
    CHECK_EQUAL(pr_connection_finish(scene.relay, scene.connection), 0);
    half_close_peer(&scene);
    stays(still_sent(&scene) && no_event(scene.relay), 50);
    close_peer(&scene.pair);
    CHECK_EQUAL(next_event(scene.relay).kind, PR_EVENT_DRAINED);
    wait_released(&scene);
    scene_close(&scene);
}

static void a_fin_need_not_wait_when_all_is_read(void) {
    struct scene scene = scene_open(ROOMY);
    queue_unread(&scene);
    read_body(scene.pair.peer, 0, LENGTH, 0);
    CHECK_EQUAL(pr_connection_finish(scene.relay, scene.connection), 1);
    CHECK(no_event(scene.relay));
    CHECK_EQUAL(pr_connection_finish(scene.relay, scene.connection + 1), -EBADF);
    scene_close(&scene);
}

static void closing_keeps_our_fin_back_until_it_has_read(void) {
    struct scene scene = scene_open(ROOMY);
    queue_unread(&scene);
    half_close_peer(&scene);
    node_close(scene.relay, scene.connection, &scene.pair);
    stays(still_sent(&scene), 300);
    overwrite_is_seen(&scene);
    CHECK_EQUAL(read_to_end(scene.pair.peer, LENGTH, 0, NULL), 0);
    wait_released(&scene);
    scene_close(&scene);
}

/* Broken off first, half-closed by the peer after it. */

static void break_then_half_close(struct scene *scene) {
    queue_unread(scene);
    CHECK_EQUAL(pr_connection_break(scene->relay, scene->connection), 0);
    half_close_peer(scene);
    stays(still_sent(scene), 700);
}

static void a_broken_off_peer_that_half_closes_stays_in_sight(void) {
    struct scene scene = scene_open(ROOMY);
    break_then_half_close(&scene);
    overwrite_is_seen(&scene);
    CHECK_EQUAL(read_to_end(scene.pair.peer, LENGTH, 0, NULL), 0);
    wait_released(&scene);
    scene_close(&scene);
}

static void and_is_done_when_it_closes(void) {
    struct scene scene = scene_open(ROOMY);
    break_then_half_close(&scene);
    close_peer(&scene.pair);
    wait_released(&scene);
    scene_close(&scene);
}

static void and_may_outlive_nodes_descriptor(void) {
    struct scene scene = scene_open(ROOMY);
    break_then_half_close(&scene);
    node_close(scene.relay, scene.connection, &scene.pair);
    stays(still_sent(&scene), 100);
    overwrite_is_seen(&scene);
    wait_until(counted(scene.relay).connections == 0, 5000);
    wait_released(&scene);
    scene_close(&scene);
}

/* The peer's own kernel half gives up on it: nothing is left to ask, but its process can read on. */
static void a_peer_whose_fin_times_out_is_not_taken_for_closed(void) {
    struct scene scene = scene_open(ROOMY);
    unsigned milliseconds = 300;
    MUST(setsockopt(scene.pair.peer, IPPROTO_TCP, TCP_USER_TIMEOUT, &milliseconds, sizeof milliseconds));
    queue_unread(&scene);
    CHECK_EQUAL(pr_connection_break(scene.relay, scene.connection), 0);
    half_close_peer(&scene);
    wait_until(tcp_state(scene.pair.peer) == TCP_CLOSE, 10000);
    stays(only_reference(scene.relay).bytes == LENGTH, 500);
    CHECK_EQUAL(only_reference(scene.relay).state, PR_REFERENCE_QUARANTINED);
    overwrite_is_seen(&scene);
    scene_close(&scene);
}

static void a_peer_that_reads_all_and_closes_at_once_is_done(void) {
    enum { ROUNDS = 50 };
    struct scene scene = scene_open(ROOMY);
    for (int round = 0; round < ROUNDS; round++) {
        struct pair pair = pair_open(ROOMY);
        uint64_t connection = adopt(scene.relay, &pair);
        CHECK_EQUAL(serve(scene.relay, connection, &scene.region, PR_ENGINE_SENDFILE, 0, LENGTH, NULL), 1);
        wait_acknowledged(pair.ours);
        CHECK_EQUAL(pr_connection_break(scene.relay, connection), 0);
        read_body(pair.peer, 0, LENGTH, 0);
        close_peer(&pair);
        wait_released(&scene);
        node_close(scene.relay, connection, &pair);
    }
    wait_until(counted(scene.relay).connections == 1, 5000);
    CHECK_EQUAL(counted(scene.relay).broken_off, 0);
    scene_close(&scene);
}

/* In the lane: the body is broken off in its middle by a deadline. */
static void a_lane_keeps_its_broken_off_peer_in_sight(void) {
    struct pr_options options = options_with(1);
    options.max_hold_seconds = 0.2;
    struct scene scene = {.relay = relay_start(options)};
    scene.region = region_create(scene.relay, LARGE);
    scene.pair = pair_open(NARROW);
    scene.connection = adopt(scene.relay, &scene.pair);
    CHECK_EQUAL(serve(scene.relay, scene.connection, &scene.region, PR_ENGINE_SPLICE, 0, LARGE, NULL), 0);
    struct pr_event event = next_event(scene.relay);
    CHECK_EQUAL(event.kind, PR_EVENT_BROKEN);
    CHECK_EQUAL(event.outcome, PR_OUTCOME_STALLED);
    half_close_peer(&scene);
    node_close(scene.relay, scene.connection, &scene.pair);
    stays(only_reference(scene.relay).state == PR_REFERENCE_SENT, 500);
    uint64_t sent = only_reference(scene.relay).last + 1;
    CHECK_EQUAL(counted(scene.relay).sent_bytes[PR_ENGINE_SPLICE], sent);
    region_write(&scene.region, 0, LARGE, 1);
    CHECK_EQUAL(read_to_end(scene.pair.peer, 0, 1, NULL), sent);
    wait_until(counted(scene.relay).connections == 0, 5000);
    wait_released(&scene);
    scene_close(&scene);
}

/* The peer's FIN was there before ours: it can't be kept in sight. */

static void a_peer_half_closed_before_is_quarantined(void) {
    struct scene scene = scene_open(ROOMY);
    queue_unread(&scene);
    half_close_peer(&scene);
    wait_until(tcp_state(scene.pair.ours) == TCP_CLOSE_WAIT, 5000);
    CHECK_EQUAL(pr_connection_break(scene.relay, scene.connection), 0);
    stays(only_reference(scene.relay).bytes == LENGTH, 300);
    CHECK_EQUAL(only_reference(scene.relay).state, PR_REFERENCE_QUARANTINED);
    CHECK_EQUAL(counted(scene.relay).quarantined, 1);
    CHECK_EQUAL(counted(scene.relay).quarantined_bytes, LENGTH);
    overwrite_is_seen(&scene);
    scene_close(&scene);
}

static void a_peer_that_closes_its_side_while_broken_off_is_never_let_go_unread(void) {
    enum { ROUNDS = 200 };
    struct scene scene = scene_open(ROOMY);
    for (int round = 0; round < ROUNDS; round++) {
        struct pair pair = pair_open(ROOMY);
        uint64_t connection = adopt(scene.relay, &pair);
        CHECK_EQUAL(serve(scene.relay, connection, &scene.region, PR_ENGINE_SENDFILE, 0, 4096, NULL), 1);
        MUST(shutdown(pair.peer, SHUT_WR));
        CHECK_EQUAL(pr_connection_break(scene.relay, connection), 0);
        struct pr_reference_info info = only_reference(scene.relay);
        CHECK_EQUAL(info.bytes, 4096);
        read_body(pair.peer, 0, 4096, 0);
        close_peer(&pair);
        node_close(scene.relay, connection, &pair);
        if (info.state == PR_REFERENCE_SENT)
            wait_until(references(scene.relay) == 0 || counted(scene.relay).quarantined == 1, 5000);
        if (counted(scene.relay).quarantined > 0) break; /* it stays; the next round would count two */
    }
    scene_close(&scene);
}

/* Between the lane's FIN and its own note of it, another thread may look. */

static atomic_int fin_out, looked_at;
static atomic_bool linger;

int shutdown(int fd, int how) {
    int result = (int)syscall(SYS_shutdown, fd, how);
    if (linger) {
        fin_out = 1;
        wait_until(looked_at, 10000);
    }
    return result;
}

static void looking_while_a_lane_breaks_off_lets_nothing_go(void) {
    struct pr_options options = options_with(1);
    options.max_hold_seconds = 0.1;
    struct scene scene = {.relay = relay_start(options)};
    scene.region = region_create(scene.relay, LARGE);
    scene.pair = pair_open(ROOMY);
    scene.connection = adopt(scene.relay, &scene.pair);
    queue_unread(&scene);
    half_close_peer(&scene);
    wait_until(tcp_state(scene.pair.ours) == TCP_CLOSE_WAIT, 5000);
    linger = true;
    node_close(scene.relay, scene.connection, &scene.pair);
    wait_until(fin_out, 10000);
    CHECK_EQUAL(only_reference(scene.relay).bytes, LENGTH);
    linger = false;
    looked_at = 1;
    wait_until(only_reference(scene.relay).state == PR_REFERENCE_QUARANTINED, 5000);
    overwrite_is_seen(&scene);
    scene_close(&scene);
}

int main(void) {
    RUN(looking_while_a_lane_breaks_off_lets_nothing_go);
    RUN(a_fin_waits_for_a_half_closed_peer_to_read);
    RUN(a_fin_waits_for_an_open_peer_too);
    RUN(a_fin_need_not_wait_when_all_is_read);
    RUN(closing_keeps_our_fin_back_until_it_has_read);
    RUN(a_broken_off_peer_that_half_closes_stays_in_sight);
    RUN(and_is_done_when_it_closes);
    RUN(and_may_outlive_nodes_descriptor);
    RUN(a_peer_that_reads_all_and_closes_at_once_is_done);
    RUN(a_lane_keeps_its_broken_off_peer_in_sight);
    RUN(a_peer_half_closed_before_is_quarantined);
    RUN(a_peer_that_closes_its_side_while_broken_off_is_never_let_go_unread);
    RUN(a_peer_whose_fin_times_out_is_not_taken_for_closed);
    return 0;
}

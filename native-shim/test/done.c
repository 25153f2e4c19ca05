/* The done rule: what the table of references says while a peer reads, closes, or is somewhere else. */
#include "test.h"

#include <sys/socket.h>

enum { LENGTH = 64 << 10, PAGE = 4096 };
static const enum pr_engine copy_free[] = {PR_ENGINE_SENDFILE, PR_ENGINE_SPLICE};

struct scene {
    struct pr_relay *relay;
    struct region region;
    struct pair pair;
    uint64_t connection;
};

static struct scene scene_open(struct pr_options options) {
    struct scene scene = {.relay = relay_start(options)};
    scene.region = region_create(scene.relay, 4 * LENGTH);
    scene.pair = pair_open(ROOMY);
    scene.connection = adopt(scene.relay, &scene.pair);
    return scene;
}

static void scene_close(struct scene *scene) {
    node_close(scene->relay, scene->connection, &scene->pair);
    pair_close(&scene->pair);
    region_close(scene->relay, &scene->region);
    pr_relay_destroy(scene->relay);
}

static void check_sent(struct scene *scene, uint64_t first, uint64_t last) {
    struct pr_reference_info info = only_reference(scene->relay);
    CHECK_EQUAL(info.state, PR_REFERENCE_SENT);
    CHECK_EQUAL(info.first, first);
    CHECK_EQUAL(info.last, last);
    CHECK_EQUAL(info.bytes, last - first + 1);
    CHECK_EQUAL(counted(scene->relay).held_bytes, info.bytes);
}

static void local_reader_moves_it_on_by_whole_pages(enum pr_engine engine) {
    enum { OFFSET = 100 };
    struct scene scene = scene_open(options_with(1));
    CHECK_EQUAL(serve(scene.relay, scene.connection, &scene.region, engine, OFFSET, LENGTH, NULL), 1);
    wait_acknowledged(scene.pair.ours);
    check_sent(&scene, OFFSET, OFFSET + LENGTH - 1);
    read_body(scene.pair.peer, OFFSET, PAGE - OFFSET - 1, 0);
    check_sent(&scene, OFFSET, OFFSET + LENGTH - 1);
    read_body(scene.pair.peer, PAGE - 1, 1, 0);
    check_sent(&scene, PAGE, OFFSET + LENGTH - 1);
    read_body(scene.pair.peer, PAGE, 5 * PAGE + 7, 0);
    check_sent(&scene, 6 * PAGE, OFFSET + LENGTH - 1);
    region_write(&scene.region, 0, 6 * PAGE, 1); /* what the table has let go of can be changed unseen */
    read_body(scene.pair.peer, 6 * PAGE + 7, LENGTH + OFFSET - 6 * PAGE - 7 - 1, 0);
    check_sent(&scene, LENGTH, OFFSET + LENGTH - 1);
    read_body(scene.pair.peer, OFFSET + LENGTH - 1, 1, 0);
    CHECK_EQUAL(references(scene.relay), 0);
    scene_close(&scene);
}

static void a_local_peer_holds_pages_until_it_has_read_them(void) {
    for (int each = 0; each < 2; each++) local_reader_moves_it_on_by_whole_pages(copy_free[each]);
}

static void peeking_is_not_reading(void) {
    char byte[PAGE];
    struct scene scene = scene_open(options_with(1));
    CHECK_EQUAL(serve(scene.relay, scene.connection, &scene.region, PR_ENGINE_SENDFILE, 0, PAGE, NULL), 1);
    wait_acknowledged(scene.pair.ours);
    CHECK_EQUAL(recv(scene.pair.peer, byte, PAGE, MSG_PEEK), PAGE);
    check_sent(&scene, 0, PAGE - 1);
    scene_close(&scene);
}

static void several_in_one_queue_are_done_in_their_order(void) {
    enum { COUNT = 20 };
    struct scene scene = scene_open(options_with(1));
    for (unsigned index = 0; index < COUNT; index++)
        CHECK_EQUAL(
            serve(scene.relay, scene.connection, &scene.region, copy_free[index % 2], index * PAGE, PAGE + 1, NULL), 1);
    wait_acknowledged(scene.pair.ours);
    for (unsigned index = 0; index < COUNT; index++) {
        CHECK_EQUAL(references(scene.relay), COUNT - index);
        read_body(scene.pair.peer, index * PAGE, PAGE, 0);
        CHECK_EQUAL(references(scene.relay), COUNT - index); /* one byte of it is unread */
        read_body(scene.pair.peer, (index + 1) * PAGE, 1, 0);
        CHECK_EQUAL(references(scene.relay), COUNT - index - 1);
    }
    scene_close(&scene);
}

static void bytes_of_node_count_too(void) {
    static const char head[] = "HTTP/1.1 206 Partial Content\r\n\r\n";
    char got[sizeof head];
    struct scene scene = scene_open(options_with(1));
    for (int round = 0; round < 3; round++) {
        CHECK_EQUAL(MUST(send(scene.pair.ours, head, sizeof head, 0)), sizeof head);
        CHECK_EQUAL(serve(scene.relay, scene.connection, &scene.region, PR_ENGINE_SENDFILE, 0, PAGE, NULL), 1);
        CHECK_EQUAL(MUST(send(scene.pair.ours, head, sizeof head, 0)), sizeof head);
        CHECK_EQUAL(MUST(recv(scene.pair.peer, got, sizeof got, MSG_WAITALL)), sizeof got);
        check_sent(&scene, 0, PAGE - 1);
        read_body(scene.pair.peer, 0, PAGE - 1, 0);
        check_sent(&scene, 0, PAGE - 1);
        read_body(scene.pair.peer, PAGE - 1, 1, 0);
        CHECK_EQUAL(references(scene.relay), 0); /* whatever Node has sent after it */
        CHECK_EQUAL(MUST(recv(scene.pair.peer, got, sizeof got, MSG_WAITALL)), sizeof got);
    }
    scene_close(&scene);
}

static void a_peer_that_closes_unread_is_done(void) {
    struct scene scene = scene_open(options_with(1));
    CHECK_EQUAL(serve(scene.relay, scene.connection, &scene.region, PR_ENGINE_SENDFILE, 0, LENGTH, NULL), 1);
    wait_acknowledged(scene.pair.ours);
    check_sent(&scene, 0, LENGTH - 1);
    close_peer(&scene.pair);
    CHECK_EQUAL(references(scene.relay), 0);
    CHECK_EQUAL(counted(scene.relay).quarantined, 0);
    scene_close(&scene);
}

static void a_peer_that_has_read_and_closed_is_done(void) {
    struct scene scene = scene_open(options_with(1));
    CHECK_EQUAL(serve(scene.relay, scene.connection, &scene.region, PR_ENGINE_SPLICE, 0, LENGTH, NULL), 1);
    read_body(scene.pair.peer, 0, LENGTH, 0);
    close_peer(&scene.pair);
    CHECK_EQUAL(references(scene.relay), 0);
    scene_close(&scene);
}

static void a_closed_connection_stays_until_its_peer_has_read(void) {
    struct scene scene = scene_open(options_with(1));
    CHECK_EQUAL(serve(scene.relay, scene.connection, &scene.region, PR_ENGINE_SENDFILE, 0, LENGTH, NULL), 1);
    node_close(scene.relay, scene.connection, &scene.pair);
    stays(only_reference(scene.relay).bytes == LENGTH && counted(scene.relay).connections == 1, 50);
    read_body(scene.pair.peer, 0, LENGTH, 0);
    wait_until(counted(scene.relay).connections == 0, 5000);
    CHECK_EQUAL(references(scene.relay), 0);
    CHECK_EQUAL(read_to_end(scene.pair.peer, LENGTH, 0, NULL), 0);
    pair_close(&scene.pair);
    region_close(scene.relay, &scene.region);
    pr_relay_destroy(scene.relay);
}

/* It would be taken for the connection's start, which others have read long ago. */
static void a_body_whose_place_nobody_tells_is_held_to_the_end(void) {
    struct scene scene = scene_open(options_with(1));
    CHECK_EQUAL(serve(scene.relay, scene.connection, &scene.region, PR_ENGINE_SENDFILE, 0, LENGTH, NULL), 1);
    read_body(scene.pair.peer, 0, LENGTH, 0);
    CHECK_EQUAL(references(scene.relay), 0);
    pr_fault_set(PR_CALL_QUEUED, EPERM, 0, 1000);
    CHECK_EQUAL(serve(scene.relay, scene.connection, &scene.region, PR_ENGINE_SENDFILE, LENGTH, LENGTH, NULL), 1);
    pr_fault_set(PR_CALL_QUEUED, 0, 0, 0);
    wait_acknowledged(scene.pair.ours);
    check_sent(&scene, LENGTH, 2 * LENGTH - 1);
    read_body(scene.pair.peer, LENGTH, LENGTH, 0);
    node_close(scene.relay, scene.connection, &scene.pair);
    close_peer(&scene.pair);
    wait_until(references(scene.relay) == 0 && counted(scene.relay).connections == 0, 5000);
    region_close(scene.relay, &scene.region);
    pr_relay_destroy(scene.relay);
}

/* Nobody asks: the coarse timer alone must let go. */
static void the_timer_sees_it_unasked(void) {
    struct scene scene = scene_open(options_with(1));
    CHECK_EQUAL(serve(scene.relay, scene.connection, &scene.region, PR_ENGINE_SENDFILE, 0, LENGTH, NULL), 1);
    read_body(scene.pair.peer, 0, LENGTH, 0);
    wait_until(counted(scene.relay).references == 0, 3000);
    scene_close(&scene);
}

static void sending_on_a_connection_looks_now_and_then(void) {
    struct scene scene = scene_open(options_with(1));
    for (unsigned index = 0; index < 100; index++) {
        CHECK_EQUAL(serve(scene.relay, scene.connection, &scene.region, PR_ENGINE_SENDFILE, 0, PAGE, NULL), 1);
        read_body(scene.pair.peer, 0, PAGE, 0);
        CHECK(counted(scene.relay).references <= 17);
    }
    scene_close(&scene);
}

/* By then the timer looks less than once a second. */
static void a_lane_hears_of_a_reset_at_once(void) {
    struct scene scene = scene_open(options_with(1));
    CHECK_EQUAL(serve(scene.relay, scene.connection, &scene.region, PR_ENGINE_SENDFILE, 0, 2 * LENGTH, NULL), 0);
    CHECK_EQUAL(next_event(scene.relay).kind, PR_EVENT_ACCEPTED);
    stays(counted(scene.relay).references == 1, 800);
    reset_peer(&scene.pair);
    wait_until(counted(scene.relay).references == 0, 400);
    scene_close(&scene);
}

static void a_remote_peer_is_done_at_the_acknowledgement(void) {
    struct pr_options options = options_with(1);
    options.pretence.peers = PR_PEER_REMOTE + 1;
    struct scene scene = scene_open(options);
    CHECK_EQUAL(serve(scene.relay, scene.connection, &scene.region, PR_ENGINE_SENDFILE, 0, LENGTH, NULL), 1);
    wait_acknowledged(scene.pair.ours);
    CHECK_EQUAL(references(scene.relay), 0);
    scene_close(&scene);
}

static void a_remote_peer_holds_what_it_has_not_acknowledged(void) {
    struct pr_options options = options_with(1);
    options.pretence.peers = PR_PEER_REMOTE + 1;
    struct scene scene = scene_open(options);
    struct pair narrow = pair_open(NARROW);
    uint64_t connection = adopt(scene.relay, &narrow);
    int result = serve(scene.relay, connection, &scene.region, PR_ENGINE_SENDFILE, 0, 4 * LENGTH, NULL);
    CHECK(result >= 0);
    stays(references(scene.relay) == 1, 30);
    read_body(narrow.peer, 0, 4 * LENGTH, 0);
    if (result == 0) CHECK_EQUAL(next_event(scene.relay).kind, PR_EVENT_ACCEPTED);
    wait_until(references(scene.relay) == 0, 5000);
    node_close(scene.relay, connection, &narrow);
    pair_close(&narrow);
    scene_close(&scene);
}

static void a_reset_to_a_remote_peer_is_done(void) {
    enum { LARGE = 16 << 20 };
    struct pr_options options = options_with(1);
    options.pretence.peers = PR_PEER_REMOTE + 1;
    struct scene scene = scene_open(options);
    struct region large = region_create(scene.relay, LARGE);
    struct pair narrow = pair_open(NARROW);
    uint64_t connection = adopt(scene.relay, &narrow);
    CHECK_EQUAL(serve(scene.relay, connection, &large, PR_ENGINE_SENDFILE, 0, LARGE, NULL), 0);
    node_close(scene.relay, connection, &narrow);
    CHECK_EQUAL(next_event(scene.relay).kind, PR_EVENT_BROKEN);
    wait_until(references(scene.relay) == 0 && counted(scene.relay).connections == 1, 5000);
    bool reset;
    CHECK(read_to_end(narrow.peer, 0, 0, &reset) < LARGE);
    CHECK(reset);
    CHECK_EQUAL(counted(scene.relay).quarantined, 0);
    pair_close(&narrow);
    region_close(scene.relay, &large);
    scene_close(&scene);
}

static void an_unaskable_peer_gets_copies_only(void) {
    struct pr_options options = options_with(1);
    options.pretence.peers = PR_PEER_UNASKABLE + 1;
    struct scene scene = scene_open(options);
    for (int each = 0; each < 2; each++) {
        uint64_t transmission = hold(scene.relay, &scene.region, copy_free[each], 0, LENGTH);
        CHECK_EQUAL(pr_send(scene.relay, scene.connection, transmission, NULL, 0, NULL), -EXDEV);
        CHECK_EQUAL(pr_release(scene.relay, transmission, PR_OUTCOME_FAILED), 0);
    }
    CHECK_EQUAL(serve(scene.relay, scene.connection, &scene.region, PR_ENGINE_COPY, 0, LENGTH, NULL), 1);
    CHECK_EQUAL(references(scene.relay), 0);
    region_write(&scene.region, 0, LENGTH, 1);
    read_body(scene.pair.peer, 0, LENGTH, 0);
    scene_close(&scene);
}

/* The switch that shows that these tests would see a wrong rule. */
static void a_rule_that_lets_go_when_accepted_is_seen_to_be_wrong(void) {
    struct pr_options options = options_with(1);
    options.pretence.release_when_accepted = true;
    struct scene scene = scene_open(options);
    CHECK_EQUAL(serve(scene.relay, scene.connection, &scene.region, PR_ENGINE_SENDFILE, 0, LENGTH, NULL), 1);
    CHECK_EQUAL(references(scene.relay), 0);
    region_write(&scene.region, 0, LENGTH, 1);
    read_body(scene.pair.peer, 0, LENGTH, 1);
    scene_close(&scene);
}

int main(void) {
    pr_faults_enable();
    RUN(a_local_peer_holds_pages_until_it_has_read_them);
    RUN(peeking_is_not_reading);
    RUN(several_in_one_queue_are_done_in_their_order);
    RUN(bytes_of_node_count_too);
    RUN(a_peer_that_closes_unread_is_done);
    RUN(a_peer_that_has_read_and_closed_is_done);
    RUN(a_closed_connection_stays_until_its_peer_has_read);
    RUN(a_body_whose_place_nobody_tells_is_held_to_the_end);
    RUN(the_timer_sees_it_unasked);
    RUN(sending_on_a_connection_looks_now_and_then);
    RUN(a_lane_hears_of_a_reset_at_once);
    RUN(a_remote_peer_is_done_at_the_acknowledgement);
    RUN(a_remote_peer_holds_what_it_has_not_acknowledged);
    RUN(a_reset_to_a_remote_peer_is_done);
    RUN(an_unaskable_peer_gets_copies_only);
    RUN(a_rule_that_lets_go_when_accepted_is_seen_to_be_wrong);
    return 0;
}

/* Unix sockets: lanes accept, answer, feed and hand over there as they do with TCP, and hold pages until they are read.
 */
#include "scene.h"

static struct scene open_unix(uint64_t size) {
    struct scene scene = scene_by(AF_UNIX, options_with(1), patient(), size, 0);
    publish(&scene, PR_ENGINE_SENDFILE);
    return scene;
}

static void every_kind_of_answer_comes(void) {
    struct scene scene = open_unix(SIZE);
    EACH_ENGINE(engine) {
        publish(&scene, engine);
        int guest = visit(&scene);
        get(&scene, guest, 5, 4095);
        get(&scene, guest, 4096, 524288);
        SAY(guest, get_a);
        read_whole(&scene, guest);
        SAY(guest, head_a);
        read_begin(&scene, guest, (struct begin){.status = 200, .length = SIZE});
        ask(guest, "If-None-Match: \"a\"\r\n");
        read_begin(&scene, guest, (struct begin){.status = 304});
        ask(guest, "Connection: close\r\nRange: bytes=7-99\r\n");
        read_begin(&scene, guest, (struct begin){.status = 206, .offset = 7, .length = 93, .closes = true});
        read_body(guest, 7, 93, 0);
        expect_end(guest);
        close(guest);
    }
    CHECK_EQUAL(answers_so_far(&scene), 3 * 6);
    CHECK(no_event(scene.relay));
    scene_close(&scene);
}

static void requests_that_come_together_are_answered_in_order(void) {
    enum { COUNT = 500 };
    static char requests[COUNT * 256];
    struct scene scene = open_unix(SIZE);
    int guest = visit(&scene);
    size_t length = 0;
    for (unsigned each = 0; each < COUNT; each++) length += write_range(requests + length, each * 97, 1 + each * 31);
    say(guest, requests, length);
    for (unsigned each = 0; each < COUNT; each++) read_range(&scene, guest, each * 97, 1 + each * 31);
    close(guest);
    scene_close(&scene);
}

static void what_is_nodes_is_fed_and_given_back_or_handed_over(void) {
    static const char post[] = "POST /regions/b HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nxy";
    struct scene scene = open_unix(SIZE);
    int guest = visit(&scene);
    char client[PR_ADDRESS_TEXT];
    unsigned port = 1, door;
    struct side side = introduce(&scene, guest);
    CHECK_EQUAL(pr_connection_client(scene.relay, side.id, client, &port, &door), 0);
    CHECK(strcmp(client, "unix:") == 0 && port == 0);
    get(&scene, guest, 3, 70000);
    SAY(guest, get_b);
    expect_return(&scene, &side, PR_RETURN_FED, get_b, sizeof get_b - 1);
    node_answers(&scene, &side, guest);
    SAY(guest, post);
    expect_return(&scene, &side, PR_RETURN_HANDED, post, sizeof post - 1);
    check_is_nodes(&scene, &side, guest);
    scene_close(&scene);
}

static atomic_uint rounds;

static int counted_wait(int epoll, struct epoll_event *events, int most, int milliseconds) {
    int count = pr_sys_real.epoll_wait(epoll, events, most, milliseconds);
    if (count > 0) rounds++;
    return count;
}

/* A unix socket tells of room each time that its reader has read something. */
static void a_reader_does_not_wake_its_lane_unless_that_waits_for_room(void) {
    struct scene scene = open_unix(LARGE);
    int guest = visit(&scene);
    get(&scene, guest, 0, 100);
    for (unsigned each = 0; each < 2; each++) {
        ask_range(guest, 0, 60000);
        wait_until(answers_so_far(&scene) == 2 * each + 2, 5000);
        stays(answers_so_far(&scene) == 2 * each + 2, 20);
        unsigned before = rounds;
        read_range(&scene, guest, 0, 60000);
        stays(rounds == before, 50);
        get(&scene, guest, 0, LARGE); /* has to wait for room, and no longer does behind it */
    }
    close(guest);
    scene_close(&scene);
}

static void a_client_that_goes_before_its_answer_leaves_nothing(void) {
    struct scene scene = open_unix(LARGE);
    int guest = visit(&scene);
    SAY(guest, get_a);
    read_begin(&scene, guest, (struct begin){.status = 200, .length = LARGE});
    read_body(guest, 0, 100000, 0);
    close(guest);
    wait_empty(&scene);
    scene_close(&scene);
}

static void one_that_asks_and_closes_its_side_is_answered(void) {
    struct scene scene = open_unix(SIZE);
    int guest = visit(&scene);
    ask_range(guest, 10, 100000);
    MUST(shutdown(guest, SHUT_WR));
    read_range(&scene, guest, 10, 100000);
    expect_end(guest);
    close(guest);
    scene_close(&scene);
}

/* Pages. Overwriting proves that what is held can still be seen. */

enum { QUEUED = 96 << 10 };

static bool holds(const struct scene *scene, enum pr_reference_state state, uint64_t least) {
    struct pr_reference_info info = only_reference(scene->relay);
    return info.state == state && info.bytes >= least && strcmp(info.peer, "unix:") == 0;
}

static void pages_are_held_until_they_are_read(void) {
    struct scene scene = open_unix(SIZE);
    for (enum pr_engine engine = PR_ENGINE_SENDFILE; engine <= PR_ENGINE_SPLICE; engine++) {
        unsigned revision = engine == PR_ENGINE_SENDFILE ? 1 : 2;
        publish(&scene, engine);
        int guest = visit(&scene);
        uint64_t answers = answers_so_far(&scene);
        ask_range(guest, 4096, QUEUED);
        wait_until(answers_so_far(&scene) == answers + 1, 5000);
        CHECK(holds(&scene, PR_REFERENCE_SENT, QUEUED));
        region_write(&scene.region, 0, SIZE, revision);
        read_begin(&scene, guest, (struct begin){.status = 206, .offset = 4096, .length = QUEUED});
        read_body(guest, 4096, QUEUED - 1, revision);
        CHECK(holds(&scene, PR_REFERENCE_SENT, 1));
        read_body(guest, 4096 + QUEUED - 1, 1, revision);
        CHECK_EQUAL(references(scene.relay), 0);
        close(guest);
    }
    scene_close(&scene);
}

/* Copies, heads and what Node writes are in the socket's count as well, and in ours or not. */
static void nothing_is_let_go_of_before_it_is_read_however_much_of_what_is_queued(void) {
    struct scene scene = open_unix(SIZE);
    uint64_t random = test_seed();
    for (int round = 0; round < 60; round++) {
        enum { COUNT = 12 };
        char requests[COUNT * 256];
        uint64_t offsets[COUNT], lengths[COUNT];
        size_t length = 0;
        int guest = visit(&scene);
        struct side side = introduce(&scene, guest);
        for (unsigned each = 0; each < COUNT; each++) {
            offsets[each] = test_below(&random, SIZE / 2);
            lengths[each] = 1 + test_below(&random, test_below(&random, 2) ? 8000 : 60000);
            length += write_range(requests + length, offsets[each], lengths[each]);
        }
        say(guest, requests, length);
        for (unsigned each = 0; each < COUNT; each++) {
            uint64_t first = test_below(&random, lengths[each] + 1);
            read_begin(&scene, guest, (struct begin){.status = 206, .offset = offsets[each], .length = lengths[each]});
            read_body(guest, offsets[each], first, 0);
            if (lengths[each] >= 16 << 10 && first < lengths[each]) { /* not copied */
                struct pr_reference_info infos[COUNT];
                struct pr_page page;
                uint64_t held = 0;
                CHECK_EQUAL(pr_references(scene.relay, 0, 0, infos, COUNT, &page), 0);
                for (size_t at = 0; at < page.count; at++) held += infos[at].bytes;
                CHECK(held >= lengths[each] - first);
            }
            read_body(guest, offsets[each] + first, lengths[each] - first, 0);
        }
        wait_until(references(scene.relay) == 0, 5000); /* once the lane has counted the last */
        close(guest);
        expect_return(&scene, &side, PR_RETURN_CLOSED, NULL, 0);
        node_closes(&scene, &side);
    }
    scene_close(&scene);
}

static void after_our_end_too(void) {
    struct scene scene = open_unix(SIZE);
    int guest = visit(&scene);
    ask(guest, "Connection: close\r\nRange: bytes=0-98303\r\n");
    wait_until(answers_so_far(&scene) == 1, 5000);
    stays(holds(&scene, PR_REFERENCE_SENT, QUEUED), 300);
    region_write(&scene.region, 0, SIZE, 1);
    read_begin(&scene, guest, (struct begin){.status = 206, .length = QUEUED, .closes = true});
    read_body(guest, 0, QUEUED, 1);
    expect_end(guest);
    close(guest);
    scene_close(&scene);
}

static void and_of_one_that_is_broken_off_until_it_has_read_or_closed(void) {
    struct pr_options options = options_with(1);
    options.max_hold_seconds = 1;
    struct scene scene = scene_by(AF_UNIX, options, patient(), LARGE, 0);
    publish(&scene, PR_ENGINE_SENDFILE);
    int guests[2] = {visit(&scene), visit(&scene)};
    for (int each = 0; each < 2; each++) SAY(guests[each], get_a);
    wait_until(counted(scene.relay).transmissions[PR_ENGINE_SENDFILE][PR_OUTCOME_STALLED] == 2, 20000);
    CHECK_EQUAL(counted(scene.relay).broken_off, 2);
    CHECK(counted(scene.relay).held_bytes > 0);
    close(guests[0]);
    wait_until(counted(scene.relay).broken_off == 1, 5000);
    stays(holds(&scene, PR_REFERENCE_SENT, 1), 300);
    region_write(&scene.region, 0, LARGE, 1);
    read_begin(&scene, guests[1], (struct begin){.status = 200, .length = LARGE});
    CHECK(read_to_end(guests[1], 0, 1, NULL) < LARGE);
    wait_empty(&scene);
    close(guests[1]);
    scene_close(&scene);
}

static void node_sends_by_reference_as_well(void) {
    struct pr_relay *relay = relay_start(options_with(1));
    struct region region = region_create(relay, SIZE);
    EACH_ENGINE(engine) {
        int ends[2];
        MUST(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends));
        MUST(fcntl(ends[0], F_SETFL, O_NONBLOCK));
        struct pair pair = {.ours = ends[0], .peer = ends[1]};
        uint64_t connection = adopt(relay, &pair);
        CHECK_EQUAL(serve(relay, connection, &region, engine, 0, 32 << 10, NULL), 1);
        CHECK_EQUAL(references(relay), engine == PR_ENGINE_COPY ? 0 : 1);
        CHECK_EQUAL(pr_connection_finish(relay, connection), 1); /* its queue is seen after our end, too */
        node_close(relay, connection, &pair);
        stays(references(relay) == (engine == PR_ENGINE_COPY ? 0 : 1), 50);
        read_body(pair.peer, 0, 32 << 10, 0);
        wait_until(counted(relay).connections == 0, 5000);
        close_peer(&pair);
    }
    region_close(relay, &region);
    pr_relay_destroy(relay);
}

int main(void) {
    RUN(every_kind_of_answer_comes);
    RUN(requests_that_come_together_are_answered_in_order);
    RUN(what_is_nodes_is_fed_and_given_back_or_handed_over);
    pr_sys.epoll_wait = counted_wait;
    RUN(a_reader_does_not_wake_its_lane_unless_that_waits_for_room);
    pr_sys.epoll_wait = pr_sys_real.epoll_wait;
    RUN(a_client_that_goes_before_its_answer_leaves_nothing);
    RUN(one_that_asks_and_closes_its_side_is_answered);
    RUN(pages_are_held_until_they_are_read);
    RUN(nothing_is_let_go_of_before_it_is_read_however_much_of_what_is_queued);
    RUN(after_our_end_too);
    RUN(and_of_one_that_is_broken_off_until_it_has_read_or_closed);
    RUN(node_sends_by_reference_as_well);
    return 0;
}

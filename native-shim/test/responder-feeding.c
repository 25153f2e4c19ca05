/* The responder, of what a lane feeds to Node and goes on after. */
#include "batches.h"

/* Feeding. */

static const struct {
    const char *text;
    enum pr_fed why;
} fed[] = {
    {"GET /regions/b HTTP/1.1\r\nHost: a\r\n\r\n", PR_FED_UNPUBLISHED},
    {"GET /regions/%61 HTTP/1.1\r\nHost: a\r\n\r\n", PR_FED_UNPUBLISHED},
    {"GET http://a/regions/a HTTP/1.1\r\nHost: a\r\n\r\n", PR_FED_UNPUBLISHED},
    {"POST /regions/a HTTP/1.1\r\nHost: a\r\n\r\n", PR_FED_REQUEST},
    {"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", PR_FED_REQUEST},
    {"GET /regions/a HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", PR_FED_REQUEST},
    {"GET /regions/a HTTP/1.1\r\nHost: a\r\nRange: bytes=0-1,3-4\r\n\r\n", PR_FED_REQUEST},
    {"GET /regions/a HTTP/1.1\r\nHost: a\r\nRange: bytes=2-1\r\n\r\n", PR_FED_REQUEST},
    {"GET /regions/a HTTP/1.1\r\nHost: a\r\nIf-Match: \"a\", \"b\"\r\n\r\n", PR_FED_REQUEST},
    {"GET /regions/a HTTP/1.1\r\nHost: a\r\nConnection: if-none-match\r\n\r\n", PR_FED_REQUEST},
};

static void a_relay_is_idle_when_nothing_is_held_and_nothing_was_answered_since_it_was_asked(void) {
    struct scene scene = scene_open();
    int guest = visit(&scene);
    CHECK(pr_is_idle(scene.relay));
    SAY(guest, head_a); /* takes no reference */
    read_begin(&scene, guest, (struct begin){.status = 200, .length = SIZE});
    wait_until(answers_so_far(&scene) == 1, 5000);
    CHECK(!pr_is_idle(scene.relay));
    CHECK(pr_is_idle(scene.relay));
    const struct pr_segment extent = {.offset = 0, .length = 10};
    uint64_t transmission;
    CHECK_EQUAL(pr_hold(scene.relay, scene.region.generation, 0, 0, PR_ENGINE_STREAM, 0, &extent, 1, &transmission), 0);
    CHECK(!pr_is_idle(scene.relay));
    CHECK_EQUAL(pr_release(scene.relay, transmission, PR_OUTCOME_COMPLETE), 0);
    CHECK(pr_is_idle(scene.relay));
    close(guest);
    scene_close(&scene);
}

static void what_a_lane_does_not_answer_is_fed_to_node_which_answers_and_gives_it_back(void) {
    struct scene scene = scene_open();
    for (size_t each = 0; each < sizeof fed / sizeof *fed; each++) {
        size_t length = strlen(fed[each].text);
        uint64_t before = counted(scene.relay).fed[fed[each].why];
        int guest = visit(&scene);
        say(guest, fed[each].text, length);
        struct side side = expect_arrival(&scene, PR_RETURN_FED, fed[each].text, length);
        node_answers(&scene, &side, guest);
        get(&scene, guest, 5, 100);
        say(guest, fed[each].text, length);
        expect_return(&scene, &side, PR_RETURN_FED, fed[each].text, length);
        CHECK_EQUAL(counted(scene.relay).fed[fed[each].why], before + 2);
        CHECK_EQUAL(counted(scene.relay).reading, 0);
        node_answers(&scene, &side, guest);
        CHECK_EQUAL(counted(scene.relay).reading, 1);
        close(guest);
        expect_return(&scene, &side, PR_RETURN_CLOSED, NULL, 0);
        node_closes(&scene, &side);
        wait_empty(&scene);
    }
    scene_close(&scene);
}

/* Node reads one head, the lane what is behind it, and so on: whichever bytes have come together. */
static void requests_behind_a_fed_one_wait_for_its_answer(void) {
    struct scene scene = scene_open();
    uint64_t random = test_seed();
    for (int round = 0; round < 40; round++) {
        enum { COUNT = 30 };
        char bytes[COUNT * 256];
        bool nodes[COUNT];
        size_t length = 0;
        for (unsigned index = 0; index < COUNT; index++) {
            nodes[index] = test_below(&random, 3) == 0;
            if (nodes[index])
                length += (size_t)sprintf(bytes + length, "%s", get_b);
            else
                length += write_range(bytes + length, offset_of(index), length_of(index));
        }
        int guest = visit(&scene);
        size_t first = test_below(&random, length + 1);
        if (first > 0) say(guest, bytes, first);
        if (test_below(&random, 2)) test_pause();
        if (first < length) say(guest, bytes + first, length - first);
        struct side side = {.id = 0};
        for (unsigned index = 0; index < COUNT; index++) {
            if (!nodes[index]) {
                read_range(&scene, guest, offset_of(index), length_of(index));
            } else if (side.id == 0) {
                side = expect_arrival(&scene, PR_RETURN_FED, get_b, sizeof get_b - 1);
                node_answers(&scene, &side, guest);
            } else {
                expect_return(&scene, &side, PR_RETURN_FED, get_b, sizeof get_b - 1);
                node_answers(&scene, &side, guest);
            }
        }
        close(guest);
        if (side.id == 0) continue;
        expect_return(&scene, &side, PR_RETURN_CLOSED, NULL, 0);
        node_closes(&scene, &side);
    }
    scene_close(&scene);
}

static void a_client_that_closes_its_side_while_a_lane_sends_for_node_is_nodes_with_what_it_has_asked(void) {
    struct scene scene = slow_scene(PR_ENGINE_SENDFILE);
    int guest = visit_with(&scene, NARROW);
    struct side side = introduce(&scene, guest);
    char both[2 * sizeof get_b];
    say(guest, both, (size_t)sprintf(both, "%s%s", get_b, get_a));
    expect_return(&scene, &side, PR_RETURN_FED, get_b, sizeof get_b - 1);
    CHECK_EQUAL(serve(scene.relay, side.id, &scene.region, PR_ENGINE_SENDFILE, 0, LARGE, NULL), 0);
    read_body(guest, 0, 1 << 20, 0); /* the lane waits for room */
    CHECK(no_event(scene.relay));
    MUST(shutdown(guest, SHUT_WR));
    expect_return(&scene, &side, PR_RETURN_HANDED, get_a, sizeof get_a - 1);
    CHECK_EQUAL(counted(scene.relay).handed_over[PR_HANDED_END], 1);
    read_rest(guest);
    CHECK_EQUAL(next_event(scene.relay).kind, PR_EVENT_ACCEPTED);
    check_is_nodes(&scene, &side, guest);
    scene_close(&scene);
}

static void nothing_is_answered_while_node_answers(void) {
    struct scene scene = scene_open();
    int guest = visit(&scene);
    SAY(guest, get_b);
    struct side side = expect_arrival(&scene, PR_RETURN_FED, get_b, sizeof get_b - 1);
    ask_range(guest, 0, 10);
    uint64_t used = test_processor_time(&scene.relay->lanes->list[0]);
    stays(answers_so_far(&scene) == 0 && no_event(scene.relay), 100);
    CHECK(test_processor_time(&scene.relay->lanes->list[0]) - used < 50000000);
    node_answers(&scene, &side, guest);
    read_range(&scene, guest, 0, 10);
    node_closes(&scene, &side);
    expect_end(guest);
    close(guest);
    scene_close(&scene);
}

static void only_what_was_fed_and_read_is_given_back(void) {
    struct scene scene = scene_open();
    int guest = visit(&scene);
    SAY(guest, get_b);
    struct pr_event event = next_event(scene.relay);
    struct side side = {.id = event.id};
    CHECK_EQUAL(pr_resume(scene.relay, side.id), -EBUSY); /* what it was fed is not read yet */
    char byte;
    CHECK_EQUAL(pr_unread(scene.relay, side.id, &byte, 1), sizeof get_b - 1); /* too little room: none is taken */
    take(&scene, &side);
    expect_read(&scene, &side, get_b, sizeof get_b - 1, false);
    CHECK_EQUAL(pr_unread(scene.relay, side.id, &byte, 1), 0);
    node_answers(&scene, &side, guest);
    CHECK_EQUAL(pr_resume(scene.relay, side.id), -EBUSY);
    CHECK_EQUAL(pr_resume(scene.relay, side.id + 1), -EBADF);
    CHECK_EQUAL(pr_unread(scene.relay, side.id, &byte, 1), 0);
    uint64_t held = hold(scene.relay, &scene.region, PR_ENGINE_SENDFILE, 0, 10);
    CHECK_EQUAL(pr_send(scene.relay, side.id, held, NULL, 0, NULL), -EBUSY);
    CHECK_EQUAL(pr_connection_break(scene.relay, side.id), -EBUSY);
    CHECK_EQUAL(pr_release(scene.relay, held, PR_OUTCOME_CANCELLED), 0);
    get(&scene, guest, 0, 10);
    node_closes(&scene, &side);
    close(guest);
    scene_close(&scene);
}

/* Node's own transmissions on such a connection, and the lane's before and behind them. */
static void bodies_of_node_and_of_lanes_take_turns(void) {
    struct scene scene = scene_open();
    int guest = visit(&scene);
    struct side side = introduce(&scene, guest);
    for (unsigned round = 0; round < 20; round++) {
        get(&scene, guest, round * 1000, 5000);
        SAY(guest, get_b);
        expect_return(&scene, &side, PR_RETURN_FED, get_b, sizeof get_b - 1);
        int result = serve(scene.relay, side.id, &scene.region, (enum pr_engine)(round % 3), round * 7, 20000, NULL);
        CHECK(result >= 0);
        if (result == 0) CHECK_EQUAL(pr_resume(scene.relay, side.id), -EBUSY);
        if (result == 0) CHECK_EQUAL(next_event(scene.relay).kind, PR_EVENT_ACCEPTED);
        if (round % 2) read_body(guest, round * 7, 20000, 0);
        CHECK_EQUAL(pr_resume(scene.relay, side.id), 0);
        if (round % 2 == 0) read_body(guest, round * 7, 20000, 0);
    }
    node_closes(&scene, &side);
    close(guest);
    scene_close(&scene);
}

/* Node may have answered before the lane has gone on: it must not undo what Node has asked for. */

static _Atomic(const struct scene *) racing;
static atomic_bool resumed, is_past;
static struct pr_sys real;

static int slow_epoll_ctl(int epoll, int operation, int fd, struct epoll_event *event) {
    const struct scene *scene = operation == EPOLL_CTL_MOD ? atomic_load(&racing) : NULL;
    bool by_lane = scene && pthread_equal(pthread_self(), scene->relay->lanes->list[0].thread);
    for (uint64_t end = pr_now() + 100000000; by_lane && !atomic_load(&resumed) && pr_now() < end;) test_pause();
    int result = real.epoll_ctl(epoll, operation, fd, event);
    if (by_lane) atomic_store(&is_past, true);
    return result;
}

static void a_lane_that_is_slow_to_feed_hears_of_the_next_request_all_the_same(void) {
    struct scene scene = scene_open();
    int guest = visit(&scene);
    atomic_store(&racing, &scene);
    struct side side = introduce(&scene, guest);
    atomic_store(&resumed, true);
    wait_until(atomic_load(&is_past), 5000);
    atomic_store(&racing, NULL);
    stays(no_event(scene.relay), 20); /* what changing its events reports is over */
    get(&scene, guest, 5, 100);
    node_closes(&scene, &side);
    close(guest);
    scene_close(&scene);
}

/* How many descriptors a lane's epoll reports received bytes of: its eventfd and its listener are two. */
static unsigned listened_to(const struct scene *scene) {
    char path[64], line[256];
    unsigned count = 0, events;
    snprintf(path, sizeof path, "/proc/self/fdinfo/%d", scene->relay->lanes->list[0].poller.epoll);
    FILE *file = fopen(path, "re");
    CHECK(file);
    while (fgets(line, sizeof line, file))
        count += sscanf(line, "tfd: %*d events: %x", &events) == 1 && (events & EPOLLIN) != 0;
    fclose(file);
    return count;
}

static void a_lane_is_not_woken_for_what_node_reads(void) {
    struct scene scene = scene_open();
    int guest = visit(&scene);
    get(&scene, guest, 0, 10);
    wait_until(listened_to(&scene) == LISTENED + 1, 5000);
    SAY(guest, get_b);
    struct side side = expect_arrival(&scene, PR_RETURN_FED, get_b, sizeof get_b - 1);
    wait_until(listened_to(&scene) == LISTENED, 5000);
    node_answers(&scene, &side, guest);
    CHECK_EQUAL(listened_to(&scene), LISTENED + 1);
    SAY(guest, "\r\n");
    expect_return(&scene, &side, PR_RETURN_HANDED, "\r\n", 2);
    wait_until(listened_to(&scene) == LISTENED, 5000);
    check_is_nodes(&scene, &side, guest);
    scene_close(&scene);
}

static void nor_for_what_comes_behind_two_requests_that_are_nodes(void) {
    struct scene scene = scene_open();
    int guest = visit(&scene);
    char both[2 * sizeof get_b];
    say(guest, both, (size_t)sprintf(both, "%s%s", get_b, get_b));
    struct side side = expect_arrival(&scene, PR_RETURN_FED, get_b, sizeof get_b - 1);
    for (unsigned each = 0; each < 2; each++) {
        CHECK_EQUAL(listened_to(&scene), LISTENED);
        node_answers(&scene, &side, guest);
        if (each == 0) expect_return(&scene, &side, PR_RETURN_FED, get_b, sizeof get_b - 1);
    }
    get(&scene, guest, 5, 100);
    node_closes(&scene, &side);
    close(guest);
    scene_close(&scene);
}

int main(void) {
    real = pr_sys;
    pr_sys.epoll_ctl = slow_epoll_ctl;
    RUN(a_relay_is_idle_when_nothing_is_held_and_nothing_was_answered_since_it_was_asked);
    RUN(what_a_lane_does_not_answer_is_fed_to_node_which_answers_and_gives_it_back);
    RUN(requests_behind_a_fed_one_wait_for_its_answer);
    RUN(a_client_that_closes_its_side_while_a_lane_sends_for_node_is_nodes_with_what_it_has_asked);
    RUN(nothing_is_answered_while_node_answers);
    RUN(only_what_was_fed_and_read_is_given_back);
    RUN(bodies_of_node_and_of_lanes_take_turns);
    RUN(a_lane_that_is_slow_to_feed_hears_of_the_next_request_all_the_same);
    RUN(a_lane_is_not_woken_for_what_node_reads);
    RUN(nor_for_what_comes_behind_two_requests_that_are_nodes);
    return 0;
}

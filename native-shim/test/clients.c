/* The responder, of clients that go, are late, or take no heads: nothing is held for those who are gone. */
#include "scene.h"

#include "http/window.h"

/* Clients that go. */

static void a_client_that_ends_is_closed_by_its_lane(void) {
    struct scene scene = scene_open();
    int silent = visit(&scene), guest = visit(&scene), part = visit(&scene);
    get(&scene, guest, 0, 10);
    say(part, get_a, 10);
    int all[] = {silent, guest, part};
    for (int each = 0; each < 3; each++) {
        MUST(shutdown(all[each], SHUT_WR));
        expect_end(all[each]);
        close(all[each]);
    }
    wait_empty(&scene);
    CHECK(no_event(scene.relay));
    scene_close(&scene);
}

/* The edge of the end is that of the bytes before it, too. */
static void the_rest_of_a_head_that_comes_with_the_end_is_read(void) {
    struct scene scene = scene_open();
    int other = visit(&scene);
    char request[512];
    size_t length = write_range(request, 3, 100);
    for (size_t at = 1; at < length; at += 7) {
        int guest = visit(&scene);
        say(guest, request, at);
        get(&scene, other, 0, 10); /* by then its only lane has read that */
        say(guest, request + at, length - at);
        MUST(shutdown(guest, SHUT_WR));
        read_range(&scene, guest, 3, 100);
        expect_end(guest);
        close(guest);
    }
    close(other);
    wait_empty(&scene);
    scene_close(&scene);
}

static void an_end_behind_more_requests_than_are_read_at_once_cuts_none(void) {
    enum { REQUESTS = 500 };
    struct scene scene = scene_open();
    static char requests[REQUESTS * 128];
    size_t length = 0;
    for (unsigned each = 0; each < REQUESTS; each++) length += write_range(requests + length, each % 9, 100);
    CHECK(length > PR_WINDOW);
    int guest = visit(&scene);
    say(guest, requests, length);
    MUST(shutdown(guest, SHUT_WR));
    for (unsigned each = 0; each < REQUESTS; each++) read_range(&scene, guest, each % 9, 100);
    expect_end(guest);
    close(guest);
    wait_empty(&scene);
    scene_close(&scene);
}

/* It came with the requests before it, so there is no other edge. */
static void an_end_behind_requests_is_seen_after_their_answers(void) {
    struct scene scene = scene_open();
    char requests[1024];
    for (int round = 0; round < 20; round++) {
        int guest = visit(&scene);
        size_t length = 0;
        for (unsigned each = 0; each < 3; each++) length += write_range(requests + length, each, 100);
        say(guest, requests, length);
        MUST(shutdown(guest, SHUT_WR));
        for (unsigned each = 0; each < 3; each++) read_range(&scene, guest, each, 100);
        expect_end(guest);
        close(guest);
    }
    CHECK(no_event(scene.relay));
    scene_close(&scene);
}

/* Node has to see the end of who has asked for something that goes on for long. */
static void an_end_behind_a_fed_request_is_nodes_to_see(void) {
    char byte;
    struct scene scene = scene_open();
    int guest = visit(&scene); /* before the lane has looked, mostly */
    SAY(guest, get_b);
    MUST(shutdown(guest, SHUT_WR));
    struct pr_event event = next_event(scene.relay);
    struct side side = {.id = event.id};
    CHECK_EQUAL(event.kind, PR_EVENT_ARRIVED);
    wait_until(counted(scene.relay).handed_over[PR_HANDED_END] == 1, 5000);
    take(&scene, &side);
    if (event.bytes == PR_RETURN_FED) { /* it was seen behind that */
        event = next_event(scene.relay);
        CHECK_EQUAL(event.kind, PR_EVENT_RETURNED);
    }
    CHECK_EQUAL(event.bytes, PR_RETURN_HANDED);
    expect_read(&scene, &side, get_b, sizeof get_b - 1, true);
    CHECK_EQUAL(MUST(recv(side.ours, &byte, 1, 0)), 0);
    check_is_nodes(&scene, &side, guest);

    guest = visit(&scene); /* while Node answers, with bytes behind what it answers */
    SAY(guest, get_b);
    side = expect_arrival(&scene, PR_RETURN_FED, get_b, sizeof get_b - 1);
    SAY(guest, get_a);
    MUST(shutdown(guest, SHUT_WR));
    expect_return(&scene, &side, PR_RETURN_HANDED, get_a, sizeof get_a - 1);
    CHECK_EQUAL(MUST(recv(side.ours, &byte, 1, 0)), 0);
    check_is_nodes(&scene, &side, guest);
    CHECK_EQUAL(counted(scene.relay).handed_over[PR_HANDED_END], 2);

    guest = visit(&scene); /* and in a reset */
    SAY(guest, get_b);
    side = expect_arrival(&scene, PR_RETURN_FED, get_b, sizeof get_b - 1);
    reset(guest);
    CHECK_EQUAL(next_event(scene.relay).bytes, PR_RETURN_HANDED);
    CHECK_EQUAL(recv(side.ours, &byte, 1, 0), -1);
    CHECK_EQUAL(errno, ECONNRESET);
    node_closes(&scene, &side);
    scene_close(&scene);
}

static void a_reset_ends_what_it_finds(void) {
    struct scene scene = scene_open();
    int silent = visit(&scene), idle = visit(&scene), part = visit(&scene), unread = visit_with(&scene, ROOMY);
    get(&scene, idle, 0, 10);
    say(part, get_a, 10);
    ask_range(unread, 0, SIZE / 2);
    wait_until(answers_so_far(&scene) == 2, 5000);
    reset(silent);
    reset(idle);
    reset(part);
    reset(unread);
    wait_empty(&scene);
    CHECK(no_event(scene.relay));
    scene_close(&scene);
}

static void a_reset_in_mid_answer_breaks_it_off(void) {
    EACH_ENGINE(engine) {
        struct scene scene = slow_scene(engine);
        reset(begin_slow_answer(&scene));
        wait_empty(&scene);
        CHECK_EQUAL(counted(scene.relay).transmissions[engine][PR_OUTCOME_ABORTED], 1);
        CHECK_EQUAL(counted(scene.relay).answers[PR_ANSWERED_WHOLE], 1);
        int known = visit_with(&scene, NARROW);
        struct side side = introduce(&scene, known);
        SAY(known, get_a);
        wait_until(counted(scene.relay).by_state[PR_SENDING] == 1, 5000);
        reset(known);
        expect_return(&scene, &side, PR_RETURN_CLOSED, NULL, 0);
        node_closes(&scene, &side);
        scene_close(&scene);
    }
}

/* What a lane has read of one that it broke off, it may not take for what the next one has asked. */
static void requests_of_a_broken_connection_are_nobody_elses(void) {
    struct scene scene = slow_scene(PR_ENGINE_SENDFILE);
    for (int round = 0; round < 10; round++) {
        int guest = begin_slow_answer(&scene), next = visit(&scene);
        for (int each = 0; each < 20; each++) SAY(guest, get_b);
        reset(guest);
        get(&scene, next, 5, 100);
        close(next);
        wait_empty(&scene);
    }
    CHECK(no_event(scene.relay));
    scene_close(&scene);
}

static void a_client_that_stalls_is_broken_off(void) {
    EACH_ENGINE(engine) {
        struct pr_options options = options_with(1);
        options.max_hold_seconds = 0.3;
        struct scene scene = scene_with(options, patient(), LARGE, 0);
        publish(&scene, engine);
        int guest = begin_slow_answer(&scene);
        wait_until(counted(scene.relay).transmissions[engine][PR_OUTCOME_STALLED] == 1, 8000);
        uint64_t sent = counted(scene.relay).sent_bytes[engine];
        bool was_reset;
        uint64_t got = read_to_end(guest, 1 << 20, 0, &was_reset);
        /* Who its client is does not matter for copies, and is not known: it is reset, and loses what it has not read.
         */
        CHECK_EQUAL(was_reset, engine == PR_ENGINE_COPY);
        CHECK(got == sent - (1 << 20) || (was_reset && got < sent - (1 << 20)));
        close(guest);
        scene_close(&scene);
    }
}

static void nor_may_one_leave_whole_answers_unread_for_ever(void) {
    struct pr_options options = options_with(1);
    options.max_hold_seconds = 0.3;
    struct scene scene = scene_with(options, patient(), SIZE, 0);
    publish(&scene, PR_ENGINE_SENDFILE);
    int guest = visit_with(&scene, ROOMY);
    ask_range(guest, 0, SIZE / 2);
    wait_until(answers_so_far(&scene) == 1, 5000);
    wait_until(counted(scene.relay).broken_off == 1, 8000);
    CHECK_EQUAL(references(scene.relay), 1);
    read_range(&scene, guest, 0, SIZE / 2);
    expect_end(guest);
    close(guest);
    scene_close(&scene);
}

/* Deadlines. */

static void an_idle_connection_is_closed_when_its_time_is_over(void) {
    struct pr_responding brief = {.keep_alive = 1, .head = 60};
    struct scene scene = scene_with(options_with(1), brief, SIZE, 0);
    publish(&scene, PR_ENGINE_SENDFILE);
    int silent = visit(&scene), guest = visit(&scene), known = visit(&scene);
    get(&scene, guest, 0, 10);
    struct side side = introduce(&scene, known);
    expect_end(silent);
    expect_end(guest);
    expect_return(&scene, &side, PR_RETURN_CLOSED, NULL, 0);
    node_closes(&scene, &side);
    expect_end(known);
    CHECK(no_event(scene.relay));
    close(silent);
    close(guest);
    close(known);
    scene_close(&scene);
}

static void a_head_that_takes_too_long_is_nodes_to_refuse(void) {
    struct pr_responding brief = {.keep_alive = 60, .head = 1};
    struct scene scene = scene_with(options_with(1), brief, SIZE, 0);
    publish(&scene, PR_ENGINE_SENDFILE);
    int guest = visit(&scene), idle = visit(&scene);
    get(&scene, idle, 0, 10);
    say(guest, get_a, 10);
    for (size_t at = 10; counted(scene.relay).handed_over[PR_HANDED_LATE] == 0; test_pause())
        if (at < 20) say(guest, get_a + at++, 1); /* which does not give it more time */
    struct side side = expect_arrival(&scene, PR_RETURN_LATE, get_a, 20);
    check_is_nodes(&scene, &side, guest);
    get(&scene, idle, 0, 10); /* who has asked for nothing is not late */
    close(idle);
    scene_close(&scene);
}

static void an_answer_may_take_longer_than_an_idle_connection(void) {
    struct pr_responding brief = {.keep_alive = 1, .head = 1};
    struct scene scene = scene_with(options_with(1), brief, LARGE, 0);
    publish(&scene, PR_ENGINE_SENDFILE);
    int guest = begin_slow_answer(&scene), idle = visit(&scene);
    expect_end(idle); /* a second is over */
    read_rest(guest);
    get(&scene, guest, 0, 10);
    close(idle);
    close(guest);
    scene_close(&scene);
}

/* Responses without a body to a socket that is full. */

static uint64_t send_until_full(int guest, const char *request) {
    size_t length = strlen(request), part = 0;
    uint64_t count = 0;
    for (uint64_t quiet = pr_now() + 100000000; pr_now() < quiet; test_pause())
        for (ssize_t sent; (sent = send(guest, request + part, length - part, MSG_DONTWAIT | MSG_NOSIGNAL)) > 0;) {
            part += (size_t)sent;
            if (part == length) part = 0, count++;
            quiet = pr_now() + 100000000;
        }
    CHECK(count > 0);
    return count; /* whole ones */
}

static int visit_narrowly(const struct scene *scene) {
    int guest = visit_with(scene, 2048), size = 2048;
    MUST(setsockopt(guest, SOL_SOCKET, SO_SNDBUF, &size, sizeof size));
    return guest;
}

static struct scene narrow_scene(unsigned keep_alive) {
    struct pr_responding responding = {.keep_alive = keep_alive, .head = 60};
    struct scene scene = scene_with(options_with(1), responding, SIZE, 2048);
    publish(&scene, PR_ENGINE_SENDFILE);
    return scene;
}

static void heads_that_a_socket_has_no_room_for_are_sent_when_it_has(void) {
    static const char not_modified[] = "GET /regions/a HTTP/1.1\r\nHost: a\r\nIf-None-Match: \"a\"\r\n\r\n";
    struct scene scene = narrow_scene(72);
    for (int kind = 0; kind < 2; kind++) {
        int guest = visit_narrowly(&scene), beside = visit(&scene);
        uint64_t count = send_until_full(guest, kind == 0 ? head_a : not_modified);
        get(&scene, beside, 9, 900); /* the lane's buffer has another head by now */
        for (uint64_t each = 0; each < count; each++)
            read_begin(&scene, guest, (struct begin){.status = kind == 0 ? 200 : 304, .length = SIZE});
        close(guest);
        close(beside);
        wait_empty(&scene);
    }
    CHECK(no_event(scene.relay));
    scene_close(&scene);
}

/* However much it has asked for besides. */
static void who_does_not_take_them_is_closed_like_an_idle_one(void) {
    struct scene scene = narrow_scene(1);
    int guest = visit_narrowly(&scene);
    send_until_full(guest, head_a);
    wait_empty(&scene);
    close(guest);
    scene_close(&scene);
}

static void a_client_that_goes_then_leaves_nothing(void) {
    struct scene scene = narrow_scene(72);
    for (int how = 0; how < 2; how++) {
        int guest = visit_narrowly(&scene);
        send_until_full(guest, head_a);
        if (how == 0) reset(guest);
        if (how == 1) close(guest); /* with bytes unread: a reset */
        wait_empty(&scene);
    }
    scene_close(&scene);
}

static void destroyed_with_connections_in_every_state(void) {
    for (unsigned lanes = 1; lanes <= 2; lanes++) {
        struct scene scene = scene_with(options_with(lanes), patient(), LARGE, 2048);
        publish(&scene, PR_ENGINE_SENDFILE);
        int silent = visit(&scene), idle = visit(&scene), part = visit(&scene), unread = visit_with(&scene, ROOMY);
        int fed = visit(&scene), untaken = visit(&scene), known = visit(&scene), handed = visit(&scene);
        int full = visit_narrowly(&scene), busy = visit_with(&scene, NARROW), behind = visit(&scene);
        get(&scene, idle, 0, 10);
        say(part, get_a, 10);
        ask_range(unread, 0, 1000);
        SAY(fed, get_b);
        struct side one = expect_arrival(&scene, PR_RETURN_FED, get_b, sizeof get_b - 1);
        struct side two = introduce(&scene, known);
        SAY(handed, "\r\n");
        struct side three = expect_arrival(&scene, PR_RETURN_HANDED, "\r\n", 2);
        SAY(behind, get_b);
        struct side four = expect_arrival(&scene, PR_RETURN_FED, get_b, sizeof get_b - 1);
        SAY(behind, get_b);
        SAY(untaken, get_b);
        send_until_full(full, head_a);
        SAY(busy, get_a);
        wait_until(counted(scene.relay).by_state[PR_SENDING] == 1, 5000);
        region_close(scene.relay, &scene.region);
        pr_relay_destroy(scene.relay);
        close(scene.listener);
        int all[] = {silent, idle, part,   unread,   fed,      untaken,    known,    handed,
                     full,   busy, behind, one.ours, two.ours, three.ours, four.ours};
        for (size_t each = 0; each < sizeof all / sizeof *all; each++) close(all[each]);
    }
}

int main(void) {
    RUN(a_client_that_ends_is_closed_by_its_lane);
    RUN(the_rest_of_a_head_that_comes_with_the_end_is_read);
    RUN(an_end_behind_more_requests_than_are_read_at_once_cuts_none);
    RUN(an_end_behind_requests_is_seen_after_their_answers);
    RUN(an_end_behind_a_fed_request_is_nodes_to_see);
    RUN(a_reset_ends_what_it_finds);
    RUN(a_reset_in_mid_answer_breaks_it_off);
    RUN(requests_of_a_broken_connection_are_nobody_elses);
    RUN(a_client_that_stalls_is_broken_off);
    RUN(nor_may_one_leave_whole_answers_unread_for_ever);
    RUN(an_idle_connection_is_closed_when_its_time_is_over);
    RUN(a_head_that_takes_too_long_is_nodes_to_refuse);
    RUN(an_answer_may_take_longer_than_an_idle_connection);
    RUN(heads_that_a_socket_has_no_room_for_are_sent_when_it_has);
    RUN(who_does_not_take_them_is_closed_like_an_idle_one);
    RUN(a_client_that_goes_then_leaves_nothing);
    RUN(destroyed_with_connections_in_every_state);
    return 0;
}

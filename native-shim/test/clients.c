/*
 * The responder, of clients that read slowly, go, or are late, and of Node that goes: nothing is held for those who are
 * gone.
 */
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

/* Answers that end their connection. */

static void a_connection_ends_behind_an_answer_when_it_was_asked_to(void) {
    struct scene scene = scene_open();
    for (int engine = PR_ENGINE_SENDFILE; engine <= PR_ENGINE_COPY; engine++) {
        static const uint64_t lengths[] = {100, 64 << 10, (64 << 10) + 1, SIZE};
        publish(&scene, (enum pr_engine)engine);
        for (int each = 0; each < 4; each++) {
            char lines[128];
            int guest = visit_with(&scene, ROOMY);
            sprintf(lines, "Range: bytes=0-%llu\r\nConnection: close\r\n", (unsigned long long)lengths[each] - 1);
            ask(guest, lines);
            read_begin(&scene, guest, (struct begin){.status = 206, .length = lengths[each], .closes = true});
            read_body(guest, 0, lengths[each], 0);
            expect_end(guest);
            close(guest);
            wait_empty(&scene);
        }
    }
    CHECK_EQUAL(answers_so_far(&scene), 12);
    CHECK(counted(scene.relay).sent_bytes[PR_ENGINE_SENDFILE] > 0);
    CHECK(no_event(scene.relay));
    scene_close(&scene);
}

/* The kernel would reset a connection that is closed while its client sends: Node closes it in stages. */
static void one_whose_client_sends_on_is_nodes_to_end(void) {
    static const uint64_t lengths[] = {100, SIZE};
    struct scene scene = scene_open();
    for (int each = 0; each < 2; each++) {
        char lines[128], both[512];
        sprintf(lines, "Range: bytes=0-%llu\r\nConnection: close\r\n", (unsigned long long)lengths[each] - 1);
        size_t length = write_request(both, lines);
        memcpy(both + length, get_a, 20);
        int guest = visit_with(&scene, ROOMY);
        say(guest, both, length + 20);
        read_begin(&scene, guest, (struct begin){.status = 206, .length = lengths[each], .closes = true});
        read_body(guest, 0, lengths[each], 0);
        struct side side = expect_arrival(&scene, PR_RETURN_LAST, get_a, 20);
        CHECK_EQUAL(pr_resume(scene.relay, side.id), -EBUSY);
        node_closes(&scene, &side);
        close(guest);
    }
    CHECK_EQUAL(counted(scene.relay).handed_over[PR_HANDED_LAST], 2);
    scene_close(&scene);
}

static void a_last_request_that_node_answers_comes_with_all_that_was_sent_behind_it(void) {
    static const char last[] = "GET /regions/b HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\nGET /";
    struct scene scene = scene_open();
    int guest = visit(&scene);
    SAY(guest, last);
    struct side side = expect_arrival(&scene, PR_RETURN_HANDED, last, sizeof last - 1);
    node_closes(&scene, &side);
    close(guest);
    scene_close(&scene);
}

/* A peer whose FIN has come, and has had ours, can't be asked any more. */
static void its_end_comes_when_all_was_read(void) {
    struct scene scene = scene_open();
    int guest = visit_with(&scene, ROOMY);
    ask(guest, "Connection: close\r\n");
    wait_until(answers_so_far(&scene) == 1, 5000);
    MUST(shutdown(guest, SHUT_WR));
    stays(references(scene.relay) == 1, 400);
    read_begin(&scene, guest, (struct begin){.status = 200, .length = SIZE, .closes = true});
    read_body(guest, 0, SIZE, 0);
    expect_end(guest);
    close(guest);
    scene_close(&scene);
}

static void heads_and_http_1_0_end_connections_too(void) {
    static const char *const texts[] = {
        "HEAD /regions/a HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
        "HEAD /regions/a HTTP/1.0\r\n\r\n",
        "GET /regions/a HTTP/1.1\r\nHost: a\r\nIf-None-Match: \"a\"\r\nConnection: close\r\n\r\n",
    };
    struct scene scene = scene_open();
    for (int each = 0; each < 3; each++) {
        int guest = visit(&scene);
        say(guest, texts[each], strlen(texts[each]));
        read_begin(&scene, guest, (struct begin){.status = each == 2 ? 304 : 200, .length = SIZE, .closes = true});
        expect_end(guest);
        close(guest);
    }
    CHECK(no_event(scene.relay));
    scene_close(&scene);
}

/* Node goes. */

static void node_that_closes_what_a_lane_reads(void) {
    struct scene scene = scene_open();
    int idle = visit(&scene), unread = visit_with(&scene, ROOMY), part = visit(&scene);
    struct side one = introduce(&scene, idle), two = introduce(&scene, unread), three = introduce(&scene, part);
    ask_range(unread, 0, SIZE / 2);
    wait_until(answers_so_far(&scene) == 1, 5000);
    say(part, get_a, 10);
    node_closes(&scene, &one);
    node_closes(&scene, &two);
    node_closes(&scene, &three);
    expect_end(idle);
    expect_end(part);
    stays(references(scene.relay) == 1, 50);
    ask_range(unread, 0, 10); /* nobody answers that */
    read_range(&scene, unread, 0, SIZE / 2);
    expect_end(unread);
    CHECK_EQUAL(answers_so_far(&scene), 1);
    CHECK(no_event(scene.relay));
    close(idle);
    close(unread);
    close(part);
    scene_close(&scene);
}

static void node_that_closes_in_mid_answer_breaks_it_off(void) {
    EACH_ENGINE(engine) {
        struct scene scene = slow_scene(engine);
        int guest = visit_with(&scene, NARROW);
        struct side side = introduce(&scene, guest);
        SAY(guest, get_a);
        wait_until(counted(scene.relay).by_state[PR_SENDING] == 1, 5000);
        node_closes(&scene, &side);
        wait_until(counted(scene.relay).transmissions[engine][PR_OUTCOME_CANCELLED] == 1, 5000);
        read_begin(&scene, guest, (struct begin){.status = 200, .length = LARGE});
        uint64_t sent = counted(scene.relay).sent_bytes[engine];
        CHECK(sent < LARGE);
        CHECK_EQUAL(read_to_end(guest, 0, 0, NULL), sent);
        CHECK(no_event(scene.relay));
        close(guest);
        scene_close(&scene);
    }
}

static void node_that_closes_what_it_was_fed_or_never_took(void) {
    struct scene scene = scene_open();
    int taken = visit(&scene), untaken = visit(&scene);
    SAY(taken, get_b);
    struct side side = expect_arrival(&scene, PR_RETURN_FED, get_b, sizeof get_b - 1);
    SAY(untaken, get_b);
    struct pr_event event = next_event(scene.relay);
    node_closes(&scene, &side);
    CHECK_EQUAL(pr_connection_close(scene.relay, event.id), 0);
    expect_end(taken);
    expect_end(untaken);
    close(taken);
    close(untaken);
    scene_close(&scene);
}

/* Done. */

static void answers_are_held_until_the_client_has_read_them(void) {
    enum { COUNT = 12 };
    static const enum pr_engine copy_free[] = {PR_ENGINE_SENDFILE, PR_ENGINE_SPLICE};
    for (int each = 0; each < 2; each++) {
        struct scene scene = scene_open();
        publish(&scene, copy_free[each]);
        int guest = visit_with(&scene, ROOMY);
        for (uint64_t index = 0; index < COUNT; index++) ask_range(guest, 2 * index * PAGE + 7, PAGE);
        wait_until(answers_so_far(&scene) == COUNT, 5000);
        for (uint64_t index = 0; index < COUNT; index++) {
            uint64_t offset = 2 * index * PAGE + 7;
            CHECK_EQUAL(references(scene.relay), COUNT - index);
            read_begin(&scene, guest, (struct begin){.status = 206, .offset = offset, .length = PAGE});
            read_body(guest, offset, PAGE - 1, 0);
            CHECK_EQUAL(references(scene.relay), COUNT - index);
            read_body(guest, offset + PAGE - 1, 1, 0);
            wait_until(references(scene.relay) == COUNT - index - 1, 5000);
        }
        close(guest);
        scene_close(&scene);
    }
}

/* Where a body begins in what was ever sent, whoever has sent what was before it. */
static void positions_are_right_whoever_has_sent_before(void) {
    struct scene scene = scene_open();
    uint64_t random = test_seed();
    int guest = visit_with(&scene, ROOMY);
    struct side side = introduce(&scene, guest);
    for (unsigned round = 0; round < 20; round++) {
        uint64_t offsets[30], lengths[30];
        unsigned count = 1 + (unsigned)test_below(&random, 15);
        uint64_t before = answers_so_far(&scene);
        for (unsigned index = 0; index < count; index++) {
            offsets[index] = test_below(&random, SIZE / 2);
            lengths[index] = 1 + test_below(&random, 9000);
            if (index % 3 == 2) SAY(guest, head_a);
            ask_range(guest, offsets[index], lengths[index]);
        }
        SAY(guest, get_b);
        expect_return(&scene, &side, PR_RETURN_FED, get_b, sizeof get_b - 1);
        CHECK_EQUAL(answers_so_far(&scene), before + count + count / 3);
        CHECK_EQUAL(serve(scene.relay, side.id, &scene.region, PR_ENGINE_SENDFILE, 5, 10, NULL), 1);
        for (unsigned index = 0; index < count; index++) {
            if (index % 3 == 2) read_begin(&scene, guest, (struct begin){.status = 200, .length = SIZE});
            wait_until(references(scene.relay) == count - index + 1, 5000); /* fewer would never become more */
            read_range(&scene, guest, offsets[index], lengths[index]);
        }
        wait_until(references(scene.relay) == 1, 5000);
        read_body(guest, 5, 9, 0);
        CHECK_EQUAL(references(scene.relay), 1);
        read_body(guest, 14, 1, 0);
        wait_until(references(scene.relay) == 0, 5000);
        CHECK_EQUAL(pr_resume(scene.relay, side.id), 0);
    }
    finish(&scene, guest, &side);
}

static void a_client_that_reads_nothing_back_is_looked_at_now_and_then(void) {
    struct scene scene = scene_open();
    int guest = visit(&scene);
    for (unsigned index = 0; index < 200; index++) {
        get(&scene, guest, index * PAGE, 100);
        CHECK(counted(scene.relay).references <= 17);
    }
    close(guest);
    scene_close(&scene);
}

static void an_unaskable_peer_is_sent_copies_only(void) {
    struct pr_options options = options_with(1);
    options.pretence.peers = PR_PEER_UNASKABLE + 1;
    struct scene scene = scene_with(options, patient(), SIZE, 0);
    publish(&scene, PR_ENGINE_SENDFILE);
    int guest = visit(&scene);
    get(&scene, guest, 5, 50000);
    wait_until(counted(scene.relay).sent_bytes[PR_ENGINE_COPY] == 50000, 5000);
    close(guest);
    scene_close(&scene);
}

static void a_slow_reader_is_waited_for_and_its_next_requests_answered(void) {
    EACH_ENGINE(engine) {
        struct scene scene = slow_scene(engine);
        int guest = begin_slow_answer(&scene), beside = visit(&scene);
        ask_range(guest, 77, 1000);
        ask_range(guest, 5, 3 << 20);
        uint64_t used = test_processor_time(&scene.relay->lanes->list[0]);
        stays(no_event(scene.relay), 300);
        CHECK(test_processor_time(&scene.relay->lanes->list[0]) - used < 150000000);
        get(&scene, beside, 3, 100);
        read_rest(guest);
        read_range(&scene, guest, 77, 1000);
        read_range(&scene, guest, 5, 3 << 20);
        close(guest);
        close(beside);
        scene_close(&scene);
    }
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
    RUN(a_connection_ends_behind_an_answer_when_it_was_asked_to);
    RUN(one_whose_client_sends_on_is_nodes_to_end);
    RUN(a_last_request_that_node_answers_comes_with_all_that_was_sent_behind_it);
    RUN(its_end_comes_when_all_was_read);
    RUN(heads_and_http_1_0_end_connections_too);
    RUN(node_that_closes_what_a_lane_reads);
    RUN(node_that_closes_in_mid_answer_breaks_it_off);
    RUN(node_that_closes_what_it_was_fed_or_never_took);
    RUN(answers_are_held_until_the_client_has_read_them);
    RUN(positions_are_right_whoever_has_sent_before);
    RUN(a_client_that_reads_nothing_back_is_looked_at_now_and_then);
    RUN(an_unaskable_peer_is_sent_copies_only);
    RUN(a_slow_reader_is_waited_for_and_its_next_requests_answered);
    RUN(destroyed_with_connections_in_every_state);
    return 0;
}

/* The responder, of answers that end their connection, and of Node that closes it. */
#include "scene.h"

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

int main(void) {
    RUN(a_connection_ends_behind_an_answer_when_it_was_asked_to);
    RUN(one_whose_client_sends_on_is_nodes_to_end);
    RUN(a_last_request_that_node_answers_comes_with_all_that_was_sent_behind_it);
    RUN(its_end_comes_when_all_was_read);
    RUN(heads_and_http_1_0_end_connections_too);
    RUN(node_that_closes_what_a_lane_reads);
    RUN(node_that_closes_in_mid_answer_breaks_it_off);
    RUN(node_that_closes_what_it_was_fed_or_never_took);
    return 0;
}

/* The responder, of what a lane answers by itself. */
#include "batches.h"

/* Answers. */

static void every_engine_answers_ranges(void) {
    static const struct {
        const char *value;
        uint64_t offset, length;
    } cases[] = {
        {"bytes=0-0", 0, 1},
        {"bytes=5-4099", 5, 4095},
        {"bytes=1048575-", SIZE - 1, 1},
        {"bytes=1000000-9999999", 1000000, SIZE - 1000000},
        {"bytes=-7", SIZE - 7, 7},
        {"bytes=-999999999999999999", 0, SIZE},
        {"bytes=0-", 0, SIZE},
        {"bytes=4096-528383", 4096, 524288},
    };
    struct scene scene = scene_open();
    int guest = visit(&scene);
    EACH_ENGINE(engine) {
        uint64_t sent = 0, count = sizeof cases / sizeof *cases;
        publish(&scene, engine);
        for (size_t each = 0; each < count; each++) {
            char line[64];
            sprintf(line, "Range: %s\r\n", cases[each].value);
            ask(guest, line);
            read_range(&scene, guest, cases[each].offset, cases[each].length);
            sent += cases[each].length;
        }
        check_quiet(&scene);
        wait_until(counted(scene.relay).transmissions[engine][PR_OUTCOME_COMPLETE] == count, 5000);
        CHECK_EQUAL(counted(scene.relay).sent_bytes[engine], sent);
        CHECK_EQUAL(counted(scene.relay).ranged_by_engine[engine], count);
    }
    close(guest);
    CHECK(no_event(scene.relay)); /* Node hears of none of it */
    scene_close(&scene);
}

static void the_size_of_a_body_chooses_its_engine(void) {
    struct scene scene = scene_open();
    struct pr_publication given = publication_of(&scene, PR_ENGINE_SENDFILE);
    given.copy_below = 100;
    given.large_from = 5000;
    given.large = PR_ENGINE_SPLICE;
    CHECK_EQUAL(pr_publish(scene.relay, &given), 0);
    int guest = visit(&scene);
    get(&scene, guest, 3, 99);
    get(&scene, guest, 3, 100);
    get(&scene, guest, 3, 4999);
    get(&scene, guest, 3, 5000);
    wait_until(answers_so_far(&scene) == 4, 5000);
    struct pr_counters counters = counted(scene.relay);
    CHECK_EQUAL(counters.sent_bytes[PR_ENGINE_COPY], 99);
    CHECK_EQUAL(counters.sent_bytes[PR_ENGINE_SENDFILE], 5099);
    CHECK_EQUAL(counters.sent_bytes[PR_ENGINE_SPLICE], 5000);
    close(guest);
    scene_close(&scene);
}

static uint64_t copied_once_answered(const struct scene *scene, uint64_t answers) {
    wait_until(answers_so_far(scene) == answers, 5000);
    return counted(scene->relay).sent_bytes[PR_ENGINE_COPY];
}

/* Of a copy nobody need know who its peer is. */
static void a_short_first_body_is_copied_and_no_other(void) {
    struct scene scene = scene_open();
    struct pr_publication given = publication_of(&scene, PR_ENGINE_SENDFILE);
    given.copy_first_below = 100;
    CHECK_EQUAL(pr_publish(scene.relay, &given), 0);
    int guests[] = {visit(&scene), visit(&scene), visit(&scene)};
    get(&scene, guests[0], 3, 99);
    CHECK_EQUAL(copied_once_answered(&scene, 1), 99);
    CHECK_EQUAL(references(scene.relay), 0);
    get(&scene, guests[0], 3, 50);
    CHECK_EQUAL(copied_once_answered(&scene, 2), 99);
    get(&scene, guests[1], 3, 100);
    CHECK_EQUAL(copied_once_answered(&scene, 3), 99);
    SAY(guests[2], head_a);
    read_begin(&scene, guests[2], (struct begin){.status = 200, .length = scene.region.size});
    get(&scene, guests[2], 3, 50);
    CHECK_EQUAL(copied_once_answered(&scene, 5), 99);
    for (unsigned each = 0; each < 3; each++) close(guests[each]);
    scene_close(&scene);
}

/* All of it; its bytes are those of native-shim/test/answer.c. */
static void read_problem(int guest, const char *begin, bool has_body) {
    char head[1024] = "", body[1024];
    for (size_t at = 0; !strstr(head, "\r\n\r\n"); at++) {
        CHECK(at < sizeof head - 1);
        CHECK_EQUAL(MUST(recv(guest, head + at, 1, 0)), 1);
    }
    const char *length = strstr(head, "content-length: ");
    CHECK(strncmp(head, begin, strlen(begin)) == 0 && length);
    const size_t told = strtoul(length + strlen("content-length: "), NULL, 10);
    CHECK(told < sizeof body);
    if (has_body) CHECK_EQUAL(MUST(recv(guest, body, told, MSG_WAITALL)), told);
}

static void each_kind_of_answer_is_counted_as_such(void) {
    struct scene scene = scene_open();
    int guest = visit(&scene);
    SAY(guest, get_a);
    read_whole(&scene, guest);
    SAY(guest, head_a);
    read_begin(&scene, guest, (struct begin){.status = 200, .length = SIZE});
    ask(guest, "If-None-Match: \"a\"\r\n");
    read_begin(&scene, guest, (struct begin){.status = 304});
    SAY(guest, "HEAD /regions/a HTTP/1.1\r\nHost: a\r\nIf-None-Match: W/\"a\"\r\n\r\n");
    read_begin(&scene, guest, (struct begin){.status = 304});
    ask(guest, "Range: bytes=1-2\r\nIf-Range: \"a\"\r\nX-Request-Id: 1\r\nAccept: */*\r\nCookie: a=b\r\n");
    read_range(&scene, guest, 1, 2);
    ask(guest, "If-Match: \"b\"\r\n");
    read_problem(guest, "HTTP/1.1 412 ", true);
    SAY(guest, "HEAD /regions/a HTTP/1.1\r\nHost: a\r\nIf-Match: \"b\"\r\n\r\n");
    read_problem(guest, "HTTP/1.1 412 ", false);
    ask(guest, "Range: bytes=-0\r\n");
    read_problem(guest, "HTTP/1.1 416 ", true);
    wait_until(answers_so_far(&scene) == 8, 5000);
    for (int kind = 0; kind < PR_ANSWERED_LIMITED; kind++) CHECK_EQUAL(counted(scene.relay).answers[kind], 1);
    CHECK_EQUAL(counted(scene.relay).whole_by_engine[PR_ENGINE_SENDFILE], 1);
    close(guest);
    scene_close(&scene);
}

/* Several requests at once. */

enum { MOST_REQUESTS = 1000 };

static void pipelined_requests_are_answered_in_order(void) {
    static const unsigned counts[] = {1, 2, 3, 100, MOST_REQUESTS};
    struct scene scene = scene_open();
    EACH_ENGINE(engine) for (size_t each = 0; each < sizeof counts / sizeof *counts; each++) {
        publish(&scene, engine);
        int guest = visit_with(&scene, ROOMY);
        struct batch batch = batch_of(0, counts[each]);
        say(guest, batch.bytes, batch.length);
        read_batch(&scene, guest, 0, counts[each]);
        free(batch.bytes);
        close(guest);
    }
    scene_close(&scene);
}

/* What the window cuts a head at moves through a whole head. */
static void a_head_that_the_window_cuts_is_answered_too(void) {
    enum { COUNT = 300 };
    struct scene scene = scene_open();
    publish(&scene, PR_ENGINE_COPY);
    struct batch batch = batch_of(0, COUNT);
    for (int shift = 0; shift < 110; shift += 3) {
        char first[512], line[256];
        int guest = visit_with(&scene, ROOMY);
        sprintf(line, "X: %0*d\r\nRange: bytes=0-0\r\n", shift + 1, 0);
        size_t length = write_request(first, line);
        char *both = malloc(length + batch.length);
        memcpy(both, first, length);
        memcpy(both + length, batch.bytes, batch.length);
        say(guest, both, length + batch.length);
        read_range(&scene, guest, 0, 1);
        read_batch(&scene, guest, 0, COUNT);
        free(both);
        close(guest);
    }
    free(batch.bytes);
    scene_close(&scene);
}

/* Each piece is there, and was looked at, before the next comes. */
static void a_head_in_pieces_is_answered_whole(void) {
    struct scene scene = scene_open();
    char request[256];
    size_t length = write_range(request, 10, 16);
    int guest = visit(&scene), yes = 1;
    MUST(setsockopt(guest, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes));
    for (size_t cut = 1; cut < length; cut++) {
        say(guest, request, cut);
        wait_acknowledged(guest);
        test_pause();
        say(guest, request + cut, length - cut);
        read_range(&scene, guest, 10, 16);
    }
    for (size_t at = 0; at < length; at++) {
        say(guest, request + at, 1);
        test_pause();
    }
    read_range(&scene, guest, 10, 16);
    close(guest);
    CHECK(no_event(scene.relay));
    scene_close(&scene);
}

static void neither_a_piece_nor_an_idle_connection_costs_processor_time(void) {
    struct scene scene = scene_open();
    int guest = visit(&scene), idle = visit(&scene);
    get(&scene, idle, 0, 10);
    say(guest, get_a, 10);
    wait_acknowledged(guest);
    uint64_t used = test_processor_time(&scene.relay->lanes->list[0]);
    stays(no_event(scene.relay), 500);
    CHECK(test_processor_time(&scene.relay->lanes->list[0]) - used < 100000000);
    close(guest);
    close(idle);
    scene_close(&scene);
}

int main(void) {
    RUN(every_engine_answers_ranges);
    RUN(the_size_of_a_body_chooses_its_engine);
    RUN(a_short_first_body_is_copied_and_no_other);
    RUN(each_kind_of_answer_is_counted_as_such);
    RUN(pipelined_requests_are_answered_in_order);
    RUN(a_head_that_the_window_cuts_is_answered_too);
    RUN(a_head_in_pieces_is_answered_whole);
    RUN(neither_a_piece_nor_an_idle_connection_costs_processor_time);
    return 0;
}

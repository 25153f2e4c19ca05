/* The responder, of what a lane hands over to Node for good. */
#include "batches.h"

/* Handing over. */

static const char *const foreign[] = {
    "POST /regions/a HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello",
    "PUT /regions/a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    "GET /regions/a HTTP/1.1\r\nHost: a\r\nContent-Length: 36\r\n\r\nGET /regions/a HTTP/1.1\r\nHost: a\r\n\r\n",
    "PUT /regions/a HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n\r\n",
    "GET /regions/a HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
    "GET /regions/b HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n\r\n",
    "GET /regions/a HTTP/1.1\nHost: a\n\n",
    "GET /regions/a HTTP/1.1\r\nHost : a\r\n\r\n",
    "GET /regions/a HTTP/1.1\r\nHost: a\r\n folded\r\n\r\n",
    "GET /regions/a\r\n",
    "\r\n",
    "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "\x16\x03\x01",
};

static void what_is_no_head_alone_is_nodes_for_good_to_the_byte(void) {
    struct scene scene = scene_open();
    for (size_t each = 0; each < sizeof foreign / sizeof *foreign; each++) {
        size_t length = strlen(foreign[each]);
        int fresh = visit(&scene), later = visit(&scene), known = visit(&scene);
        say(fresh, foreign[each], length);
        struct side side = expect_arrival(&scene, PR_RETURN_HANDED, foreign[each], length);
        check_is_nodes(&scene, &side, fresh);
        get(&scene, later, 100, 100);
        say(later, foreign[each], length);
        side = expect_arrival(&scene, PR_RETURN_HANDED, foreign[each], length);
        check_is_nodes(&scene, &side, later);
        side = introduce(&scene, known);
        say(known, foreign[each], length);
        expect_return(&scene, &side, PR_RETURN_HANDED, foreign[each], length);
        check_is_nodes(&scene, &side, known);
        CHECK_EQUAL(counted(scene.relay).handed_over[PR_HANDED_GRAMMAR], 3 * (each + 1));
    }
    scene_close(&scene);
}

/* In a pipeline: what was before it is answered, and what is behind it is not looked at by the lane. */
static void what_is_behind_a_body_is_nodes(void) {
    static const char body[] = "POST /b HTTP/1.1\r\nHost: a\r\nContent-Length: 36\r\n\r\n";
    struct scene scene = scene_open();
    struct batch batch = batch_of(0, 50);
    char bytes[32 << 10];
    size_t before = batch.length;
    memcpy(bytes, batch.bytes, before);
    size_t length = before + (size_t)sprintf(bytes + before, "%s%s%s", body, get_a, get_a);
    int guest = visit(&scene);
    say(guest, bytes, length);
    read_batch(&scene, guest, 0, 50);
    struct side side = expect_arrival(&scene, PR_RETURN_HANDED, bytes + before, length - before);
    check_is_nodes(&scene, &side, guest);
    CHECK_EQUAL(answers_so_far(&scene), 50);
    free(batch.bytes);
    scene_close(&scene);
}

static void an_upgrade_to_h2c_is_answered_in_http_1(void) {
    struct scene scene = scene_open();
    int guest = visit(&scene);
    ask(guest, "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQ\r\n");
    read_whole(&scene, guest);
    get(&scene, guest, 0, 10);
    close(guest);
    scene_close(&scene);
}

static void a_head_that_is_too_long_is_nodes(void) {
    struct scene scene = scene_open();
    static char request[PR_LONGEST_HEAD + 200];
    size_t length = write_request(request, "Range: bytes=0-9\r\nX: ");
    for (int each = 0; each < 2; each++) { /* one that fits, and one that does not */
        size_t total = PR_LONGEST_HEAD + (size_t)each;
        memset(request + length - 2, 'x', sizeof request - length);
        memcpy(request + total - 4, "\r\n\r\n", 4);
        int guest = visit(&scene);
        say(guest, request, total);
        if (each == 0) read_range(&scene, guest, 0, 10);
        if (each == 0) close(guest);
        if (each == 0) continue;
        struct side side = expect_arrival(&scene, PR_RETURN_HANDED, request, total);
        check_is_nodes(&scene, &side, guest);
    }
    scene_close(&scene);
}

/* Lanes that answer no more. */

static void all_are_handed_over_when_lanes_answer_no_more(void) {
    struct scene scene = scene_open();
    int idle = visit(&scene), part = visit(&scene), known = visit(&scene), answered = visit(&scene);
    get(&scene, idle, 0, 10);
    struct side one = introduce(&scene, known), asked = introduce(&scene, answered);
    SAY(answered, get_b);
    expect_return(&scene, &asked, PR_RETURN_FED, get_b, sizeof get_b - 1);
    say(part, get_a, 10);
    wait_acknowledged(part);
    wait_until(counted(scene.relay).reading == 3, 5000);
    pr_hand_over_all(scene.relay);
    wait_until(counted(scene.relay).reading == 0, 5000);
    CHECK_EQUAL(counted(scene.relay).published, 0);
    CHECK_EQUAL(counted(scene.relay).handed_over[PR_HANDED_CLOSING], 3);
    for (int each = 0; each < 3; each++) {
        struct pr_event event = next_event(scene.relay);
        CHECK_EQUAL(event.bytes, PR_RETURN_HANDED);
        if (event.kind == PR_EVENT_RETURNED) {
            CHECK_EQUAL(event.id, one.id);
            continue;
        }
        CHECK_EQUAL(event.kind, PR_EVENT_ARRIVED);
        struct side side = {.id = event.id};
        take(&scene, &side);
        char got[64];
        size_t count = node_reads(&scene, &side, got, sizeof got, true);
        CHECK(count == 0 || (count == 10 && memcmp(got, get_a, 10) == 0));
        node_closes(&scene, &side);
    }
    check_is_nodes(&scene, &one, known);
    node_answers(&scene, &asked, answered); /* the lane gives it back at once */
    expect_return(&scene, &asked, PR_RETURN_HANDED, "", 0);
    check_is_nodes(&scene, &asked, answered);
    int late = visit(&scene);
    SAY(late, get_a);
    struct side side = expect_arrival(&scene, PR_RETURN_HANDED, get_a, sizeof get_a - 1);
    check_is_nodes(&scene, &side, late);
    close(idle);
    close(part);
    scene_close(&scene);
}

static void an_answer_that_is_under_way_then_is_sent_to_its_end(void) {
    EACH_ENGINE(engine) {
        struct scene scene = scene_with(options_with(1), patient(), LARGE, 0);
        publish(&scene, engine);
        int guest = visit_with(&scene, NARROW);
        SAY(guest, get_a);
        wait_until(counted(scene.relay).by_state[PR_SENDING] == 1, 5000);
        pr_hand_over_all(scene.relay);
        SAY(guest, get_b);
        stays(no_event(scene.relay), 50);
        read_whole(&scene, guest);
        struct side side = expect_arrival(&scene, PR_RETURN_HANDED, get_b, sizeof get_b - 1);
        check_is_nodes(&scene, &side, guest);
        scene_close(&scene);
    }
}

static void node_that_wants_to_end_gets_its_connection_back(void) {
    struct scene scene = scene_open();
    int guest = visit(&scene);
    struct side side = introduce(&scene, guest);
    get(&scene, guest, 0, 10);
    wait_until(pr_connection_finish(scene.relay, side.id) >= 0, 1);
    expect_return(&scene, &side, PR_RETURN_HANDED, "", 0);
    wait_until(pr_connection_finish(scene.relay, side.id) == 1, 5000);
    struct pr_event event;
    while (pr_events(scene.relay, &event, 1) == 1) CHECK_EQUAL(event.kind, PR_EVENT_DRAINED);
    check_is_nodes(&scene, &side, guest);
    scene_close(&scene);
}

int main(void) {
    RUN(what_is_no_head_alone_is_nodes_for_good_to_the_byte);
    RUN(what_is_behind_a_body_is_nodes);
    RUN(an_upgrade_to_h2c_is_answered_in_http_1);
    RUN(a_head_that_is_too_long_is_nodes);
    RUN(all_are_handed_over_when_lanes_answer_no_more);
    RUN(an_answer_that_is_under_way_then_is_sent_to_its_end);
    RUN(node_that_wants_to_end_gets_its_connection_back);
    return 0;
}

/* Unix sockets: lanes accept, answer, feed and hand over there as they do with TCP. */
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
    unsigned port = 1;
    struct side side = introduce(&scene, guest);
    CHECK_EQUAL(pr_connection_client(scene.relay, side.id, client, &port), 0);
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

int main(void) {
    RUN(every_kind_of_answer_comes);
    RUN(requests_that_come_together_are_answered_in_order);
    RUN(what_is_nodes_is_fed_and_given_back_or_handed_over);
    RUN(a_client_that_goes_before_its_answer_leaves_nothing);
    RUN(one_that_asks_and_closes_its_side_is_answered);
    return 0;
}

/* The responder: what a lane answers, what it feeds to Node and goes on after, and what it hands over for good. */
#include "scene.h"

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
    for (int kind = 0; kind < PR_ANSWERED_COUNT; kind++) CHECK_EQUAL(counted(scene.relay).answers[kind], 1);
    CHECK_EQUAL(counted(scene.relay).whole_by_engine[PR_ENGINE_SENDFILE], 1);
    close(guest);
    scene_close(&scene);
}

/* Several requests at once. */

enum { MOST_REQUESTS = 1000 };

struct batch {
    char *bytes;
    size_t length;
};

static uint64_t offset_of(unsigned index) {
    return index * 997u % SIZE / 2;
}

static uint64_t length_of(unsigned index) {
    return 1 + index * 37u % 300;
}

static struct batch batch_of(unsigned first, unsigned end) {
    struct batch batch = {.bytes = malloc((end - first) * 256 + 1)};
    for (unsigned index = first; index < end; index++)
        batch.length += write_range(batch.bytes + batch.length, offset_of(index), length_of(index));
    return batch;
}

static void read_batch(const struct scene *scene, int guest, unsigned first, unsigned end) {
    for (unsigned index = first; index < end; index++) read_range(scene, guest, offset_of(index), length_of(index));
}

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

/* Guards. */

static void only_hosts_that_node_has_allowed_are_answered(void) {
    static const char *const heads[] = {"GET /regions/a HTTP/1.1\r\nHost: b\r\n\r\n",
                                        "GET /regions/a HTTP/1.1\r\nHost: A\r\n\r\n",
                                        "GET /regions/a HTTP/1.1\r\nHost:\r\n\r\n", "GET /regions/a HTTP/1.1\r\n\r\n",
                                        "GET /regions/a HTTP/1.0\r\nHost: b\r\nConnection: keep-alive\r\n\r\n"};
    struct scene scene = scene_open();
    for (size_t each = 0; each < sizeof heads / sizeof *heads; each++) {
        int guest = visit(&scene);
        get(&scene, guest, 0, 10);
        say(guest, heads[each], strlen(heads[each]));
        struct side side = expect_arrival(&scene, PR_RETURN_FED, heads[each], strlen(heads[each]));
        CHECK_EQUAL(counted(scene.relay).fed[PR_FED_GUARD], each + 1);
        node_answers(&scene, &side, guest);
        get(&scene, guest, 0, 10); /* one that was not allowed takes nobody's away */
        close(guest);
        expect_return(&scene, &side, PR_RETURN_CLOSED, NULL, 0);
        node_closes(&scene, &side);
    }
    CHECK_EQUAL(pr_allow_host(scene.relay, false, text_of("b")), 0);
    int guest = visit(&scene);
    say(guest, heads[0], strlen(heads[0]));
    read_whole(&scene, guest);
    close(guest);
    scene_close(&scene);
}

static void two_users_of_one_connection_are_two_users(void) {
    static const char other[] = "GET /regions/a HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer y\r\n\r\n";
    struct pr_responding guarded = patient();
    guarded.guarded = true;
    struct scene scene = scene_with(options_with(1), guarded, SIZE, 0);
    publish(&scene, PR_ENGINE_SENDFILE);
    CHECK_EQUAL(pr_allow_reader(scene.relay, text_of("Bearer x")), 0);
    int guest = visit(&scene);
    ask(guest, "Authorization: Bearer x\r\nRange: bytes=0-9\r\n");
    read_range(&scene, guest, 0, 10);
    SAY(guest, other);
    struct side side = expect_arrival(&scene, PR_RETURN_FED, other, sizeof other - 1);
    node_answers(&scene, &side, guest);
    SAY(guest, get_a);
    expect_return(&scene, &side, PR_RETURN_FED, get_a, sizeof get_a - 1);
    node_answers(&scene, &side, guest);
    ask(guest, "Authorization: Bearer x\r\nRange: bytes=0-9\r\n");
    read_range(&scene, guest, 0, 10);
    CHECK_EQUAL(counted(scene.relay).fed[PR_FED_GUARD], 2);
    pr_forget_allowed(scene.relay); /* a token is revoked: Node is asked for everybody's */
    CHECK_EQUAL(pr_allow_host(scene.relay, false, text_of("a")), 0);
    char request[256];
    size_t length = write_request(request, "Authorization: Bearer x\r\n");
    say(guest, request, length);
    expect_return(&scene, &side, PR_RETURN_FED, request, length);
    node_closes(&scene, &side);
    close(guest);
    scene_close(&scene);
}

static void what_is_suspended_is_answered_again_when_something_is_published(void) {
    struct scene scene = scene_open();
    int guest = visit(&scene);
    struct side side = introduce(&scene, guest);
    get(&scene, guest, 0, 10);
    pr_suspend(scene.relay);
    SAY(guest, get_a);
    expect_return(&scene, &side, PR_RETURN_FED, get_a, sizeof get_a - 1);
    CHECK_EQUAL(counted(scene.relay).fed[PR_FED_GUARD], 1);
    CHECK_EQUAL(counted(scene.relay).published, 1);
    node_answers(&scene, &side, guest);
    struct pr_publication other = publication_of(&scene, PR_ENGINE_COPY);
    other.path = text_of("/regions/c");
    CHECK_EQUAL(pr_publish(scene.relay, &other), 0);
    get(&scene, guest, 0, 10);
    node_closes(&scene, &side);
    close(guest);
    scene_close(&scene);
}

/* Between judging a request and taking its pages the lane looks at the path: then others move the version. */

static struct pr_sys real;
static struct scene *moved_scene;
static atomic_bool moves;

static void change_last_page(const struct scene *scene) {
    uint64_t lease, version, generation = scene->region.generation;
    CHECK_EQUAL(pr_lease(scene->relay, generation, SIZE - PAGE, PAGE, PR_NEEDS_DONE, true, &lease), 1);
    CHECK_EQUAL(pr_lease_begin(scene->relay, lease, 1, &version), 0);
    CHECK_EQUAL(pr_lease_end(scene->relay, lease, true, NULL), 0);
}

static int moving_statx(int fd, const char *path, int flags, unsigned mask, struct statx *status) {
    if (atomic_exchange(&moves, false)) change_last_page(moved_scene);
    return real.statx(fd, path, flags, mask, status);
}

static int moving_fstatat(int directory, const char *path, struct stat *status, int flags) {
    if (atomic_exchange(&moves, false)) change_last_page(moved_scene);
    return real.fstatat(directory, path, status, flags);
}

static void have_the_path_looked_at(const struct scene *scene) {
    pr_lock(scene->relay);
    pr_published_find(scene->relay, text_of(path_a))->looked_at = 0;
    pr_unlock(scene->relay);
}

static void expect_tag(int peer, const char *etag) {
    char head[1024] = "", line[64];
    for (size_t length = 0; length + 1 < sizeof head && !strstr(head, "\r\n\r\n"); length++)
        CHECK_EQUAL(MUST(recv(peer, head + length, 1, 0)), 1);
    snprintf(line, sizeof line, "\r\netag: %s\r\n", etag);
    if (!strstr(head, line)) FAIL("not %s in %s", etag, head);
}

static void what_is_judged_at_one_version_is_not_answered_at_another(void) {
    struct scene scene = scene_open();
    int guest = visit(&scene);
    struct side side = introduce(&scene, guest);
    get(&scene, guest, 0, 10);
    moved_scene = &scene;
    for (unsigned version = 1; version < 4; version++) {
        char request[256], etag[32];
        size_t length = write_range(request, 0, 10);
        have_the_path_looked_at(&scene);
        atomic_store(&moves, true);
        say(guest, request, length);
        expect_return(&scene, &side, PR_RETURN_FED, request, length);
        CHECK(!atomic_load(&moves));
        CHECK_EQUAL(counted(scene.relay).fed[PR_FED_CHANGED], version);
        CHECK_EQUAL(counted(scene.relay).published, 1); /* it is as good as before */
        node_answers(&scene, &side, guest);
        say(guest, request, length);
        snprintf(etag, sizeof etag, "\"a.1.%u\"", version);
        expect_tag(guest, etag);
        read_body(guest, 0, 10, 0);
    }
    node_closes(&scene, &side);
    close(guest);
    scene_close(&scene);
}

static void a_path_of_one_version_is_published_no_more_once_that_is_overwritten(void) {
    static const char versioned[] = "GET /regions/a?version=a HTTP/1.1\r\nHost: a\r\n\r\n";
    struct scene scene = scene_open();
    struct pr_publication given = publication_of(&scene, PR_ENGINE_SENDFILE);
    given.path = text_of("/regions/a?version=a");
    given.one_version = true;
    CHECK_EQUAL(pr_publish(scene.relay, &given), 0);
    int guest = visit(&scene);
    struct side side = introduce(&scene, guest);
    get(&scene, guest, 0, 10);
    change_last_page(&scene);
    CHECK_EQUAL(counted(scene.relay).published, 2);
    SAY(guest, versioned);
    expect_return(&scene, &side, PR_RETURN_FED, versioned, sizeof versioned - 1);
    CHECK_EQUAL(counted(scene.relay).fed[PR_FED_CHANGED], 1);
    CHECK_EQUAL(counted(scene.relay).published, 1);
    node_closes(&scene, &side);
    close(guest);
    scene_close(&scene);
}

static void pages_beside_a_lease_are_answered_and_those_under_it_are_nodes(void) {
    struct scene scene = scene_open();
    int guest = visit(&scene);
    struct side side = introduce(&scene, guest);
    uint64_t lease, version;
    CHECK_EQUAL(pr_lease(scene.relay, scene.region.generation, PAGE, PAGE, PR_NEEDS_DONE, true, &lease), 1);
    get(&scene, guest, 0, PAGE); /* nothing has begun */
    CHECK_EQUAL(pr_lease_begin(scene.relay, lease, 1, &version), 0);
    char request[256];
    size_t length = write_range(request, PAGE - 1, 2);
    say(guest, request, length);
    expect_return(&scene, &side, PR_RETURN_FED, request, length);
    CHECK_EQUAL(counted(scene.relay).fed[PR_FED_WRITER], 1);
    node_answers(&scene, &side, guest);
    static const uint64_t beside[] = {0, 2 * PAGE, SIZE - PAGE};
    for (size_t each = 0; each < sizeof beside / sizeof *beside; each++) {
        ask_range(guest, beside[each], PAGE);
        expect_tag(guest, "\"a.1.1\"");
        read_body(guest, beside[each], PAGE, 0);
    }
    CHECK_EQUAL(pr_lease_end(scene.relay, lease, true, NULL), 0);
    say(guest, request, length);
    expect_tag(guest, "\"a.1.1\"");
    read_body(guest, PAGE - 1, 2, 0);
    node_closes(&scene, &side);
    close(guest);
    scene_close(&scene);
}

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
    real = pr_sys;
    pr_sys.epoll_ctl = slow_epoll_ctl;
    pr_sys.statx = moving_statx;
    pr_sys.fstatat = moving_fstatat;
    RUN(every_engine_answers_ranges);
    RUN(the_size_of_a_body_chooses_its_engine);
    RUN(a_short_first_body_is_copied_and_no_other);
    RUN(each_kind_of_answer_is_counted_as_such);
    RUN(pipelined_requests_are_answered_in_order);
    RUN(a_head_that_the_window_cuts_is_answered_too);
    RUN(a_head_in_pieces_is_answered_whole);
    RUN(neither_a_piece_nor_an_idle_connection_costs_processor_time);
    RUN(only_hosts_that_node_has_allowed_are_answered);
    RUN(two_users_of_one_connection_are_two_users);
    RUN(what_is_suspended_is_answered_again_when_something_is_published);
    RUN(what_is_judged_at_one_version_is_not_answered_at_another);
    RUN(a_path_of_one_version_is_published_no_more_once_that_is_overwritten);
    RUN(pages_beside_a_lease_are_answered_and_those_under_it_are_nodes);
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
    RUN(what_is_no_head_alone_is_nodes_for_good_to_the_byte);
    RUN(what_is_behind_a_body_is_nodes);
    RUN(an_upgrade_to_h2c_is_answered_in_http_1);
    RUN(a_head_that_is_too_long_is_nodes);
    RUN(all_are_handed_over_when_lanes_answer_no_more);
    RUN(an_answer_that_is_under_way_then_is_sent_to_its_end);
    RUN(node_that_wants_to_end_gets_its_connection_back);
    return 0;
}

/* Express: what a lane answers by itself, what it leaves to Node, and that nothing is lost on the way back. */
#include "scene.h"

/* Answers. */

static void every_engine_answers_plain_ranges(void) {
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
    EACH_ENGINE(engine) {
        uint64_t sent = 0, count = sizeof cases / sizeof *cases;
        grant(&scene, engine);
        for (size_t index = 0; index < count; index++) {
            ask(scene.pair.peer, cases[index].value);
            read_answer(&scene, cases[index].offset, cases[index].length);
            sent += cases[index].length;
        }
        SAY(scene.pair.peer, other);
        expect_returned(&scene, PR_RETURN_REQUEST, count);
        expect_unread(&scene, other, sizeof other - 1);
        check_idle(&scene);
        CHECK_EQUAL(counted(scene.relay).sent_bytes[engine], sent);
        CHECK_EQUAL(counted(scene.relay).transmissions[engine][PR_OUTCOME_COMPLETE], count);
    }
    finish(&scene);
}

static void short_bodies_are_copied(void) {
    struct scene scene = scene_open();
    struct pr_grant given = grant_for(&scene, PR_ENGINE_SPLICE);
    given.copy_below = 5000;
    give(&scene, &given);
    expect_answer(&scene, 3, 4999);
    expect_answer(&scene, 3, 5000);
    expect_answer(&scene, 0, 1);
    SAY(scene.pair.peer, other);
    expect_returned(&scene, PR_RETURN_REQUEST, 3);
    expect_unread(&scene, other, sizeof other - 1);
    CHECK_EQUAL(counted(scene.relay).sent_bytes[PR_ENGINE_COPY], 5000);
    CHECK_EQUAL(counted(scene.relay).sent_bytes[PR_ENGINE_SPLICE], 5000);
    finish(&scene);
}

static void large_bodies_have_an_engine_of_their_own(void) {
    struct scene scene = scene_open();
    struct pr_grant given = grant_for(&scene, PR_ENGINE_SENDFILE);
    given.copy_below = 100;
    given.large_from = 5000;
    given.large = PR_ENGINE_SPLICE;
    give(&scene, &given);
    expect_answer(&scene, 3, 99);
    expect_answer(&scene, 3, 4999);
    expect_answer(&scene, 3, 5000);
    SAY(scene.pair.peer, other);
    expect_returned(&scene, PR_RETURN_REQUEST, 3);
    expect_unread(&scene, other, sizeof other - 1);
    CHECK_EQUAL(counted(scene.relay).sent_bytes[PR_ENGINE_COPY], 99);
    CHECK_EQUAL(counted(scene.relay).sent_bytes[PR_ENGINE_SENDFILE], 4999);
    CHECK_EQUAL(counted(scene.relay).sent_bytes[PR_ENGINE_SPLICE], 5000);
    finish(&scene);
}

static struct pr_grant whole_grant(const struct scene *scene, enum pr_engine engine) {
    struct pr_grant given = grant_for(scene, engine);
    given.request = (struct pr_repeat){whole, sizeof whole - 1, sizeof whole - 1};
    given.head = head_200;
    given.head_length = sizeof head_200 - 1;
    return given;
}

static void a_whole_region_is_answered_with_the_head_as_it_is(void) {
    struct scene scene = scene_open();
    EACH_ENGINE(engine) {
        struct pr_grant given = whole_grant(&scene, engine);
        give(&scene, &given);
        for (int round = 0; round < 3; round++) {
            SAY(scene.pair.peer, whole);
            read_text(scene.pair.peer, head_200, sizeof head_200 - 1);
            read_body(scene.pair.peer, 0, SIZE, 0);
        }
        ask(scene.pair.peer, "bytes=0-0");
        expect_returned(&scene, PR_RETURN_REQUEST, 3);
        char request[256];
        expect_unread(&scene, request, write_request(request, "bytes=0-0"));
    }
    CHECK_EQUAL(counted(scene.relay).answers_whole, 9);
    CHECK_EQUAL(counted(scene.relay).answers_ranged, 0);
    finish(&scene);
}

/* Several requests at once. */

struct batch {
    char *bytes;
    size_t length;
    unsigned count;
};

enum { MOST_REQUESTS = 1000 };

static uint64_t offset_of(unsigned index) {
    return index * 997u % SIZE / 2;
}

static uint64_t length_of(unsigned index) {
    return 1 + index * 37u % 300;
}

static struct batch batch_of(unsigned count) {
    struct batch batch = {.bytes = malloc(count * 256 + 1), .count = count};
    for (unsigned index = 0; index < count; index++)
        batch.length += write_range(batch.bytes + batch.length, offset_of(index), length_of(index));
    return batch;
}

static size_t part_length(unsigned count) {
    struct batch part = batch_of(count);
    free(part.bytes);
    return part.length;
}

static void read_batch(struct scene *scene, unsigned first, unsigned end) {
    for (unsigned index = first; index < end; index++) read_answer(scene, offset_of(index), length_of(index));
}

/* All of it is there before the lane looks for the first time. */
static void deliver(struct scene *scene, const struct batch *batch) {
    int there = unread_bytes(scene->pair.ours);
    say(scene->pair.peer, batch->bytes, batch->length);
    wait_until(unread_bytes(scene->pair.ours) == there + (int)batch->length, 5000);
}

static void pipelined_requests_are_answered_in_order(void) {
    static const unsigned counts[] = {1, 2, 3, 100, MOST_REQUESTS};
    struct scene scene = scene_unlogged();
    EACH_ENGINE(engine) for (size_t each = 0; each < sizeof counts / sizeof *counts; each++) {
        struct batch batch = batch_of(counts[each]);
        struct batch last = {.bytes = (char *)(uintptr_t)other, .length = sizeof other - 1};
        deliver(&scene, &batch);
        deliver(&scene, &last);
        grant(&scene, engine);
        read_batch(&scene, 0, counts[each]);
        expect_returned(&scene, PR_RETURN_REQUEST, counts[each]);
        expect_unread(&scene, other, sizeof other - 1);
        free(batch.bytes);
    }
    finish(&scene);
}

/* What the window cuts a head at moves through a whole head. */
static void a_head_that_the_window_cuts_is_answered_too(void) {
    enum { COUNT = 300 };
    char longer[256];
    size_t first = write_range(longer, 0, 1);
    struct scene scene = scene_unlogged();
    struct batch batch = batch_of(COUNT);
    for (size_t shift = 0; shift < 110; shift += 3) {
        /* Leading zeros make the first head longer; more than 18 digits are no plain range. */
        char value[64];
        size_t zeros = shift % 17, skipped = shift / 17;
        sprintf(value, "bytes=%0*d-0", (int)zeros + 1, 0);
        size_t length = write_request(longer, value);
        CHECK(length >= first);
        struct batch head = {.bytes = longer, .length = length};
        deliver(&scene, &head);
        size_t cut = part_length((unsigned)skipped);
        struct batch rest = {.bytes = batch.bytes + cut, .length = batch.length - cut};
        deliver(&scene, &rest);
        grant(&scene, PR_ENGINE_COPY);
        read_answer(&scene, 0, 1);
        read_batch(&scene, (unsigned)skipped, COUNT);
        SAY(scene.pair.peer, other);
        expect_returned(&scene, PR_RETURN_REQUEST, 1 + COUNT - skipped);
        expect_unread(&scene, other, sizeof other - 1);
    }
    free(batch.bytes);
    finish(&scene);
}

static void what_is_not_answered_stays_unread_to_the_byte(void) {
    struct scene scene = scene_unlogged();
    uint64_t random = test_seed();
    for (int round = 0; round < 60; round++) {
        unsigned count = 1 + (unsigned)test_below(&random, 400), most = (unsigned)test_below(&random, count);
        struct batch batch = batch_of(count);
        deliver(&scene, &batch);
        struct pr_grant given = grant_for(&scene, (enum pr_engine)test_below(&random, 3));
        given.most = most;
        give(&scene, &given);
        read_batch(&scene, 0, most);
        expect_returned(&scene, PR_RETURN_SPENT, most);
        size_t answered = part_length(most);
        expect_unread(&scene, batch.bytes + answered, batch.length - answered);
        free(batch.bytes);
    }
    finish(&scene);
}

/* Reasons to give a connection back. */

static void a_grant_whose_time_is_over_comes_back_unasked(void) {
    struct scene scene = scene_open();
    struct pr_grant given = grant_for(&scene, PR_ENGINE_SENDFILE);
    given.seconds = 0.2;
    uint64_t start = pr_now();
    give(&scene, &given);
    expect_answer(&scene, 0, 100);
    expect_returned(&scene, PR_RETURN_TIME, 1);
    uint64_t took = pr_now() - start;
    CHECK(took >= 200000000 && took < 2000000000);
    expect_unread(&scene, "", 0);
    finish(&scene);
}

/* A body that the reader's and the sender's buffers can't hold. */
static struct scene slow_scene(struct pr_options options) {
    return scene_with(options, LARGE, NARROW);
}

static void begin_slow_answer(struct scene *scene, const struct pr_grant *given) {
    char request[256];
    struct batch first = {.bytes = request, .length = write_request(request, "bytes=0-")};
    deliver(scene, &first);
    give(scene, given);
    wait_until(begun(scene->relay) == 1, 5000);
    read_head(scene->pair.peer, 0, LARGE, LARGE);
    read_body(scene->pair.peer, 0, 1 << 20, 0);
}

static void read_rest(struct scene *scene) {
    read_body(scene->pair.peer, 1 << 20, LARGE - (1 << 20), 0);
}

static void time_that_is_over_in_mid_answer_waits_for_its_end(void) {
    EACH_ENGINE(engine) {
        struct scene scene = slow_scene(logged(1));
        struct pr_grant given = grant_for(&scene, engine);
        given.seconds = 0.4;
        begin_slow_answer(&scene, &given);
        stays(no_event(scene.relay), 800);
        ask_range(scene.pair.peer, 1, 2);
        read_rest(&scene);
        expect_returned(&scene, PR_RETURN_TIME, 1);
        char request[256];
        expect_unread(&scene, request, write_range(request, 1, 2));
        finish(&scene);
    }
}

static void a_grant_that_is_used_up_comes_back(void) {
    struct scene scene = scene_open();
    struct pr_grant given = grant_for(&scene, PR_ENGINE_SENDFILE);
    given.most = 3;
    give(&scene, &given);
    for (unsigned index = 0; index < 3; index++) expect_answer(&scene, index, 10);
    expect_returned(&scene, PR_RETURN_SPENT, 3);
    finish(&scene);
}

static void another_request_is_left_to_node(void) {
    static const char *const values[] = {
        "bytes=1048576-", "bytes=5-4",     "bytes=-0", "bytes=0-1,3-4", "bytes=0000000000000000001-1",
        "Bytes=0-1",      "bytes= 0-1",    "",         "items=0-1",     "bytes=0-1\r\nAccept: b",
        "bytes=0-1 ",     "bytes=0-1\r\n", "bytes=-",
    };
    struct scene scene = scene_open();
    for (size_t index = 0; index < sizeof values / sizeof *values; index++) {
        char request[256];
        grant(&scene, PR_ENGINE_SENDFILE);
        expect_answer(&scene, 0, 10);
        size_t length = write_request(request, values[index]);
        say(scene.pair.peer, request, length);
        expect_returned(&scene, PR_RETURN_REQUEST, 1);
        expect_unread(&scene, request, length);
    }
    finish(&scene);
}

static void a_head_in_pieces_is_left_to_node(void) {
    char request[256];
    size_t length = write_request(request, "bytes=10-25");
    struct scene scene = scene_open();
    for (size_t cut = 1; cut < length; cut++) {
        grant(&scene, PR_ENGINE_SENDFILE);
        expect_answer(&scene, 5, 10);
        say(scene.pair.peer, request, cut);
        expect_returned(&scene, PR_RETURN_PIECES, 1);
        say(scene.pair.peer, request + cut, length - cut);
        expect_unread(&scene, request, length);
    }
    finish(&scene);
}

static void neither_a_piece_nor_an_idle_grant_costs_processor_time(void) {
    struct scene scene = scene_open(), idle = scene_open();
    grant(&idle, PR_ENGINE_SENDFILE);
    grant(&scene, PR_ENGINE_SENDFILE);
    say(scene.pair.peer, ranged, 10);
    uint64_t start = pr_now();
    expect_returned(&scene, PR_RETURN_PIECES, 0);
    CHECK(pr_now() - start < 1000000000);
    uint64_t used =
        test_processor_time(&scene.relay->lanes->list[0]) + test_processor_time(&idle.relay->lanes->list[0]);
    stays(no_event(scene.relay) && no_event(idle.relay), 500);
    CHECK(test_processor_time(&scene.relay->lanes->list[0]) + test_processor_time(&idle.relay->lanes->list[0]) - used <
          50000000);
    expect_unread(&scene, ranged, 10);
    finish(&scene);
    scene_close(&idle);
}

/* The next request is Node's, every byte of it: the file is not what was judged. */
static void expect_changed(struct scene *scene, uint64_t answers) {
    char request[256];
    ask_range(scene->pair.peer, 0, 10);
    expect_returned(scene, PR_RETURN_CHANGED, answers);
    expect_unread(scene, request, write_range(request, 0, 10));
}

static void a_region_that_is_closed_is_not_answered(void) {
    struct scene scene = scene_open();
    grant(&scene, PR_ENGINE_SENDFILE);
    expect_answer(&scene, 0, 10);
    CHECK_EQUAL(pr_generation_close(scene.relay, scene.region.generation), 0);
    expect_changed(&scene, 1);
    struct pr_grant given = grant_for(&scene, PR_ENGINE_SENDFILE);
    CHECK_EQUAL(pr_grant(scene.relay, scene.connection, &given, NULL), -ESTALE);
    scene.region = region_open(scene.relay, scene.region.fd);
    finish(&scene);
}

/* The body that is out goes on: its references keep the closed region. */
static void a_region_that_is_closed_in_mid_answer_is_sent_to_its_end(void) {
    EACH_ENGINE(engine) {
        struct scene scene = slow_scene(logged(1));
        struct pr_grant given = grant_for(&scene, engine);
        begin_slow_answer(&scene, &given);
        CHECK_EQUAL(pr_generation_close(scene.relay, scene.region.generation), 0);
        ask_range(scene.pair.peer, 0, 10);
        read_rest(&scene);
        expect_returned(&scene, PR_RETURN_CHANGED, 1);
        char request[256];
        expect_unread(&scene, request, write_range(request, 0, 10));
        scene.region = region_open(scene.relay, scene.region.fd);
        finish(&scene);
    }
}

static void reopen(struct scene *scene) {
    CHECK_EQUAL(pr_generation_close(scene->relay, scene->region.generation), 0);
    scene->region = region_open(scene->relay, scene->region.fd);
}

static void a_file_that_others_touched_is_not_answered(void) {
    struct timespec times[2] = {{.tv_sec = 1}, {.tv_sec = 1}};
    struct scene scene = scene_open();
    for (int round = 0; round < 2; round++) {
        grant(&scene, PR_ENGINE_SENDFILE);
        expect_answer(&scene, 0, 10);
        MUST(round == 0 ? futimens(scene.region.fd, times) : ftruncate(scene.region.fd, SIZE / 2));
        expect_changed(&scene, 1);
        check_idle(&scene);
        reopen(&scene);
    }
    finish(&scene);
}

/* A scene whose region has a file with a name, or two. */
struct named {
    struct scene scene;
    struct region memory; /* its own, whose file has none */
    char path[64], second[80];
};

static struct named named_scene(int names) {
    struct named named = {.scene = scene_open(), .path = "/dev/shm/pagerelay-express-XXXXXX"};
    named.memory = named.scene.region;
    int fd = (int)MUST(mkostemp(named.path, O_CLOEXEC));
    snprintf(named.second, sizeof named.second, "%s-second", named.path);
    file_fill(fd, SIZE, 0);
    if (names > 1) MUST(link(named.path, named.second));
    named.scene.region = region_open(named.scene.relay, fd);
    return named;
}

static void finish_named(struct named *named) {
    check_idle(&named->scene);
    region_close(named->scene.relay, &named->scene.region);
    named->scene.region = named->memory;
    finish(&named->scene);
}

/* It is another file that has the name now, or none. */
static void a_file_that_has_lost_a_name_is_not_answered(void) {
    struct named named = named_scene(1);
    grant(&named.scene, PR_ENGINE_SENDFILE);
    expect_answer(&named.scene, 0, 10);
    MUST(unlink(named.path));
    expect_changed(&named.scene, 1);
    finish_named(&named);
}

/* Every change of its names moves the time of its last change, as a write does whose mtime was put back. */
static void a_file_whose_other_names_change_is_another_content(void) {
    for (int names = 1; names <= 2; names++) {
        struct named named = named_scene(names);
        grant(&named.scene, PR_ENGINE_SENDFILE);
        expect_answer(&named.scene, 0, 10);
        MUST(names == 1 ? link(named.path, named.second) : unlink(named.second));
        expect_changed(&named.scene, 1);
        CHECK_EQUAL(pr_generation_is_at(named.scene.relay, named.scene.region.generation, 0, named.path), 0);
        MUST(unlink(named.path));
        if (names == 1) MUST(unlink(named.second));
        finish_named(&named);
    }
}

static void a_version_that_has_moved_is_not_answered(void) {
    uint64_t lease, version;
    struct scene scene = scene_open();
    grant(&scene, PR_ENGINE_SENDFILE);
    expect_answer(&scene, 0, 10);
    wait_until(references(scene.relay) == 0, 5000);
    /* Other pages than those that are asked for. */
    CHECK_EQUAL(pr_lease(scene.relay, scene.region.generation, SIZE / 2, PAGE, PR_NEEDS_DONE, false, &lease), 1);
    CHECK_EQUAL(pr_lease_begin(scene.relay, lease, 1, &version), 0);
    CHECK_EQUAL(pr_lease_end(scene.relay, lease, scene.region.generation, NULL), 0);
    expect_changed(&scene, 1);

    struct pr_grant given = grant_for(&scene, PR_ENGINE_SENDFILE);
    given.epoch = 1;
    given.version = version;
    give(&scene, &given);
    expect_answer(&scene, 0, 10);
    SAY(scene.pair.peer, other);
    expect_returned(&scene, PR_RETURN_REQUEST, 1);
    scene_close(&scene);
}

static void pages_that_a_writer_has_are_not_answered(void) {
    char request[256];
    uint64_t lease;
    struct scene scene = scene_open();
    CHECK_EQUAL(pr_lease(scene.relay, scene.region.generation, PAGE, PAGE, PR_NEEDS_DONE, false, &lease), 1);
    grant(&scene, PR_ENGINE_SENDFILE);
    expect_answer(&scene, 0, PAGE);
    ask_range(scene.pair.peer, 1, PAGE);
    expect_returned(&scene, PR_RETURN_WRITER, 1);
    expect_unread(&scene, request, write_range(request, 1, PAGE));
    CHECK_EQUAL(pr_lease_end(scene.relay, lease, 0, NULL), 0);
    finish(&scene);
}

static void nor_are_pages_that_a_writer_waits_for(void) {
    char request[256];
    uint64_t lease;
    struct scene scene = scene_open();
    uint64_t held = hold(scene.relay, &scene.region, PR_ENGINE_STREAM, 0, 10);
    grant(&scene, PR_ENGINE_SENDFILE);
    expect_answer(&scene, 0, 10); /* a reference is shared */
    CHECK_EQUAL(pr_lease(scene.relay, scene.region.generation, 0, PAGE, PR_NEEDS_DONE, true, &lease), 0);
    expect_answer(&scene, PAGE, 10);
    ask_range(scene.pair.peer, 0, 10);
    expect_returned(&scene, PR_RETURN_WRITER, 2);
    expect_unread(&scene, request, write_range(request, 0, 10));
    CHECK_EQUAL(pr_lease_end(scene.relay, lease, 0, NULL), 0);
    CHECK_EQUAL(pr_release(scene.relay, held, PR_OUTCOME_CANCELLED), 0);
    finish(&scene);
}

static void revoked_grants_come_back(void) {
    struct scene scene = scene_open();
    grant(&scene, PR_ENGINE_SENDFILE);
    expect_answer(&scene, 0, 10);
    stays(no_event(scene.relay), 5);
    uint64_t start = pr_now();
    pr_grants_end(scene.relay);
    expect_returned(&scene, PR_RETURN_REVOKED, 1);
    CHECK(pr_now() - start < 200000000);
    pr_grants_end(scene.relay);
    finish(&scene);
}

static void revoked_in_mid_answer_they_come_back_after_it(void) {
    EACH_ENGINE(engine) {
        char request[256];
        struct scene scene = slow_scene(logged(1));
        struct pr_grant given = grant_for(&scene, engine);
        begin_slow_answer(&scene, &given);
        pr_grants_end(scene.relay);
        stays(no_event(scene.relay), 50);
        ask_range(scene.pair.peer, 0, 10);
        read_rest(&scene);
        expect_returned(&scene, PR_RETURN_REVOKED, 1);
        expect_unread(&scene, request, write_range(request, 0, 10));
        finish(&scene);
    }
}

static void node_that_wants_to_end_gets_its_connection_back(void) {
    struct scene scene = scene_open();
    grant(&scene, PR_ENGINE_SENDFILE);
    expect_answer(&scene, 0, 10);
    CHECK_EQUAL(pr_connection_finish(scene.relay, scene.connection), 0);
    expect_returned(&scene, PR_RETURN_REVOKED, 1);
    CHECK_EQUAL(next_but_answers(scene.relay).kind, PR_EVENT_DRAINED);
    CHECK_EQUAL(pr_connection_finish(scene.relay, scene.connection), 1);
    finish(&scene);
}

/* How many descriptors a lane's epoll reports received bytes of, its own eventfd among them. */
static unsigned listened_to(const struct pr_lane *lane) {
    char path[64], line[256];
    unsigned count = 0, events;
    snprintf(path, sizeof path, "/proc/self/fdinfo/%d", lane->poller.epoll);
    FILE *file = fopen(path, "re");
    CHECK(file);
    while (fgets(line, sizeof line, file))
        count += sscanf(line, "tfd: %*d events: %x", &events) == 1 && (events & EPOLLIN) != 0;
    fclose(file);
    return count;
}

static void a_lane_is_not_woken_for_what_node_reads(void) {
    struct scene scene = scene_open();
    grant(&scene, PR_ENGINE_SENDFILE);
    expect_answer(&scene, 0, 10);
    CHECK_EQUAL(listened_to(&scene.relay->lanes->list[0]), 2);
    pr_grants_end(scene.relay);
    expect_returned(&scene, PR_RETURN_REVOKED, 1);
    CHECK_EQUAL(listened_to(&scene.relay->lanes->list[0]), 1);
    finish(&scene);
}

/* The client goes. */

static void the_end_of_an_idle_client_is_told_at_once(void) {
    char byte;
    struct scene scene = scene_open();
    grant(&scene, PR_ENGINE_SENDFILE);
    expect_answer(&scene, 0, 10);
    MUST(shutdown(scene.pair.peer, SHUT_WR));
    expect_returned(&scene, PR_RETURN_CLOSED, 1);
    CHECK_EQUAL(recv(scene.pair.ours, &byte, 1, MSG_DONTWAIT), 0);
    CHECK_EQUAL(serve(scene.relay, scene.connection, &scene.region, PR_ENGINE_SENDFILE, 0, 10, NULL), 1);
    read_body(scene.pair.peer, 0, 10, 0);
    scene_close(&scene);
}

/* It came with the requests before it, so there is no other edge. */
static void an_end_behind_requests_is_told_after_their_answers(void) {
    struct scene scene = scene_open();
    struct batch batch = batch_of(3);
    deliver(&scene, &batch);
    MUST(shutdown(scene.pair.peer, SHUT_WR));
    wait_until(tcp_state(scene.pair.ours) == TCP_CLOSE_WAIT, 5000);
    uint64_t start = pr_now();
    grant(&scene, PR_ENGINE_SENDFILE);
    read_batch(&scene, 0, 3);
    expect_returned(&scene, PR_RETURN_CLOSED, 3);
    CHECK(pr_now() - start < 1000000000);
    free(batch.bytes);
    scene_close(&scene);
}

static void a_reset_of_an_idle_client_is_told_at_once(void) {
    struct scene scene = scene_open();
    grant(&scene, PR_ENGINE_SENDFILE);
    ask_range(scene.pair.peer, 0, SIZE / 2); /* undone when the reset comes */
    wait_until(answers_so_far(scene.relay) == 1, 5000);
    reset_peer(&scene.pair);
    expect_returned(&scene, PR_RETURN_CLOSED, 1);
    check_idle(&scene);
    scene_close(&scene);
}

static void a_reset_in_mid_answer_breaks_it_off(void) {
    EACH_ENGINE(engine) {
        struct scene scene = slow_scene(logged(1));
        struct pr_grant given = grant_for(&scene, engine);
        begin_slow_answer(&scene, &given);
        reset_peer(&scene.pair);
        expect_broken(&scene, 1, ECONNRESET);
        check_idle(&scene);
        CHECK_EQUAL(counted(scene.relay).transmissions[engine][PR_OUTCOME_ABORTED], 1);
        scene_close(&scene);
    }
}

/* What a lane has read of one that it broke off, it may not take for what the next one has asked. */
static void requests_of_a_broken_connection_are_nobody_elses(void) {
    struct scene scene = scene_open(), beside = scene;
    struct pair second = pair_open(ROOMY);
    beside.pair = second;
    beside.connection = adopt(scene.relay, &second);
    struct batch batch = batch_of(20);
    deliver(&beside, &batch);
    reset_peer(&beside.pair);
    struct pr_grant given = grant_for(&scene, PR_ENGINE_SENDFILE);
    given.seconds = 0.3;
    give(&scene, &given);
    grant(&beside, PR_ENGINE_SENDFILE);
    expect_broken(&beside, 1, ECONNRESET);
    node_close(beside.relay, beside.connection, &beside.pair);
    scene.returns[PR_RETURN_BROKEN]++;
    expect_returned(&scene, PR_RETURN_TIME, 0);
    expect_unread(&scene, "", 0);
    free(batch.bytes);
    finish(&scene);
}

/* Node goes. */

static void node_that_closes_an_idle_connection(void) {
    struct scene scene = scene_open();
    grant(&scene, PR_ENGINE_SENDFILE);
    expect_answer(&scene, 0, 10);
    node_close(scene.relay, scene.connection, &scene.pair);
    wait_until(counted(scene.relay).connections == 0, 1000);
    CHECK_EQUAL(counted(scene.relay).returns[PR_RETURN_CLOSED], 1);
    CHECK(nothing_told(scene.relay));
    scene_close(&scene);
}

static void node_that_closes_one_whose_client_has_not_read_all(void) {
    struct scene scene = scene_open();
    grant(&scene, PR_ENGINE_SENDFILE);
    ask_range(scene.pair.peer, 0, SIZE / 2);
    wait_until(answers_so_far(scene.relay) == 1, 5000);
    node_close(scene.relay, scene.connection, &scene.pair);
    wait_until(counted(scene.relay).granted == 0, 500); /* not when the grant's time is over */
    CHECK_EQUAL(counted(scene.relay).returns[PR_RETURN_CLOSED], 1);
    ask_range(scene.pair.peer, 0, 10);
    stays(counted(scene.relay).references == 1, 50);
    read_answer(&scene, 0, SIZE / 2);
    wait_until(counted(scene.relay).connections == 0, 5000);
    CHECK_EQUAL(read_to_end(scene.pair.peer, 0, 0, NULL), 0);
    CHECK_EQUAL(answers_so_far(scene.relay), 1);
    CHECK(nothing_told(scene.relay));
    scene_close(&scene);
}

static void node_that_closes_in_mid_answer_breaks_it_off(void) {
    EACH_ENGINE(engine) {
        struct scene scene = slow_scene(logged(1));
        struct pr_grant given = grant_for(&scene, engine);
        begin_slow_answer(&scene, &given);
        node_close(scene.relay, scene.connection, &scene.pair);
        wait_until(counted(scene.relay).granted == 0, 1000);
        CHECK_EQUAL(counted(scene.relay).transmissions[engine][PR_OUTCOME_CANCELLED], 1);
        CHECK(nothing_told(scene.relay));
        uint64_t sent = counted(scene.relay).sent_bytes[engine];
        CHECK_EQUAL(read_to_end(scene.pair.peer, 1 << 20, 0, NULL), sent - (1 << 20));
        CHECK(sent < LARGE);
        scene_close(&scene);
    }
}

/* Broken off. */

static void a_client_that_stalls_is_broken_off(void) {
    struct pr_options options = logged(1);
    options.max_hold_seconds = 0.3;
    EACH_ENGINE(engine) {
        struct scene scene = slow_scene(options);
        struct pr_grant given = grant_for(&scene, engine);
        begin_slow_answer(&scene, &given);
        expect_broken(&scene, 1, ETIMEDOUT);
        CHECK_EQUAL(counted(scene.relay).transmissions[engine][PR_OUTCOME_STALLED], 1);
        uint64_t sent = counted(scene.relay).sent_bytes[engine];
        CHECK_EQUAL(read_to_end(scene.pair.peer, 1 << 20, 0, NULL), sent - (1 << 20));
        check_idle(&scene);
        scene_close(&scene);
    }
}

static void nor_may_one_leave_whole_answers_unread_for_ever(void) {
    struct pr_options options = logged(1);
    options.max_hold_seconds = 0.3;
    struct scene scene = scene_with(options, SIZE, ROOMY);
    grant(&scene, PR_ENGINE_SENDFILE);
    ask_range(scene.pair.peer, 0, SIZE / 2);
    wait_until(answers_so_far(scene.relay) == 1, 5000);
    expect_broken(&scene, 1, ETIMEDOUT);
    CHECK_EQUAL(references(scene.relay), 1);
    read_answer(&scene, 0, SIZE / 2);
    CHECK_EQUAL(read_to_end(scene.pair.peer, 0, 0, NULL), 0);
    check_idle(&scene);
    scene_close(&scene);
}

static bool pressed_until_returned(struct scene *scene) {
    pr_press(scene->relay, 0.05);
    return counted(scene->relay).returns[PR_RETURN_BROKEN] == 1;
}

static void what_a_writer_has_waited_for_is_broken_off(bool in_mid_answer) {
    uint64_t lease;
    struct scene scene = slow_scene(logged(1));
    struct pr_grant given = grant_for(&scene, PR_ENGINE_SENDFILE);
    if (in_mid_answer) {
        begin_slow_answer(&scene, &given);
    } else {
        give(&scene, &given);
        ask_range(scene.pair.peer, LARGE - 10, 10);
        wait_until(answers_so_far(scene.relay) == 1, 5000);
    }
    CHECK_EQUAL(pr_lease(scene.relay, scene.region.generation, LARGE - 10, 10, PR_NEEDS_DONE, true, &lease), 0);
    wait_until(pressed_until_returned(&scene), 5000);
    struct pr_event event = next_but_answers(scene.relay);
    if (in_mid_answer) { /* its last pages were never sent, and are free before it is back */
        CHECK_EQUAL(event.kind, PR_EVENT_GRANTED);
        event = next_but_answers(scene.relay);
    }
    CHECK_EQUAL(event.kind, PR_EVENT_RETURNED);
    CHECK_EQUAL(event.error, EBUSY);
    stays(no_event(scene.relay), 20); /* what was sent can still be read */
    if (in_mid_answer) {
        uint64_t sent = counted(scene.relay).sent_bytes[PR_ENGINE_SENDFILE];
        CHECK_EQUAL(read_to_end(scene.pair.peer, 1 << 20, 0, NULL), sent - (1 << 20));
    } else {
        read_answer(&scene, LARGE - 10, 10);
        CHECK_EQUAL(next_but_answers(scene.relay).kind, PR_EVENT_GRANTED);
    }
    CHECK_EQUAL(pr_lease_end(scene.relay, lease, 0, NULL), 0);
    scene_close(&scene);
}

static void a_waiting_writer_breaks_off_an_answer(void) {
    what_a_writer_has_waited_for_is_broken_off(true);
}

static void and_an_idle_connection_whose_client_does_not_read(void) {
    what_a_writer_has_waited_for_is_broken_off(false);
}

/* Done. */

static void answers_are_held_until_the_client_has_read_them(void) {
    enum { COUNT = 12 };
    static const enum pr_engine copy_free[] = {PR_ENGINE_SENDFILE, PR_ENGINE_SPLICE};
    for (int each = 0; each < 2; each++) {
        struct scene scene = scene_open();
        grant(&scene, copy_free[each]);
        for (uint64_t index = 0; index < COUNT; index++) ask_range(scene.pair.peer, 2 * index * PAGE + 7, PAGE);
        wait_until(answers_so_far(scene.relay) == COUNT, 5000);
        wait_acknowledged(scene.pair.ours);
        for (uint64_t index = 0; index < COUNT; index++) {
            CHECK_EQUAL(references(scene.relay), COUNT - index);
            read_head(scene.pair.peer, 2 * index * PAGE + 7, PAGE, SIZE);
            read_body(scene.pair.peer, 2 * index * PAGE + 7, PAGE - 1, 0);
            CHECK_EQUAL(references(scene.relay), COUNT - index);
            read_body(scene.pair.peer, 2 * index * PAGE + 7 + PAGE - 1, 1, 0);
            CHECK_EQUAL(references(scene.relay), COUNT - index - 1);
            /* What the table has let go of can be changed unseen. */
            region_write(&scene.region, 2 * index * PAGE, 2 * PAGE, 1);
        }
        reopen(&scene);
        pr_grants_end(scene.relay);
        expect_returned(&scene, PR_RETURN_REVOKED, COUNT);
        scene_close(&scene);
    }
}

/* An answer's pages are wanted for overwriting the moment that the table is without them. */
static void positions_are_right_whoever_has_sent_before(void) {
    struct scene scene = scene_unlogged();
    uint64_t random = test_seed();
    for (unsigned round = 0; round < 20; round++) {
        uint64_t offsets[40], lengths[40];
        unsigned count = 0, granted = 1 + (unsigned)test_below(&random, 30);
        if (test_below(&random, 2)) {
            SAY(scene.pair.ours, "of Node");
            read_text(scene.pair.peer, "of Node", 7);
        }
        grant(&scene, PR_ENGINE_SENDFILE);
        for (; count < granted; count++) {
            offsets[count] = test_below(&random, SIZE / 2);
            lengths[count] = 1 + test_below(&random, 9000);
            ask_range(scene.pair.peer, offsets[count], lengths[count]);
        }
        SAY(scene.pair.peer, other);
        expect_returned(&scene, PR_RETURN_REQUEST, count);
        expect_unread(&scene, other, sizeof other - 1);
        CHECK_EQUAL(serve(scene.relay, scene.connection, &scene.region, PR_ENGINE_SENDFILE, 5, 10, NULL), 1);
        wait_acknowledged(scene.pair.ours);
        for (unsigned index = 0; index < count; index++) {
            CHECK_EQUAL(references(scene.relay), count - index + 1);
            read_answer(&scene, offsets[index], lengths[index]);
        }
        CHECK_EQUAL(references(scene.relay), 1);
        read_body(scene.pair.peer, 5, 9, 0);
        CHECK_EQUAL(references(scene.relay), 1);
        read_body(scene.pair.peer, 14, 1, 0);
        CHECK_EQUAL(references(scene.relay), 0);
    }
    finish(&scene);
}

static void a_client_that_reads_nothing_back_is_looked_at_now_and_then(void) {
    struct scene scene = scene_open();
    grant(&scene, PR_ENGINE_SENDFILE);
    for (unsigned index = 0; index < 200; index++) {
        expect_answer(&scene, index * PAGE, 100);
        CHECK(counted(scene.relay).references <= 17);
    }
    scene_close(&scene);
}

/* Turns. */

static void a_slow_reader_is_waited_for_and_its_next_request_answered(void) {
    EACH_ENGINE(engine) {
        struct scene scene = slow_scene(logged(1));
        struct pr_grant given = grant_for(&scene, engine);
        begin_slow_answer(&scene, &given);
        ask_range(scene.pair.peer, 77, 1000);
        ask_range(scene.pair.peer, 5, 3 << 20);
        uint64_t used = test_processor_time(&scene.relay->lanes->list[0]);
        stays(no_event(scene.relay), 400);
        CHECK(test_processor_time(&scene.relay->lanes->list[0]) - used < 150000000);
        read_rest(&scene);
        read_answer(&scene, 77, 1000);
        read_answer(&scene, 5, 3 << 20);
        SAY(scene.pair.peer, other);
        expect_returned(&scene, PR_RETURN_REQUEST, 3);
        expect_unread(&scene, other, sizeof other - 1);
        finish(&scene);
    }
}

/* To the last byte, of a buffer that does not grow; room that comes with acknowledgements later is filled as well. */
static uint64_t fill(int fd) {
    char filler[4096] = {0};
    uint64_t filled = 0;
    int buffer = NARROW;
    MUST(setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &buffer, sizeof buffer));
    for (uint64_t quiet = pr_now() + 50000000; pr_now() < quiet; test_pause())
        for (ssize_t more; (more = send(fd, filler, sizeof filler, MSG_DONTWAIT)) > 0;) {
            filled += (uint64_t)more;
            quiet = pr_now() + 50000000;
        }
    return filled;
}

static void a_head_that_the_socket_has_no_room_for_is_kept(void) {
    EACH_ENGINE(engine) {
        char filler[4096] = {0};
        struct scene scene = scene_with(logged(1), SIZE, NARROW);
        char request[256];
        struct batch first = {.bytes = request, .length = write_range(request, 1, 5000)};
        deliver(&scene, &first); /* what acknowledges it makes room, so it comes before that is filled */
        uint64_t filled = fill(scene.pair.ours);
        struct pair second = pair_open(ROOMY);
        struct scene beside = scene;
        beside.pair = second;
        beside.connection = adopt(scene.relay, &second);
        grant(&scene, engine);
        wait_until(begun(scene.relay) == 1, 5000);
        grant(&beside, engine);
        expect_answer(&beside, 9, 9000); /* the lane's buffer has another head by now */
        for (uint64_t left = filled; left > 0;)
            left -= (uint64_t)MUST(recv(scene.pair.peer, filler, left < sizeof filler ? left : sizeof filler, 0));
        read_answer(&scene, 1, 5000);
        pr_grants_end(scene.relay);
        for (int each = 0; each < 2; each++) CHECK_EQUAL(next_but_answers(scene.relay).kind, PR_EVENT_RETURNED);
        node_close(beside.relay, beside.connection, &beside.pair);
        close_peer(&beside.pair);
        scene_close(&scene);
    }
}

/* Clients in threads. */

struct client {
    pthread_t thread;
    int peer;
    uint64_t length;
    atomic_bool over;
    atomic_uint sent;
};

/* Asks as fast as it can, and throws away what comes. */
static void *ask_greedily(void *argument) {
    struct client *client = argument;
    char requests[8192];
    size_t length = 0;
    while (length + 256 < sizeof requests) length += write_range(requests + length, 0, client->length);
    while (!atomic_load(&client->over)) {
        ssize_t sent = send(client->peer, requests, length, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (sent > 0 && (size_t)sent < length)
            while (!atomic_load(&client->over) && sent < (ssize_t)length) {
                ssize_t more = send(client->peer, requests + sent, length - (size_t)sent, MSG_DONTWAIT | MSG_NOSIGNAL);
                if (more > 0) sent += more;
                recv(client->peer, NULL, 1 << 20, MSG_TRUNC | MSG_DONTWAIT);
            }
        while (recv(client->peer, NULL, 1 << 20, MSG_TRUNC | MSG_DONTWAIT) > 0) continue;
    }
    return NULL;
}

/* The longest of several answers beside a greedy connection, ns. */
static uint64_t longest_beside(uint64_t length) {
    struct scene scene = scene_unlogged(), beside = scene;
    struct pair second = pair_open(ROOMY);
    beside.pair = second;
    beside.connection = adopt(scene.relay, &second);
    struct client client = {.peer = second.peer, .length = length};
    grant(&scene, PR_ENGINE_COPY);
    grant(&beside, PR_ENGINE_COPY);
    MUST(-pthread_create(&client.thread, NULL, ask_greedily, &client));
    wait_until(answers_so_far(scene.relay) > 500, 5000);
    uint64_t longest = 0;
    for (int round = 0; round < 50; round++) {
        uint64_t start = pr_now();
        expect_answer(&scene, 5, 100);
        uint64_t took = pr_now() - start;
        if (took > longest) longest = took;
    }
    atomic_store(&client.over, true);
    MUST(-pthread_join(client.thread, NULL));
    node_close(beside.relay, beside.connection, &beside.pair);
    close_peer(&beside.pair);
    scene_close(&scene);
    return longest;
}

static void a_greedy_client_does_not_starve_another(void) {
    uint64_t large = longest_beside(128 << 10), tiny = longest_beside(1);
    printf("  at most %.1f ms beside large bodies, %.1f ms beside tiny ones\n", (double)large / 1e6,
           (double)tiny / 1e6);
    CHECK(large < 300000000 && tiny < 300000000);
}

/* Urgent data. */

static void urgent_data_in_a_head_is_neither_answered_nor_fatal(void) {
    char request[256];
    size_t length = write_request(request, "bytes=10-25");
    for (size_t cut = 0; cut <= length; cut += 1 + cut / 4) {
        struct scene scene = scene_open();
        struct pr_grant given = grant_for(&scene, PR_ENGINE_SENDFILE);
        given.seconds = 0.1;
        if (cut % 2) give(&scene, &given);
        if (cut > 0) say(scene.pair.peer, request, cut);
        MUST(send(scene.pair.peer, "!", 1, MSG_OOB));
        if (cut < length) say(scene.pair.peer, request + cut, length - cut);
        if (!(cut % 2)) give(&scene, &given);
        struct pr_event event = next_but_answers(scene.relay);
        CHECK_EQUAL(event.kind, PR_EVENT_RETURNED);
        /* The urgent byte is no part of the stream: a head without it that was seen as a whole may be answered. */
        if (event.bytes == 1) read_answer(&scene, 10, 16);
        scene_close(&scene);
    }
}

/* A hook between a request's reference and its answer: whatever happens there must not be answered wrongly. */

static struct pr_sys real;
static void (*_Atomic hook)(void);
static struct scene *hooked;

static int hooked_fstat(int fd, struct stat *status) {
    void (*now)(void) = atomic_load(&hook) ? atomic_exchange(&hook, NULL) : NULL;
    if (now) now();
    return real.fstat(fd, status);
}

static void with_hook(struct scene *scene, void (*action)(void)) {
    hooked = scene;
    atomic_store(&hook, action);
}

static struct named *losing;

static void lose_the_name(void) {
    MUST(unlink(losing->path));
}

/* While a writer changes the file here, its times tell nothing, and its names are counted. */
static void a_name_that_goes_while_names_are_counted_is_missed_by_lanes_too(void) {
    struct named named = named_scene(2);
    struct pr_relay *relay = named.scene.relay;
    uint64_t generation = named.scene.region.generation, lease;
    losing = &named;
    grant(&named.scene, PR_ENGINE_SENDFILE);
    expect_answer(&named.scene, 0, 10);
    CHECK_EQUAL(pr_lease(relay, generation, SIZE / 2, 1, PR_NEEDS_NOTHING, false, &lease), 1);
    CHECK_EQUAL(pr_lease_touch(relay, lease), 0);
    with_hook(&named.scene, lose_the_name);
    CHECK_EQUAL(pr_generation_is_at(relay, generation, 0, named.path), -ENOENT);
    CHECK_EQUAL(pr_lease_end(relay, lease, generation, NULL), 0);
    expect_changed(&named.scene, 1);
    MUST(unlink(named.second));
    finish_named(&named);
}

static void send_urgent(void) {
    MUST(send(hooked->pair.peer, "!", 1, MSG_OOB));
    SAY(hooked->pair.peer, "more");
}

static void urgent_data_behind_a_head_that_is_being_answered(void) {
    struct scene scene = scene_open();
    with_hook(&scene, send_urgent);
    grant(&scene, PR_ENGINE_SENDFILE);
    expect_answer(&scene, 10, 16);
    struct pr_event event = next_but_answers(scene.relay);
    CHECK_EQUAL(event.kind, PR_EVENT_RETURNED);
    CHECK_EQUAL(event.bytes, 1);
    scene_close(&scene);
}

static void close_node(void) {
    node_close(hooked->relay, hooked->connection, &hooked->pair);
}

static void node_that_closes_while_a_request_is_being_answered(void) {
    struct scene scene = scene_open();
    EACH_ENGINE(engine) {
        struct scene one = scene_open();
        with_hook(&one, close_node);
        grant(&one, engine);
        ask_range(one.pair.peer, 0, 10);
        CHECK_EQUAL(read_to_end(one.pair.peer, 0, 0, NULL), 0);
        wait_until(counted(one.relay).connections == 0, 5000);
        CHECK_EQUAL(counted(one.relay).returns[PR_RETURN_CLOSED], 1);
        scene_close(&one);
    }
    finish(&scene);
}

static void close_region(void) {
    CHECK_EQUAL(pr_generation_close(hooked->relay, hooked->region.generation), 0);
}

static void a_region_that_is_closed_while_a_request_is_being_answered(void) {
    struct scene scene = scene_open();
    with_hook(&scene, close_region);
    grant(&scene, PR_ENGINE_SENDFILE);
    expect_answer(&scene, 0, 10); /* it has its reference */
    ask_range(scene.pair.peer, 0, 10);
    expect_returned(&scene, PR_RETURN_CHANGED, 1);
    char request[256];
    expect_unread(&scene, request, write_range(request, 0, 10));
    scene.region = region_open(scene.relay, scene.region.fd);
    finish(&scene);
}

static atomic_bool both_granted;

static void wait_for_both(void) {
    wait_until(atomic_load(&both_granted), 5000);
}

/* How many answers the lane has given to others before the first of this connection, if there is one. */
static size_t answers_before(struct pr_relay *relay, uint64_t connection) {
    struct pr_answer *answers = malloc(2 * MOST_REQUESTS * sizeof *answers);
    size_t count = pr_answers(relay, answers, 2 * MOST_REQUESTS), index = 0;
    while (index < count && answers[index].connection != connection) index++;
    free(answers);
    return index;
}

/* Bytes alone would let a client that asks for one at a time have its turn for a second and more. */
static void many_tiny_answers_are_given_in_several_turns(void) {
    struct pr_options options = options_with(1);
    options.log_answers = 2 * MOST_REQUESTS;
    struct scene scene = scene_with(options, SIZE, ROOMY), beside = scene;
    struct pair second = pair_open(ROOMY);
    beside.pair = second;
    beside.connection = adopt(scene.relay, &second);
    struct batch batch = batch_of(MOST_REQUESTS);
    deliver(&scene, &batch);
    ask_range(beside.pair.peer, 0, 10);
    atomic_store(&both_granted, false);
    with_hook(&scene, wait_for_both);
    grant(&scene, PR_ENGINE_COPY);
    grant(&beside, PR_ENGINE_COPY);
    atomic_store(&both_granted, true);
    read_batch(&scene, 0, MOST_REQUESTS);
    read_answer(&beside, 0, 10);
    CHECK(answers_before(scene.relay, beside.connection) < 200);
    node_close(beside.relay, beside.connection, &beside.pair);
    close_peer(&beside.pair);
    free(batch.bytes);
    scene_close(&scene);
}

/* The log. */

static void answers_are_logged_in_their_order(void) {
    struct pr_answer answers[LOG];
    struct scene scene = scene_open();
    struct pr_grant given = grant_for(&scene, PR_ENGINE_SENDFILE);
    given.copy_below = 100;
    give(&scene, &given);
    for (unsigned index = 0; index < 20; index++) {
        expect_answer(&scene, index, 90 + index);
        stays(true, 1);
    }
    wait_until(answers_so_far(scene.relay) == 20, 5000);
    for (unsigned first = 0; first < 20; first += 5) {
        CHECK_EQUAL(pr_answers(scene.relay, answers + first, 5), 5);
        for (unsigned index = first; index < first + 5; index++) {
            const struct pr_answer *answer = &answers[index];
            CHECK_EQUAL(answer->connection, scene.connection);
            CHECK_EQUAL(answer->offset, index);
            CHECK_EQUAL(answer->length, 90 + index);
            CHECK_EQUAL(answer->sent, 90 + index);
            CHECK_EQUAL(answer->engine, index < 10 ? PR_ENGINE_COPY : PR_ENGINE_SENDFILE);
            CHECK_EQUAL(answer->outcome, PR_OUTCOME_COMPLETE);
            CHECK_EQUAL(answer->error, 0);
            CHECK(answer->took > 0 && answer->took < 1000000000);
            CHECK(answer->ago < 5000000000u);
            if (index > first) CHECK(answer->ago + 900000 < answers[index - 1].ago);
        }
    }
    CHECK_EQUAL(pr_answers(scene.relay, answers, LOG), 0);
    CHECK(nothing_told(scene.relay));
    scene_close(&scene);
}

static void one_that_was_broken_off_is_logged_with_its_error(void) {
    struct pr_answer answers[2];
    struct scene scene = slow_scene(logged(1));
    struct pr_grant given = grant_for(&scene, PR_ENGINE_SENDFILE);
    begin_slow_answer(&scene, &given);
    reset_peer(&scene.pair);
    expect_broken(&scene, 1, ECONNRESET);
    CHECK_EQUAL(pr_answers(scene.relay, answers, 2), 1);
    CHECK_EQUAL(answers[0].outcome, PR_OUTCOME_ABORTED);
    CHECK(answers[0].error == ECONNRESET || answers[0].error == EPIPE);
    CHECK_EQUAL(answers[0].length, LARGE);
    CHECK_EQUAL(answers[0].sent, counted(scene.relay).sent_bytes[PR_ENGINE_SENDFILE]);
    scene_close(&scene);
}

static void a_full_log_gives_the_connection_back(void) {
    struct pr_options options = logged(1);
    options.log_answers = 4;
    struct pr_answer answers[4];
    struct scene scene = scene_with(options, SIZE, ROOMY);
    for (unsigned round = 0; round < 5; round++) {
        char request[256];
        grant(&scene, PR_ENGINE_SENDFILE);
        expect_answer(&scene, 0, 10);
        CHECK(nothing_told(scene.relay));
        expect_answer(&scene, 1, 10);
        CHECK_EQUAL(next_event(scene.relay).kind, PR_EVENT_ANSWERS);
        for (unsigned index = 2; index < 4; index++) expect_answer(&scene, index, 10);
        CHECK(nothing_told(scene.relay));
        ask_range(scene.pair.peer, 4, 10);
        expect_returned(&scene, PR_RETURN_LOG, 4);
        expect_unread(&scene, request, write_range(request, 4, 10));
        CHECK_EQUAL(pr_answers(scene.relay, answers, 3 + round % 2), 3 + round % 2);
        CHECK_EQUAL(answers[0].offset, 0);
        CHECK_EQUAL(pr_answers(scene.relay, answers, 4), 1 - round % 2);
    }
    finish(&scene);
}

static void without_a_log_nothing_is_kept(void) {
    struct pr_answer answer;
    struct scene scene = scene_unlogged();
    grant(&scene, PR_ENGINE_SENDFILE);
    for (unsigned index = 0; index < 50; index++) expect_answer(&scene, index, 10);
    CHECK_EQUAL(pr_answers(scene.relay, &answer, 1), 0);
    CHECK(nothing_told(scene.relay));
    scene_close(&scene);
}

/* Taking answers without the event that told of them may not fill the ring of events up. */
static void events_of_answers_do_not_outgrow_their_room(void) {
    struct pr_options options = logged(1);
    options.log_answers = 2;
    struct pr_answer answers[2];
    struct pr_event event;
    struct scene scene = scene_with(options, SIZE, ROOMY);
    grant(&scene, PR_ENGINE_SENDFILE);
    for (unsigned index = 0; index < 2000; index++) {
        expect_answer(&scene, index, 10);
        wait_until(pr_answers(scene.relay, answers, 2) > 0, 5000);
    }
    while (pr_events(scene.relay, &event, 1) == 1) CHECK_EQUAL(event.kind, PR_EVENT_ANSWERS);
    scene_close(&scene);
}

/* What can't be granted. */

static void what_cannot_be_granted_stays_as_it_was(void) {
    struct scene scene = scene_open();
    struct pr_grant given = grant_for(&scene, PR_ENGINE_SENDFILE), wrong = given;
    CHECK_EQUAL(pr_grant(scene.relay, scene.connection + 1, &given, NULL), -EBADF);
    wrong.engine = PR_ENGINE_STREAM;
    CHECK_EQUAL(pr_grant(scene.relay, scene.connection, &wrong, NULL), -EINVAL);
    wrong = given;
    wrong.request.length = 0; /* nothing at all would be one request after the other */
    wrong.request.range_at = 0;
    CHECK_EQUAL(pr_grant(scene.relay, scene.connection, &wrong, NULL), -EINVAL);
    wrong = given;
    wrong.request.range_at = wrong.request.length + 1;
    CHECK_EQUAL(pr_grant(scene.relay, scene.connection, &wrong, NULL), -EINVAL);
    wrong = given;
    wrong.generation++;
    CHECK_EQUAL(pr_grant(scene.relay, scene.connection, &wrong, NULL), -ESTALE);
    give(&scene, &given);
    CHECK_EQUAL(pr_grant(scene.relay, scene.connection, &given, NULL), -EBUSY);
    uint64_t id = hold(scene.relay, &scene.region, PR_ENGINE_SENDFILE, 0, 10);
    CHECK_EQUAL(pr_send(scene.relay, scene.connection, id, NULL, 0, NULL), -EBUSY);
    CHECK_EQUAL(pr_release(scene.relay, id, PR_OUTCOME_CANCELLED), 0);
    CHECK_EQUAL(pr_connection_break(scene.relay, scene.connection), -EBUSY);
    pr_grants_end(scene.relay);
    expect_returned(&scene, PR_RETURN_REVOKED, 0);
    finish(&scene);
}

static void an_unaskable_peer_is_granted_copies_only(void) {
    struct pr_options options = logged(1);
    options.peer_override = PR_PEER_UNASKABLE;
    struct scene scene = scene_with(options, SIZE, ROOMY);
    struct pr_grant given = grant_for(&scene, PR_ENGINE_SENDFILE);
    CHECK_EQUAL(pr_grant(scene.relay, scene.connection, &given, NULL), -EXDEV);
    grant(&scene, PR_ENGINE_COPY);
    expect_answer(&scene, 5, 50000);
    scene_close(&scene);
}

static void destroyed_with_grants_and_answers_in_flight(void) {
    struct scene scene = slow_scene(logged(2));
    struct pair pairs[4];
    for (unsigned index = 0; index < 4; index++) {
        struct scene one = scene;
        one.pair = pairs[index] = pair_open(NARROW);
        one.connection = adopt(scene.relay, &pairs[index]);
        grant(&one, (enum pr_engine)(index % 3));
        if (index < 3) ask(one.pair.peer, "bytes=0-");
        if (index == 3) expect_answer(&one, 0, 10);
    }
    wait_until(begun(scene.relay) == 3, 5000);
    region_close(scene.relay, &scene.region);
    pr_relay_destroy(scene.relay);
    for (unsigned index = 0; index < 4; index++) pair_close(&pairs[index]);
    pair_close(&scene.pair);
}

/* Faults. */

enum { MIDDLING = 5 << 20 }; /* more than a narrow connection takes at once */

/* One request under a grant, with whatever comes; returns what came of it. */
static bool ask_with_fault(struct scene *scene, uint64_t length, struct pr_event *event) {
    unsigned char block[65536];
    char request[256];
    bool returned = false, quiet = false;
    say(scene->pair.peer, request, write_range(request, 0, length));
    while (!returned && !quiet) {
        recv(scene->pair.peer, block, sizeof block, MSG_DONTWAIT);
        returned = pr_events(scene->relay, event, 1) == 1 && event->kind == PR_EVENT_RETURNED;
        quiet = answers_so_far(scene->relay) == 1;
    }
    if (!returned) {
        pr_grants_end(scene->relay);
        *event = next_but_answers(scene->relay);
    }
    CHECK_EQUAL(event->kind, PR_EVENT_RETURNED);
    return event->bytes == 1;
}

static void expect_request_kept(struct scene *scene, uint64_t length) {
    char request[256];
    expect_unread(scene, request, write_range(request, 0, length));
}

/* Returns whether something failed. */
static bool fail_once(enum pr_call call, int error, unsigned place, enum pr_engine engine, uint64_t length) {
    struct pr_event event;
    struct scene scene = scene_with(logged(1), MIDDLING, NARROW);
    struct pr_grant given = grant_for(&scene, engine);
    pr_fault_set(call, error, place, 1);
    int result = pr_grant(scene.relay, scene.connection, &given, NULL);
    if (result < 0) {
        pr_fault_set(call, 0, 0, 0);
        CHECK_EQUAL(result, -error);
        check_works(&scene);
        scene_close(&scene);
        return true;
    }
    bool answered = ask_with_fault(&scene, length, &event);
    pr_fault_set(call, 0, 0, 0);
    bool failed = event.error != 0 || !answered;
    if (event.error != 0) CHECK_EQUAL(event.error, error);
    if (event.error == 0 && !answered) {
        if (call == PR_CALL_RECV) CHECK_EQUAL(counted(scene.relay).returns[PR_RETURN_CLOSED], 1);
        if (call != PR_CALL_RECV) CHECK_EQUAL(counted(scene.relay).returns[PR_RETURN_FAILED], 1);
        expect_request_kept(&scene, length);
        for (int why = 0; why < PR_RETURN_COUNT; why++) scene.returns[why] = counted(scene.relay).returns[why];
        check_works(&scene);
    }
    if (event.error != 0) { /* it can still be read, so it may be watched */
        node_close(scene.relay, scene.connection, &scene.pair);
        char block[65536];
        while (recv(scene.pair.peer, block, sizeof block, 0) > 0) continue;
    }
    scene_close(&scene);
    return failed;
}

static const struct {
    enum pr_call call;
    int error;
    bool used_by[3];
} faults[] = {
    {PR_CALL_ALLOCATE, ENOMEM, {true, true, true}}, {PR_CALL_EPOLL_CTL, ENOMEM, {true, true, true}},
    {PR_CALL_RECV, ENOMEM, {true, true, true}},     {PR_CALL_FSTAT, EIO, {true, true, true}},
    {PR_CALL_SEND, ENOBUFS, {true, true, true}},    {PR_CALL_SENDFILE, EIO, {true, false, false}},
    {PR_CALL_SPLICE, ENOMEM, {false, true, false}}, {PR_CALL_SPLICE, EPIPE, {false, true, false}},
    {PR_CALL_PIPE, EMFILE, {false, true, false}},   {PR_CALL_PREAD, EIO, {false, false, true}},
};

static void every_call_of_an_answer_fails_once(void) {
    enum { PLACES = 6 };
    for (size_t index = 0; index < sizeof faults / sizeof *faults; index++) EACH_ENGINE(engine) {
            unsigned failed = 0;
            for (unsigned place = 0; place < PLACES; place++) {
                failed += fail_once(faults[index].call, faults[index].error, place, engine, 10000);
                failed += fail_once(faults[index].call, faults[index].error, place, engine, MIDDLING);
            }
            if ((failed > 0) != faults[index].used_by[engine])
                FAIL("%s, %s: failed at %u places", pr_call_name(faults[index].call), engine_names[engine], failed);
        }
}

/* Where there is no memory to keep what was read, it is lost with its connection, and nobody else's either. */
static void what_can_not_be_kept_is_nobody_elses(void) {
    struct scene scene = scene_open(), beside = scene;
    struct pair second = pair_open(ROOMY);
    beside.pair = second;
    beside.connection = adopt(scene.relay, &second);
    struct pr_grant given = grant_for(&scene, PR_ENGINE_SENDFILE);
    given.seconds = 0.5;
    give(&scene, &given);
    grant(&beside, PR_ENGINE_SENDFILE);
    expect_answer(&beside, 0, 10);
    pr_fault_set(PR_CALL_ALLOCATE, ENOMEM, 0, 1);
    SAY(beside.pair.peer, other);
    expect_broken(&beside, 1, ENOMEM);
    pr_fault_set(PR_CALL_ALLOCATE, 0, 0, 0);
    node_close(beside.relay, beside.connection, &beside.pair);
    close_peer(&beside.pair);
    scene.returns[PR_RETURN_BROKEN]++;
    expect_returned(&scene, PR_RETURN_TIME, 0);
    expect_unread(&scene, "", 0);
    finish(&scene);
}

static void a_hand_back_that_epoll_refuses_is_one_all_the_same(void) {
    struct scene scene = scene_open();
    grant(&scene, PR_ENGINE_SENDFILE);
    expect_answer(&scene, 0, 10);
    pr_fault_set(PR_CALL_EPOLL_CTL, ENOMEM, 0, 1);
    SAY(scene.pair.peer, other);
    expect_returned(&scene, PR_RETURN_REQUEST, 1);
    pr_fault_set(PR_CALL_EPOLL_CTL, 0, 0, 0);
    expect_unread(&scene, other, sizeof other - 1);
    SAY(scene.pair.peer, "of Node's");
    expect_unread(&scene, "of Node's", 9);
    finish(&scene);
}

/*
 * Many at once. Clients in threads ask for ranges of a region that is overwritten under leases all the time; each
 * answer, a lane's or Node's, must be one snapshot that is not older than the request. Node's part is played here.
 */

enum { SHARED = 64 << 10, VISITORS = 4, PILE = 24 };

/* What was there when a visitor asked, and what it can have got. */
static atomic_uint written, being_written;

struct visitor {
    pthread_t thread;
    int peer;
    uint64_t random, answers;
    atomic_bool over;
};

enum place_state { WITH_LANE, WITH_NODE, SENDING, GONE };

struct place {
    struct visitor visitor;
    struct pair pair;
    uint64_t connection;
    enum place_state state;
    char bytes[32 << 10];
    size_t length;
};

struct house {
    struct pr_relay *relay;
    struct region region;
    struct place places[VISITORS];
    uint64_t random, epoch, version, lease;
    uint64_t by_lanes, by_node, writes, visits, answers;
};

/* False when the connection has ended. */
static bool receive(int peer, void *into, size_t length) {
    return recv(peer, into, length, MSG_WAITALL) == (ssize_t)length;
}

static bool is_revision(const unsigned char *body, uint64_t offset, size_t length, unsigned oldest) {
    static _Thread_local unsigned char expected[SHARED];
    for (unsigned revision = atomic_load(&being_written);; revision--) {
        content(offset, length, revision, expected);
        if (memcmp(body, expected, length) == 0) return true;
        if (revision == oldest) return false;
    }
}

static bool receive_answer(struct visitor *visitor, uint64_t offset, uint64_t length, unsigned oldest) {
    static _Thread_local unsigned char body[SHARED];
    char expected[256], got[256];
    size_t count = (size_t)sprintf(expected, "%scontent-length: %llu\r\ncontent-range: bytes %llu-%llu/%d\r\n\r\n",
                                   head_206, (unsigned long long)length, (unsigned long long)offset,
                                   (unsigned long long)(offset + length - 1), SHARED);
    if (!receive(visitor->peer, got, count)) return false;
    if (memcmp(got, expected, count) != 0) FAIL("got %.*s", (int)count, got);
    if (!receive(visitor->peer, body, (size_t)length)) return false;
    if (!is_revision(body, offset, (size_t)length, oldest))
        FAIL("%llu bytes at %llu are no snapshot", (unsigned long long)length, (unsigned long long)offset);
    visitor->answers++;
    return true;
}

/* One pile of requests, in one write or two. */
static bool visit(struct visitor *visitor) {
    char requests[PILE * 256];
    uint64_t offsets[PILE], lengths[PILE];
    size_t length = 0;
    unsigned count = 1 + (unsigned)test_below(&visitor->random, PILE), oldest = atomic_load(&written);
    if (test_below(&visitor->random, 2)) count = 1;
    for (unsigned index = 0; index < count; index++) {
        offsets[index] = test_below(&visitor->random, SHARED);
        lengths[index] = 1 + test_below(&visitor->random, SHARED - offsets[index]);
        length += write_range(requests + length, offsets[index], lengths[index]);
    }
    size_t first = test_below(&visitor->random, 4) ? length : test_below(&visitor->random, length);
    if (first > 0 && send(visitor->peer, requests, first, MSG_NOSIGNAL) < 0) return false;
    if (first < length && test_below(&visitor->random, 2)) test_pause();
    if (first < length && send(visitor->peer, requests + first, length - first, MSG_NOSIGNAL) < 0) return false;
    if (test_below(&visitor->random, 100) == 0) return false;
    if (test_below(&visitor->random, 8) == 0) test_pause();
    for (unsigned index = 0; index < count; index++)
        if (!receive_answer(visitor, offsets[index], lengths[index], oldest)) return false;
    return test_below(&visitor->random, 60) > 0;
}

static void *visit_until_over(void *argument) {
    struct visitor *visitor = argument;
    while (!atomic_load(&visitor->over) && visit(visitor)) continue;
    if (test_below(&visitor->random, 2)) shutdown(visitor->peer, SHUT_WR);
    atomic_store(&visitor->over, true);
    return NULL;
}

static void let_in(struct house *house, struct place *place) {
    struct pair pair = pair_open(ROOMY);
    memset(place, 0, sizeof *place);
    place->pair = pair;
    place->connection = adopt(house->relay, &pair);
    place->state = WITH_NODE;
    place->visitor.peer = pair.peer;
    place->visitor.random = test_random(&house->random);
    house->visits++;
    MUST(-pthread_create(&place->visitor.thread, NULL, visit_until_over, &place->visitor));
}

static void see_out(struct house *house, struct place *place) {
    atomic_store(&place->visitor.over, true);
    if (place->state == GONE)
        shutdown(place->pair.peer, SHUT_RDWR); /* it may wait for an answer; ENOTCONN is as good */
    MUST(-pthread_join(place->visitor.thread, NULL));
    house->answers += place->visitor.answers;
    if (test_below(&house->random, 2)) reset_peer(&place->pair);
    node_close(house->relay, place->connection, &place->pair);
    close_peer(&place->pair);
}

static struct place *place_of(struct house *house, uint64_t connection) {
    for (unsigned index = 0; index < VISITORS; index++)
        if (house->places[index].connection == connection) return &house->places[index];
    return NULL;
}

static struct place *place_sending(struct house *house) {
    for (unsigned index = 0; index < VISITORS; index++)
        if (house->places[index].state == SENDING) return &house->places[index];
    return NULL;
}

/* Node answers one at a time, so that an event tells whose it was. */
static bool node_answers(struct house *house, struct place *place, const struct pr_asked *asked) {
    char head[256];
    uint64_t id;
    struct pr_segment extent = EXTENT(asked->offset, asked->length);
    enum pr_engine engine = (enum pr_engine)test_below(&house->random, 3);
    if (place_sending(house)) return false;
    if (pr_hold(house->relay, house->region.generation, house->epoch, house->version, engine, 0, &extent, 1, &id) < 0)
        return false;
    size_t length = (size_t)sprintf(head, "%scontent-length: %llu\r\ncontent-range: bytes %llu-%llu/%d\r\n\r\n",
                                    head_206, (unsigned long long)asked->length, (unsigned long long)asked->offset,
                                    (unsigned long long)(asked->offset + asked->length - 1), SHARED);
    int result = pr_send(house->relay, place->connection, id, head, length, NULL);
    if (result == -ECONNRESET) pr_release(house->relay, id, PR_OUTCOME_CANCELLED);
    place->state = result < 0 ? GONE : result == 0 ? SENDING : WITH_NODE;
    place->length -= asked->consumed;
    memmove(place->bytes, place->bytes + asked->consumed, place->length);
    house->by_node++;
    return place->state == WITH_NODE;
}

static void grant_again(struct house *house, struct place *place) {
    struct pr_grant given = {
        .generation = house->region.generation,
        .epoch = house->epoch,
        .version = house->version,
        .engine = (enum pr_engine)test_below(&house->random, 3),
        .copy_below = test_below(&house->random, 3) * 4096,
        .request = {ranged, sizeof ranged - 1, sizeof before - 1},
        .head = head_206,
        .head_length = sizeof head_206 - 1,
        .seconds = (double)test_below(&house->random, 300) / 1000,
        .most = (unsigned)test_below(&house->random, 300),
    };
    int result = pr_grant(house->relay, place->connection, &given, NULL);
    place->state = result == 0 ? WITH_LANE : result == -ESTALE ? WITH_NODE : GONE;
}

static void node_reads(struct house *house, struct place *place) {
    struct pr_repeat request = {ranged, sizeof ranged - 1, sizeof before - 1};
    struct pr_asked asked;
    size_t room = sizeof place->bytes - place->length;
    size_t kept = pr_unread(house->relay, place->connection, place->bytes + place->length, room);
    CHECK(kept <= room);
    place->length += kept;
    ssize_t got = recv(place->pair.ours, place->bytes + place->length, room - kept, MSG_DONTWAIT);
    if (got > 0) place->length += (size_t)got;
    enum pr_match match;
    while ((match = pr_repeat_match(&request, SHARED, place->bytes, place->length, &asked)) == PR_MATCH)
        if (!node_answers(house, place, &asked)) return;
    CHECK_EQUAL(match, PR_MATCH_SO_FAR);
    if (got == 0 || (got < 0 && errno != EAGAIN))
        place->state = GONE;
    else if (place->length == 0)
        grant_again(house, place);
}

static void write_all(struct house *house) {
    CHECK_EQUAL(pr_lease_begin(house->relay, house->lease, 1, &house->version), 0);
    house->epoch = 1;
    unsigned revision = atomic_load(&written) + 1;
    atomic_store(&being_written, revision);
    region_write(&house->region, 0, SHARED, revision);
    CHECK_EQUAL(pr_lease_end(house->relay, house->lease, house->region.generation, NULL), 0);
    atomic_store(&written, revision);
    house->lease = 0;
    house->writes++;
}

static void hear(struct house *house, const struct pr_event *event) {
    struct pr_answer answers[LOG];
    struct place *place = place_of(house, event->id);
    switch (event->kind) {
    case PR_EVENT_RETURNED:
        house->by_lanes += event->bytes;
        if (place && place->state == WITH_LANE) place->state = event->error ? GONE : WITH_NODE;
        break;
    case PR_EVENT_ACCEPTED:
    case PR_EVENT_BROKEN:
        place = place_sending(house);
        if (place) place->state = event->kind == PR_EVENT_ACCEPTED ? WITH_NODE : GONE;
        break;
    case PR_EVENT_STALLED:
        if (place && pr_connection_break(house->relay, event->id) == 0) place->state = GONE;
        break;
    case PR_EVENT_ANSWERS: pr_answers(house->relay, answers, LOG); break;
    case PR_EVENT_GRANTED:
        if (event->id != house->lease) break;
        if (event->error == 0) write_all(house);
        house->lease = 0;
        break;
    default: break;
    }
}

static void want_to_write(struct house *house) {
    if (house->lease != 0) return;
    int result = pr_lease(house->relay, house->region.generation, 0, SHARED, PR_NEEDS_DONE, true, &house->lease);
    if (result == 1) write_all(house);
    if (result < 0) house->lease = 0;
}

static void keep_house(struct house *house) {
    struct pr_event event;
    while (pr_events(house->relay, &event, 1) == 1) hear(house, &event);
    for (unsigned index = 0; index < VISITORS; index++) {
        struct place *place = &house->places[index];
        if (place->state == WITH_NODE) node_reads(house, place);
        if (place->state != GONE && !atomic_load(&place->visitor.over)) continue;
        see_out(house, place);
        let_in(house, place);
    }
    uint64_t what = test_below(&house->random, 1000);
    if (what < 5) pr_grants_end(house->relay);
    if (what > 990) want_to_write(house);
    if (house->lease) pr_press(house->relay, 0.2);
    if (what % 8 == 0) test_pause();
}

static void visitors_get_snapshots_whoever_answers(void) {
    static struct house house;
    house = (struct house){.random = test_seed()};
    atomic_store(&written, 0);
    atomic_store(&being_written, 0);
    struct pr_options options = logged(2);
    options.max_broken_off = 1000;
    house.relay = relay_start(options);
    house.region = region_create(house.relay, SHARED);
    for (unsigned index = 0; index < VISITORS; index++) let_in(&house, &house.places[index]);
    for (uint64_t end = pr_now() + 3000000000u; pr_now() < end;) keep_house(&house);
    for (unsigned index = 0; index < VISITORS; index++) {
        house.places[index].state = GONE;
        see_out(&house, &house.places[index]);
    }
    if (house.lease) CHECK_EQUAL(pr_lease_end(house.relay, house.lease, 0, NULL), 0);
    wait_until(counted(house.relay).connections == 0, 10000);
    CHECK_EQUAL(references(house.relay), counted(house.relay).quarantined);
    CHECK_EQUAL(counted(house.relay).granted, 0);
    CHECK_EQUAL(begun(house.relay), 0);
    printf("  %llu visits, %llu answers seen, %llu of lanes, %llu of Node, %llu writes, %llu quarantined\n  returned:",
           (unsigned long long)house.visits, (unsigned long long)house.answers, (unsigned long long)house.by_lanes,
           (unsigned long long)house.by_node, (unsigned long long)house.writes,
           (unsigned long long)counted(house.relay).quarantined);
    for (int why = 0; why < PR_RETURN_COUNT; why++)
        printf(" %llu", (unsigned long long)counted(house.relay).returns[why]);
    printf("\n");
    CHECK(house.by_lanes > 100 && house.by_node > 10 && house.writes > 5);
    region_close(house.relay, &house.region);
    pr_relay_destroy(house.relay);
}

int main(void) {
    real = pr_sys;
    pr_sys.fstat = hooked_fstat;
    RUN(every_engine_answers_plain_ranges);
    RUN(short_bodies_are_copied);
    RUN(large_bodies_have_an_engine_of_their_own);
    RUN(a_whole_region_is_answered_with_the_head_as_it_is);
    RUN(pipelined_requests_are_answered_in_order);
    RUN(a_head_that_the_window_cuts_is_answered_too);
    RUN(what_is_not_answered_stays_unread_to_the_byte);
    RUN(a_grant_whose_time_is_over_comes_back_unasked);
    RUN(time_that_is_over_in_mid_answer_waits_for_its_end);
    RUN(a_grant_that_is_used_up_comes_back);
    RUN(another_request_is_left_to_node);
    RUN(a_head_in_pieces_is_left_to_node);
    RUN(neither_a_piece_nor_an_idle_grant_costs_processor_time);
    RUN(a_region_that_is_closed_is_not_answered);
    RUN(a_region_that_is_closed_in_mid_answer_is_sent_to_its_end);
    RUN(a_file_that_others_touched_is_not_answered);
    RUN(a_file_that_has_lost_a_name_is_not_answered);
    RUN(a_file_whose_other_names_change_is_another_content);
    RUN(a_name_that_goes_while_names_are_counted_is_missed_by_lanes_too);
    RUN(a_version_that_has_moved_is_not_answered);
    RUN(pages_that_a_writer_has_are_not_answered);
    RUN(nor_are_pages_that_a_writer_waits_for);
    RUN(revoked_grants_come_back);
    RUN(revoked_in_mid_answer_they_come_back_after_it);
    RUN(node_that_wants_to_end_gets_its_connection_back);
    RUN(a_lane_is_not_woken_for_what_node_reads);
    RUN(the_end_of_an_idle_client_is_told_at_once);
    RUN(an_end_behind_requests_is_told_after_their_answers);
    RUN(a_reset_of_an_idle_client_is_told_at_once);
    RUN(a_reset_in_mid_answer_breaks_it_off);
    RUN(requests_of_a_broken_connection_are_nobody_elses);
    RUN(node_that_closes_an_idle_connection);
    RUN(node_that_closes_one_whose_client_has_not_read_all);
    RUN(node_that_closes_in_mid_answer_breaks_it_off);
    RUN(a_client_that_stalls_is_broken_off);
    RUN(nor_may_one_leave_whole_answers_unread_for_ever);
    RUN(a_waiting_writer_breaks_off_an_answer);
    RUN(and_an_idle_connection_whose_client_does_not_read);
    RUN(answers_are_held_until_the_client_has_read_them);
    RUN(positions_are_right_whoever_has_sent_before);
    RUN(a_client_that_reads_nothing_back_is_looked_at_now_and_then);
    RUN(a_slow_reader_is_waited_for_and_its_next_request_answered);
    RUN(a_head_that_the_socket_has_no_room_for_is_kept);
    RUN(a_greedy_client_does_not_starve_another);
    RUN(urgent_data_in_a_head_is_neither_answered_nor_fatal);
    RUN(urgent_data_behind_a_head_that_is_being_answered);
    RUN(node_that_closes_while_a_request_is_being_answered);
    RUN(a_region_that_is_closed_while_a_request_is_being_answered);
    RUN(many_tiny_answers_are_given_in_several_turns);
    RUN(answers_are_logged_in_their_order);
    RUN(one_that_was_broken_off_is_logged_with_its_error);
    RUN(a_full_log_gives_the_connection_back);
    RUN(without_a_log_nothing_is_kept);
    RUN(events_of_answers_do_not_outgrow_their_room);
    RUN(what_cannot_be_granted_stays_as_it_was);
    RUN(an_unaskable_peer_is_granted_copies_only);
    RUN(destroyed_with_grants_and_answers_in_flight);
    RUN(visitors_get_snapshots_whoever_answers);
    pr_faults_enable();
    RUN(every_call_of_an_answer_fails_once);
    RUN(what_can_not_be_kept_is_nobody_elses);
    RUN(a_hand_back_that_epoll_refuses_is_one_all_the_same);
    return 0;
}

/*
 * Writers that change pages of which readers have not been sent all yet: they have them at once, and every body stays
 * what it was when it began.
 */
#include "test.h"

#include <fcntl.h>
#include <linux/falloc.h>
#include <pthread.h>
#include <sys/socket.h>

#include "pages/kept.h"
#include "wire/keep.h"

enum { PAGE = 4096, PAGES = 4096, SIZE = PAGES * PAGE, LAST = SIZE - PAGE };

struct scene {
    struct pr_relay *relay;
    struct region region;
    unsigned revision;
};

/* Somebody who reads slowly. */
struct reader {
    struct pair pair;
    uint64_t connection, transmission;
};

static struct scene scene_open(unsigned lanes) {
    struct scene scene = {.relay = relay_start(options_with(lanes))};
    scene.region = region_create(scene.relay, SIZE);
    return scene;
}

static void check_nothing_kept(const struct scene *scene) {
    wait_until(references(scene->relay) == 0, 5000);
    struct pr_counters counters = counted(scene->relay);
    CHECK_EQUAL(counters.kept_bytes, 0);
    CHECK_EQUAL(counters.held_pages, 0);
    CHECK_EQUAL(counters.held_bytes, 0);
    CHECK_EQUAL(counters.claims, 0);
    CHECK_EQUAL(counters.waiting_writers, 0);
}

static void scene_close(struct scene *scene) {
    check_nothing_kept(scene);
    region_close(scene->relay, &scene->region);
    pr_relay_destroy(scene->relay);
}

static struct reader reader_of(const struct scene *scene, enum pr_engine engine, const struct pr_segment *segments,
                               size_t count) {
    struct reader reader = {.pair = pair_open(NARROW)};
    uint64_t epoch = 0, version = 0;
    reader.connection = adopt(scene->relay, &reader.pair);
    CHECK_EQUAL(pr_generation_set_version(scene->relay, scene->region.generation, &epoch, &version), 0);
    CHECK_EQUAL(pr_hold(scene->relay, scene->region.generation, epoch, version, engine, 0, segments, count,
                        &reader.transmission),
                0);
    return reader;
}

static void begin(const struct scene *scene, const struct reader *reader) {
    CHECK_EQUAL(pr_send(scene->relay, reader->connection, reader->transmission, NULL, 0, NULL), 0);
}

static struct reader reader_of_all(const struct scene *scene, enum pr_engine engine) {
    struct pr_segment all = EXTENT(0, SIZE);
    struct reader reader = reader_of(scene, engine, &all, 1);
    begin(scene, &reader);
    return reader;
}

static void expect(const struct scene *scene, enum pr_event_kind kind, uint64_t id) {
    struct pr_event event = next_event(scene->relay);
    CHECK_EQUAL(event.kind, kind);
    CHECK_EQUAL(event.id, id);
    CHECK_EQUAL(event.error, 0);
}

static void reader_close(const struct scene *scene, struct reader *reader) {
    node_close(scene->relay, reader->connection, &reader->pair);
    close_peer(&reader->pair);
}

static void read_all(const struct scene *scene, struct reader *reader) {
    read_body(reader->pair.peer, 0, SIZE, 0);
    expect(scene, PR_EVENT_ACCEPTED, reader->transmission);
    reader_close(scene, reader);
}

/* Writers. */

static uint64_t lease_for(const struct scene *scene, uint64_t offset, uint64_t length) {
    uint64_t lease;
    CHECK_EQUAL(pr_lease(scene->relay, scene->region.generation, offset, length, PR_NEEDS_NOTHING, true, &lease), 1);
    return lease;
}

/* As a writer to fresh pages does: what sockets have taken keeps the old ones. */
static void write_under(struct scene *scene, uint64_t lease, uint64_t offset, uint64_t length) {
    uint64_t version, first = offset - offset % PAGE, end = (offset + length + PAGE - 1) / PAGE * PAGE;
    CHECK_EQUAL(pr_lease_begin(scene->relay, lease, 1, &version), 0);
    MUST(fallocate(scene->region.fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)first, (off_t)(end - first)));
    region_write(&scene->region, first, end - first, ++scene->revision);
    CHECK_EQUAL(pr_lease_end(scene->relay, lease, true, NULL), 0);
}

/* A lane that is sending just then points to what is kept at the end of its turn, which an event tells of. */
static void have_sockets(const struct scene *scene, uint64_t lease) {
    int result = pr_lease_wait_for(scene->relay, lease, PR_NEEDS_ACCEPTED);
    if (result == 0) expect(scene, PR_EVENT_GRANTED, lease);
    CHECK(result >= 0);
}

/* Nobody reads meanwhile. */
static void overwrite(struct scene *scene, uint64_t offset, uint64_t length) {
    uint64_t lease = lease_for(scene, offset, length);
    CHECK_EQUAL(pr_lease_keep(scene->relay, lease, false), 0);
    have_sockets(scene, lease);
    write_under(scene, lease, offset, length);
}

/* Every engine, every place. */

static const struct {
    uint64_t offset, length;
} places[] = {
    {LAST, PAGE},
    {LAST + 100, 1},
    {SIZE / 2 + 1, 70000},
    {SIZE / 2, PAGE},
    {SIZE - 3 * PAGE - 1, 2 * PAGE},
    {SIZE / 4, SIZE / 2},
    {0, SIZE},
    {0, PAGE},
    {SIZE / 8, 1},
    {SIZE - 1, 1},
    {1, SIZE - 2},
    {SIZE / 3, SIZE / 3},
};
enum { PLACES = sizeof places / sizeof *places };

static void at_this_place(enum pr_engine engine, size_t place) {
    struct scene scene = scene_open(1);
    struct reader reader = reader_of_all(&scene, engine);
    overwrite(&scene, places[place].offset, places[place].length);
    read_all(&scene, &reader);
    scene_close(&scene);
}

static void a_writer_has_what_is_not_sent_at_once(void) {
    for (enum pr_engine engine = PR_ENGINE_SENDFILE; engine <= PR_ENGINE_ZEROCOPY; engine++)
        for (size_t place = 0; engine != PR_ENGINE_STREAM && place < PLACES; place += 1 + (size_t)engine % 3)
            at_this_place(engine, place);
}

static void one_body_is_split_by_many_writers(void) {
    EACH_ENGINE(engine) {
        struct scene scene = scene_open(2);
        struct reader reader = reader_of_all(&scene, engine);
        for (size_t place = 0; place < PLACES; place++) {
            overwrite(&scene, places[place].offset, places[place].length);
            read_body(reader.pair.peer, place * 50001, 50001, 0);
        }
        CHECK(counted(scene.relay).keeps > 1);
        read_body(reader.pair.peer, PLACES * 50001, SIZE - PLACES * 50001, 0);
        expect(&scene, PR_EVENT_ACCEPTED, reader.transmission);
        reader_close(&scene, &reader);
        struct reader next = reader_of_all(&scene, engine); /* it has what the last one wrote there */
        read_body(next.pair.peer, 0, SIZE / 4, PLACES - 1);
        reader_close(&scene, &next);
        wait_until(references(scene.relay) == 0, 5000);
        while (!no_event(scene.relay)) continue;
        scene_close(&scene);
    }
}

static void read_literal(int peer, const char *literal) {
    char got[16] = "";
    CHECK_EQUAL(MUST(recv(peer, got, strlen(literal), MSG_WAITALL)), (ssize_t)strlen(literal));
    CHECK(strcmp(got, literal) == 0);
}

static void each_part_of_a_body_is_split(void) {
    enum { HALF = SIZE / 2 };
    const struct pr_segment segments[] = {
        EXTENT(100, HALF),         {.literal = "between", .length = 7}, EXTENT(HALF - 5000, 9000),
        EXTENT(LAST - PAGE, PAGE), {.literal = "end", .length = 3},
    };
    EACH_ENGINE(engine) {
        struct scene scene = scene_open(1);
        struct reader reader = reader_of(&scene, engine, segments, 5);
        begin(&scene, &reader);
        overwrite(&scene, HALF - PAGE, 2 * PAGE);
        overwrite(&scene, LAST - PAGE / 2, PAGE);
        read_body(reader.pair.peer, 100, HALF, 0);
        read_literal(reader.pair.peer, "between");
        read_body(reader.pair.peer, HALF - 5000, 9000, 0);
        read_body(reader.pair.peer, LAST - PAGE, PAGE, 0);
        read_literal(reader.pair.peer, "end");
        expect(&scene, PR_EVENT_ACCEPTED, reader.transmission);
        reader_close(&scene, &reader);
        scene_close(&scene);
    }
}

static void readers_share_what_is_kept(void) {
    enum { READERS = 5 };
    struct scene scene = scene_open(2);
    struct reader readers[READERS];
    for (unsigned index = 0; index < READERS; index++) readers[index] = reader_of_all(&scene, index % 3);
    overwrite(&scene, LAST, PAGE);
    CHECK_EQUAL(counted(scene.relay).keeps, READERS);
    CHECK_EQUAL(counted(scene.relay).kept_bytes, PAGE);
    for (unsigned index = 0; index < READERS; index++) read_all(&scene, &readers[index]);
    scene_close(&scene);
}

static void where_all_is_sent_nothing_is_kept(void) {
    struct scene scene = scene_open(1);
    struct pr_segment few = EXTENT(0, PAGE);
    struct reader reader = reader_of(&scene, PR_ENGINE_SENDFILE, &few, 1);
    CHECK_EQUAL(pr_send(scene.relay, reader.connection, reader.transmission, NULL, 0, NULL), 1);
    overwrite(&scene, 0, PAGE);
    CHECK_EQUAL(counted(scene.relay).keeps, 0);
    read_body(reader.pair.peer, 0, PAGE, 0);
    reader_close(&scene, &reader);
    scene_close(&scene);
}

/* What is kept goes on being no page's: `/references`, and what writers wait for. */
static void kept_bytes_hold_no_pages(void) {
    struct scene scene = scene_open(1);
    struct reader reader = reader_of_all(&scene, PR_ENGINE_SENDFILE);
    overwrite(&scene, SIZE / 2, SIZE / 2);
    struct pr_reference_info info = only_reference(scene.relay);
    CHECK_EQUAL(info.last, SIZE / 2 - 1);
    CHECK(counted(scene.relay).held_pages <= PAGES / 2);
    CHECK_EQUAL(counted(scene.relay).kept_bytes, SIZE / 2);
    uint64_t lease;
    CHECK_EQUAL(pr_lease(scene.relay, scene.region.generation, SIZE / 2, SIZE / 2, PR_NEEDS_DONE, false, &lease), 1);
    CHECK_EQUAL(pr_lease_end(scene.relay, lease, false, NULL), 0);
    uint64_t copied = counted(scene.relay).copied_bytes[PR_ENGINE_SENDFILE];
    read_all(&scene, &reader);
    struct pr_counters counters = counted(scene.relay);
    CHECK_EQUAL(counters.copied_bytes[PR_ENGINE_SENDFILE] - copied, SIZE / 2);
    CHECK_EQUAL(counters.uncopied_bytes[PR_ENGINE_SENDFILE], SIZE / 2);
    CHECK_EQUAL(counters.sent_bytes[PR_ENGINE_SENDFILE], SIZE);
    scene_close(&scene);
}

/* Who is waited for. */

static void one_that_has_not_begun_is_waited_for_until_its_first_turn(void) {
    struct scene scene = scene_open(1);
    struct pr_segment all = EXTENT(0, SIZE);
    EACH_ENGINE(engine) {
        struct reader reader = reader_of(&scene, engine, &all, 1);
        uint64_t lease = lease_for(&scene, LAST, PAGE);
        CHECK_EQUAL(pr_lease_keep(scene.relay, lease, false), 0);
        CHECK_EQUAL(pr_lease_wait_for(scene.relay, lease, PR_NEEDS_ACCEPTED), 0);
        CHECK(no_event(scene.relay));
        CHECK_EQUAL(counted(scene.relay).waiting_writers, 1);
        begin(&scene, &reader);
        expect(&scene, PR_EVENT_GRANTED, lease);
        CHECK_EQUAL(counted(scene.relay).waiting_writers, 0);
        CHECK_EQUAL(pr_lease_end(scene.relay, lease, false, NULL), 0);
        read_all(&scene, &reader);
    }
    scene_close(&scene);
}

static void one_that_node_reads_is_waited_for(void) {
    struct scene scene = scene_open(1);
    struct pr_segment all = EXTENT(0, SIZE);
    struct reader reader = reader_of(&scene, PR_ENGINE_SENDFILE, &all, 1);
    CHECK_EQUAL(pr_change_to_stream(scene.relay, reader.transmission), 0);
    uint64_t lease = lease_for(&scene, LAST, PAGE);
    CHECK_EQUAL(pr_lease_keep(scene.relay, lease, false), 0);
    CHECK_EQUAL(counted(scene.relay).kept_bytes, 0);
    CHECK_EQUAL(pr_lease_wait_for(scene.relay, lease, PR_NEEDS_ACCEPTED), 0);
    CHECK_EQUAL(pr_advance(scene.relay, reader.transmission, SIZE), 0);
    expect(&scene, PR_EVENT_GRANTED, lease);
    CHECK_EQUAL(pr_lease_end(scene.relay, lease, false, NULL), 0);
    CHECK_EQUAL(pr_release(scene.relay, reader.transmission, PR_OUTCOME_COMPLETE), 0);
    reader_close(&scene, &reader);
    scene_close(&scene);
}

static void a_lease_that_is_none_or_has_begun_keeps_nothing(void) {
    struct scene scene = scene_open(1);
    uint64_t version, lease = lease_for(&scene, 0, PAGE);
    CHECK_EQUAL(pr_lease_keep(scene.relay, lease + 1, false), -EBADF);
    CHECK_EQUAL(pr_lease_wait_for(scene.relay, lease + 1, PR_NEEDS_ACCEPTED), -EBADF);
    CHECK_EQUAL(pr_lease_begin(scene.relay, lease, 1, &version), 0);
    CHECK_EQUAL(pr_lease_keep(scene.relay, lease, false), -EBADF);
    CHECK_EQUAL(pr_lease_wait_for(scene.relay, lease, PR_NEEDS_ACCEPTED), -EBADF);
    CHECK_EQUAL(pr_lease_end(scene.relay, lease, false, NULL), 0);
    scene_close(&scene);
}

/* A writer behind it goes on waiting while it has its old place in the queue. */
static void a_lease_that_waits_again_keeps_its_place(void) {
    struct scene scene = scene_open(1);
    struct pr_segment all = EXTENT(0, SIZE);
    struct reader reader = reader_of(&scene, PR_ENGINE_SENDFILE, &all, 1);
    uint64_t first = lease_for(&scene, LAST, PAGE), second;
    CHECK_EQUAL(pr_lease(scene.relay, scene.region.generation, LAST, PAGE, PR_NEEDS_NOTHING, true, &second), 0);
    CHECK_EQUAL(pr_lease_wait_for(scene.relay, first, PR_NEEDS_ACCEPTED), 0);
    CHECK_EQUAL(pr_release(scene.relay, reader.transmission, PR_OUTCOME_CANCELLED), 0);
    expect(&scene, PR_EVENT_GRANTED, first);
    CHECK(no_event(scene.relay));
    CHECK_EQUAL(pr_lease_end(scene.relay, first, false, NULL), 0);
    expect(&scene, PR_EVENT_GRANTED, second);
    CHECK_EQUAL(pr_lease_end(scene.relay, second, false, NULL), 0);
    reader_close(&scene, &reader);
    scene_close(&scene);
}

/* What waits is looked at again and again: so many wait, and no more. The last one is gone then. */
static void too_many_that_wait_again_are_refused(void) {
    enum { MOST = 128 };
    struct scene scene = scene_open(1);
    struct pr_segment all = EXTENT(0, SIZE);
    struct reader reader = reader_of(&scene, PR_ENGINE_SENDFILE, &all, 1);
    uint64_t leases[MOST + 1];
    for (unsigned index = 0; index <= MOST; index++) leases[index] = lease_for(&scene, index * PAGE, PAGE);
    for (unsigned index = 0; index < MOST; index++)
        CHECK_EQUAL(pr_lease_wait_for(scene.relay, leases[index], PR_NEEDS_DONE), 0);
    CHECK_EQUAL(pr_lease_wait_for(scene.relay, leases[MOST], PR_NEEDS_DONE), -EUSERS);
    CHECK_EQUAL(pr_lease_end(scene.relay, leases[MOST], false, NULL), -EBADF);
    CHECK_EQUAL(pr_release(scene.relay, reader.transmission, PR_OUTCOME_CANCELLED), 0);
    for (unsigned index = 0; index < MOST; index++) expect(&scene, PR_EVENT_GRANTED, leases[index]);
    for (unsigned index = 0; index < MOST; index++)
        CHECK_EQUAL(pr_lease_end(scene.relay, leases[index], false, NULL), 0);
    reader_close(&scene, &reader);
    scene_close(&scene);
}

/* The oldest writer has its place, however many wait behind it. */
static void who_is_first_is_not_refused_for_those_behind(void) {
    enum { MOST = 128 };
    struct scene scene = scene_open(1);
    struct pr_segment all = EXTENT(0, SIZE);
    struct reader reader = reader_of(&scene, PR_ENGINE_SENDFILE, &all, 1);
    uint64_t behind[MOST], first = lease_for(&scene, 0, PAGE);
    for (unsigned index = 0; index < MOST; index++)
        CHECK_EQUAL(pr_lease(scene.relay, scene.region.generation, 0, PAGE, PR_NEEDS_NOTHING, true, &behind[index]), 0);
    CHECK_EQUAL(pr_lease_wait_for(scene.relay, first, PR_NEEDS_DONE), 0);
    CHECK_EQUAL(pr_release(scene.relay, reader.transmission, PR_OUTCOME_CANCELLED), 0);
    expect(&scene, PR_EVENT_GRANTED, first);
    CHECK_EQUAL(pr_lease_end(scene.relay, first, false, NULL), 0);
    for (unsigned index = 0; index < MOST; index++) {
        expect(&scene, PR_EVENT_GRANTED, behind[index]);
        CHECK_EQUAL(pr_lease_end(scene.relay, behind[index], false, NULL), 0);
    }
    reader_close(&scene, &reader);
    scene_close(&scene);
}

/* Ends. */

static void what_ends_early_gives_back_what_was_kept(void) {
    EACH_ENGINE(engine) for (int way = 0; way < 2; way++) {
        struct scene scene = scene_open(1);
        struct reader reader = reader_of_all(&scene, engine);
        overwrite(&scene, SIZE / 2, SIZE / 2);
        overwrite(&scene, SIZE / 2 + PAGE, 5 * PAGE);
        CHECK_EQUAL(counted(scene.relay).kept_bytes, SIZE / 2);
        if (way == 0) reset_peer(&reader.pair);
        node_close(scene.relay, reader.connection, &reader.pair);
        wait_until(counted(scene.relay).kept_bytes == 0, 5000);
        close_peer(&reader.pair);
        wait_until(counted(scene.relay).connections == 0, 5000);
        while (!no_event(scene.relay)) continue;
        scene_close(&scene);
    }
}

/* Broken off with pages unread that nobody can ask about any more: those stay held, what was kept does not. */
static void what_is_quarantined_keeps_nothing(void) {
    struct pr_options options = options_with(1);
    options.max_broken_off = 0;
    struct scene scene = {.relay = relay_start(options)};
    scene.region = region_create(scene.relay, SIZE);
    struct reader reader = reader_of_all(&scene, PR_ENGINE_SENDFILE);
    overwrite(&scene, SIZE / 2, SIZE / 2);
    CHECK_EQUAL(pr_connection_close(scene.relay, reader.connection), 0);
    wait_until(counted(scene.relay).quarantined == 1, 5000);
    CHECK_EQUAL(counted(scene.relay).kept_bytes, 0);
    pair_close(&reader.pair);
    region_close(scene.relay, &scene.region);
    pr_relay_destroy(scene.relay);
}

static void a_relay_ends_with_bytes_kept(void) {
    struct scene scene = scene_open(2);
    struct reader reader = reader_of_all(&scene, PR_ENGINE_SPLICE);
    overwrite(&scene, SIZE / 2, SIZE / 2);
    uint64_t lease = lease_for(&scene, SIZE / 4, PAGE);
    CHECK_EQUAL(pr_lease_keep(scene.relay, lease, false), 0);
    CHECK(counted(scene.relay).kept_bytes > SIZE / 2);
    region_close(scene.relay, &scene.region);
    pr_relay_destroy(scene.relay);
    pair_close(&reader.pair);
}

/* Where it can't be had. */

/* The lease waits until all is sent, and the body is whole. */
static void check_waits(struct scene *scene, struct reader *reader, uint64_t lease) {
    CHECK_EQUAL(pr_lease_wait_for(scene->relay, lease, PR_NEEDS_ACCEPTED), 0);
    read_body(reader->pair.peer, 0, SIZE, 0);
    struct pr_event first = next_event(scene->relay), second = next_event(scene->relay);
    bool in_order = first.kind == PR_EVENT_GRANTED;
    CHECK_EQUAL((in_order ? second : first).kind, PR_EVENT_ACCEPTED);
    CHECK_EQUAL((in_order ? first : second).kind, PR_EVENT_GRANTED);
    CHECK_EQUAL(pr_lease_end(scene->relay, lease, false, NULL), 0);
    reader_close(scene, reader);
    check_nothing_kept(scene);
}

/* The lane waits for its reader: it makes no calls of its own. */
static void wait_until_idle(const struct scene *scene) {
    struct pr_poller *lane = &scene->relay->lanes->list[0].poller;
    for (uint64_t quiet = 0, sent = 0; quiet < 100; test_pause()) {
        uint64_t now = counted(scene->relay).sent_bytes[PR_ENGINE_SENDFILE];
        pr_lock_part(lane->part);
        quiet = lane->asleep && now == sent && now > 0 ? quiet + 1 : 0;
        pr_unlock_part(lane->part);
        sent = now;
    }
}

static void keep_with_fault(enum pr_call call, int error, unsigned skip, int expected) {
    struct scene scene = scene_open(1);
    struct reader reader = reader_of_all(&scene, PR_ENGINE_SENDFILE);
    uint64_t lease = lease_for(&scene, SIZE / 2, SIZE / 2);
    wait_until_idle(&scene);
    pr_fault_set(call, error, skip, 1);
    CHECK_EQUAL(pr_lease_keep(scene.relay, lease, false), expected);
    pr_fault_set(call, 0, 0, 0);
    CHECK_EQUAL(counted(scene.relay).keeps, 0);
    check_waits(&scene, &reader, lease);
    scene_close(&scene);
}

static void without_memory_or_the_file_the_writer_waits(void) {
    keep_with_fault(PR_CALL_ALLOCATE, ENOMEM, 0, -ENOMEM);
    keep_with_fault(PR_CALL_ALLOCATE, ENOMEM, 1, 0); /* not even for the segments */
    keep_with_fault(PR_CALL_PREAD, EIO, 0, -EIO);
}

static void more_than_the_limit_is_waited_for(void) {
    struct scene scene = scene_open(1);
    struct reader reader = reader_of_all(&scene, PR_ENGINE_COPY);
    uint64_t lease = lease_for(&scene, LAST, PAGE), others = PR_MOST_KEPT - PAGE + 1;
    pr_lock(scene.relay);
    pr_node_part(scene.relay)->counters.kept_bytes += others;
    pr_unlock(scene.relay);
    CHECK_EQUAL(pr_lease_keep(scene.relay, lease, false), -ENOBUFS);
    pr_lock(scene.relay);
    pr_node_part(scene.relay)->counters.kept_bytes -= others;
    CHECK_EQUAL(pr_kept_reserve(scene.relay, PR_MOST_KEPT_FOR_ONE + 1), -ENOBUFS);
    pr_unlock(scene.relay);
    check_waits(&scene, &reader, lease);
    scene_close(&scene);
}

static void much_is_not_kept_at_once(void) {
    struct scene scene = scene_open(1);
    struct reader reader = reader_of_all(&scene, PR_ENGINE_SENDFILE);
    uint64_t lease = lease_for(&scene, SIZE / 2, SIZE / 2);
    CHECK_EQUAL(pr_lease_keep(scene.relay, lease, true), -EAGAIN);
    CHECK_EQUAL(counted(scene.relay).kept_bytes, 0);
    CHECK_EQUAL(pr_lease_end(scene.relay, lease, false, NULL), 0);
    lease = lease_for(&scene, LAST, PAGE);
    CHECK_EQUAL(pr_lease_keep(scene.relay, lease, true), 0);
    have_sockets(&scene, lease);
    CHECK_EQUAL(counted(scene.relay).keeps, 1);
    write_under(&scene, lease, LAST, PAGE);
    read_body(reader.pair.peer, 0, SIZE, 0);
    reader_close(&scene, &reader);
    scene_close(&scene);
}

/* Each page that is overwritten by itself makes two segments more. */
static void a_body_is_split_only_so_often(void) {
    enum { FIRST = 1500, SPLITS = 1023 };
    struct scene scene = scene_open(1);
    struct reader reader = reader_of_all(&scene, PR_ENGINE_SENDFILE);
    for (unsigned split = 0; split < SPLITS; split++) overwrite(&scene, (FIRST + 2 * split) * PAGE, PAGE);
    CHECK_EQUAL(counted(scene.relay).keeps, SPLITS);
    uint64_t lease = lease_for(&scene, (FIRST + 2 * SPLITS) * PAGE, PAGE);
    CHECK_EQUAL(pr_lease_keep(scene.relay, lease, false), 0);
    check_waits(&scene, &reader, lease);
    scene_close(&scene);
}

/* As much as the socket takes of what Node writes itself. */
static size_t fill_socket(int fd) {
    static const char zeros[PAGE];
    size_t filled = 0;
    for (ssize_t sent; (sent = send(fd, zeros, sizeof zeros, MSG_DONTWAIT)) > 0;) filled += (size_t)sent;
    return filled;
}

/* One that would have left in one call with its head. */
static void a_short_body_is_kept_too(void) {
    enum { SHORT = 3 * PAGE + 5 };
    struct scene scene = scene_open(1);
    struct pr_segment few = EXTENT(LAST - SHORT, SHORT);
    struct reader reader = reader_of(&scene, PR_ENGINE_COPY, &few, 1);
    size_t filled = fill_socket(reader.pair.ours);
    CHECK_EQUAL(pr_send(scene.relay, reader.connection, reader.transmission, "HEAD", 4, NULL), 0);
    overwrite(&scene, LAST - SHORT, SHORT);
    CHECK_EQUAL(counted(scene.relay).keeps, 1);
    expect_zeros(reader.pair.peer, filled);
    read_literal(reader.pair.peer, "HEAD");
    read_body(reader.pair.peer, LAST - SHORT, SHORT, 0);
    expect(&scene, PR_EVENT_ACCEPTED, reader.transmission);
    reader_close(&scene, &reader);
    scene_close(&scene);
}

/* Random writers beside random readers, and lanes that send meanwhile. */

enum { READERS = 6, ROUNDS = 300, MOST_EXTENT = 2 << 20 };

struct body {
    bool open;
    struct reader reader;
    uint64_t offset, length, read;
    unsigned char revisions[PAGES]; /* of each page, when it began */
};

struct play {
    struct scene scene;
    uint64_t random;
    unsigned char revisions[PAGES];
    struct body bodies[READERS];
    uint64_t lease; /* that a thread keeps bytes for */
    bool waits;
};

static void begin_body(struct play *play, struct body *body) {
    body->offset = test_below(&play->random, SIZE - 1);
    body->length = 1 + test_below(&play->random, SIZE - body->offset);
    body->read = 0;
    memcpy(body->revisions, play->revisions, sizeof body->revisions);
    struct pr_segment extent = EXTENT(body->offset, body->length);
    body->reader = reader_of(&play->scene, (enum pr_engine)test_below(&play->random, 3), &extent, 1);
    CHECK(pr_send(play->scene.relay, body->reader.connection, body->reader.transmission, NULL, 0, NULL) >= 0);
    body->open = true;
}

/* Page by page; ends at its end, or now and then before. */
static void read_on(struct play *play, struct body *body) {
    for (uint64_t budget = test_below(&play->random, 1 << 20); body->read < body->length;) {
        uint64_t at = body->offset + body->read, left = body->length - body->read, page = PAGE - at % PAGE;
        uint64_t length = left < page ? left : page;
        if (budget < length) break;
        read_body(body->reader.pair.peer, at, length, body->revisions[at / PAGE]);
        body->read += length;
        budget -= length;
    }
    if (body->read < body->length && test_below(&play->random, 40) > 0) return;
    reader_close(&play->scene, &body->reader);
    body->open = false;
}

static void *keep_in_thread(void *context) {
    const struct play *play = context;
    CHECK_EQUAL(pr_lease_keep(play->scene.relay, play->lease, false), 0);
    return NULL;
}

static void someone_reads(struct play *play) {
    struct body *body = &play->bodies[test_below(&play->random, READERS)];
    if (body->open) read_on(play, body);
}

static void write_some(struct play *play) {
    uint64_t first = test_below(&play->random, PAGES), left = PAGES - first;
    uint64_t most = (uint64_t)1 << test_below(&play->random, 12);
    uint64_t pages = 1 + test_below(&play->random, left < most ? left : most);
    pthread_t thread;
    play->lease = lease_for(&play->scene, first * PAGE, pages * PAGE);
    CHECK_EQUAL(pthread_create(&thread, NULL, keep_in_thread, play), 0);
    someone_reads(play);
    CHECK_EQUAL(pthread_join(thread, NULL), 0);
    int result = pr_lease_wait_for(play->scene.relay, play->lease, PR_NEEDS_ACCEPTED);
    CHECK(result >= 0);
    for (struct pr_event event; result == 0; result = event.kind == PR_EVENT_GRANTED)
        event = next_event(play->scene.relay);
    write_under(&play->scene, play->lease, first * PAGE, pages * PAGE);
    memset(play->revisions + first, (int)(play->scene.revision & 255), pages);
    play->scene.revision &= 127; /* it fits in a byte */
}

static void every_body_is_one_snapshot(void) {
    static struct play play;
    play = (struct play){.scene = scene_open(2), .random = test_seed()};
    for (unsigned round = 0; round < ROUNDS; round++) {
        struct body *body = &play.bodies[test_below(&play.random, READERS)];
        if (!body->open) begin_body(&play, body);
        someone_reads(&play);
        write_some(&play);
        while (!no_event(play.scene.relay)) continue;
    }
    CHECK(counted(play.scene.relay).keeps > 0);
    for (unsigned index = 0; index < READERS; index++)
        if (play.bodies[index].open) reader_close(&play.scene, &play.bodies[index].reader);
    wait_until(counted(play.scene.relay).connections == 0, 20000);
    while (!no_event(play.scene.relay)) continue;
    scene_close(&play.scene);
}

int main(void) {
    pr_faults_enable();
    RUN(a_writer_has_what_is_not_sent_at_once);
    RUN(one_body_is_split_by_many_writers);
    RUN(each_part_of_a_body_is_split);
    RUN(readers_share_what_is_kept);
    RUN(where_all_is_sent_nothing_is_kept);
    RUN(kept_bytes_hold_no_pages);
    RUN(one_that_has_not_begun_is_waited_for_until_its_first_turn);
    RUN(one_that_node_reads_is_waited_for);
    RUN(a_lease_that_is_none_or_has_begun_keeps_nothing);
    RUN(a_lease_that_waits_again_keeps_its_place);
    RUN(too_many_that_wait_again_are_refused);
    RUN(who_is_first_is_not_refused_for_those_behind);
    RUN(what_ends_early_gives_back_what_was_kept);
    RUN(what_is_quarantined_keeps_nothing);
    RUN(a_relay_ends_with_bytes_kept);
    RUN(without_memory_or_the_file_the_writer_waits);
    RUN(more_than_the_limit_is_waited_for);
    RUN(much_is_not_kept_at_once);
    RUN(a_body_is_split_only_so_often);
    RUN(a_short_body_is_kept_too);
    RUN(every_body_is_one_snapshot);
    return 0;
}

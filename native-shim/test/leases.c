/* Leases and readers' places: who may have which pages, in what order, and what a waiting writer does about it. */
#include "lease-scene.h"

#include <netinet/tcp.h>
#include <unistd.h>

enum { LENGTH = 64 << 10, LARGE = 24 << 20 };
static const double NEVER = 1e6; /* seconds */

/* In either order: a lane may look before it tells. */
static void expect_accepted_and_granted(struct scene *scene, uint64_t transmission, uint64_t claim) {
    struct pr_event first = next_event(scene->relay), second = next_event(scene->relay);
    bool granted_first = first.kind == PR_EVENT_GRANTED;
    struct pr_event accepted = granted_first ? second : first, granted = granted_first ? first : second;
    CHECK_EQUAL(accepted.kind, PR_EVENT_ACCEPTED);
    CHECK_EQUAL(accepted.id, transmission);
    CHECK_EQUAL(granted.kind, PR_EVENT_GRANTED);
    CHECK_EQUAL(granted.id, claim);
    CHECK_EQUAL(granted.error, 0);
}

/* Asking. */

static void free_pages_are_leased_at_once(void) {
    struct scene scene = scene_open(SIZE);
    uint64_t id = leased(&scene, 3, 2);
    CHECK_EQUAL(counted(scene.relay).leases, 1);
    CHECK_EQUAL(counted(scene.relay).claims, 1);
    CHECK_EQUAL(try_lease(&scene, 4, 1, PR_NEEDS_DONE), -EAGAIN);
    CHECK_EQUAL(try_lease(&scene, 0, 4, PR_NEEDS_DONE), -EAGAIN);
    CHECK_EQUAL(try_lease(&scene, 0, 3, PR_NEEDS_DONE), 1);
    CHECK_EQUAL(try_lease(&scene, 5, 3, PR_NEEDS_DONE), 1);
    end_lease(&scene, id);
    CHECK_EQUAL(pr_lease_end(scene.relay, id, false, NULL), -EBADF);
    CHECK_EQUAL(try_lease(&scene, 4, 1, PR_NEEDS_DONE), 1);
    scene_close(&scene);
}

static void a_lease_without_an_end_covers_all_that_may_come(void) {
    struct scene scene = scene_open(SIZE);
    uint64_t id, none, all[] = {UINT64_MAX, UINT64_MAX - 5 * PAGE, UINT64_MAX - 5 * PAGE - 1};
    for (size_t index = 0; index < sizeof all / sizeof *all; index++) {
        CHECK_EQUAL(pr_lease(scene.relay, scene.region.generation, 5 * PAGE, all[index], PR_NEEDS_DONE, false, &id), 1);
        CHECK_EQUAL(try_lease(&scene, PAGES + 1000, 1, PR_NEEDS_DONE), -EAGAIN);
        CHECK_EQUAL(pr_lease(scene.relay, scene.region.generation, UINT64_MAX - 1, 1, PR_NEEDS_DONE, false, &none),
                    -EAGAIN);
        CHECK_EQUAL(try_lease(&scene, 5, 1, PR_NEEDS_DONE), -EAGAIN);
        CHECK_EQUAL(try_lease(&scene, 0, 5, PR_NEEDS_DONE), 1);
        end_lease(&scene, id);
    }
    scene_close(&scene);
}

static void what_cannot_be_leased_is_refused(void) {
    struct scene scene = scene_open(SIZE);
    struct region other = region_create(scene.relay, SIZE);
    struct pr_segment extent = EXTENT(0, PAGE);
    uint64_t id, version;
    CHECK_EQUAL(try_lease(&scene, 0, 0, PR_NEEDS_DONE), -ERANGE);
    uint64_t hold_id = held(&scene, 0, 1), place = ask_place(&scene, 0, 1, 1), lease = leased(&scene, 9, 1);
    uint64_t wrong[] = {0, 1, hold_id, scene.region.generation, place, lease + (1 << 23)};
    for (size_t index = 0; index < sizeof wrong / sizeof *wrong; index++) {
        CHECK_EQUAL(pr_lease_begin(scene.relay, wrong[index], 1, &version), -EBADF);
        CHECK_EQUAL(pr_lease_touch(scene.relay, wrong[index]), -EBADF);
        CHECK_EQUAL(pr_lease_end(scene.relay, wrong[index], false, NULL), -EBADF);
    }
    CHECK_EQUAL(pr_place_end(scene.relay, lease), -EBADF);
    CHECK_EQUAL(pr_lease(scene.relay, lease, 0, PAGE, PR_NEEDS_DONE, true, &id), -EBADF);
    CHECK_EQUAL(pr_place(scene.relay, lease, &extent, 1, &id), -EBADF);
    uint64_t kept = hold(scene.relay, &other, PR_ENGINE_STREAM, 0, PAGE);
    CHECK_EQUAL(pr_generation_close(scene.relay, other.generation), 0);
    CHECK_EQUAL(pr_lease(scene.relay, other.generation, 0, PAGE, PR_NEEDS_NOTHING, true, &id), -ESTALE);
    CHECK_EQUAL(pr_place(scene.relay, other.generation, &extent, 1, &id), -ESTALE);
    release(&scene, kept);
    release(&scene, hold_id);
    end_lease(&scene, lease);
    end_place(&scene, place);
    close(other.fd);
    scene_close(&scene);
}

static void pages_count_not_bytes(void) {
    struct scene scene = scene_open(SIZE);
    uint64_t first, second;
    CHECK_EQUAL(pr_lease(scene.relay, scene.region.generation, 10, 20, PR_NEEDS_DONE, false, &first), 1);
    CHECK_EQUAL(pr_lease(scene.relay, scene.region.generation, 4000, 96, PR_NEEDS_DONE, false, &second), -EAGAIN);
    CHECK_EQUAL(pr_lease(scene.relay, scene.region.generation, PAGE, 1, PR_NEEDS_DONE, false, &second), 1);
    end_lease(&scene, second);
    CHECK_EQUAL(try_hold(&scene, PAGE - 1, 1), -EAGAIN);
    CHECK_EQUAL(try_hold(&scene, PAGE - 1, 2), -EAGAIN);
    CHECK_EQUAL(try_hold(&scene, PAGE, 1), 0);
    CHECK_EQUAL(pr_lease(scene.relay, scene.region.generation, PAGE - 1, 2, PR_NEEDS_DONE, true, &second), 0);
    end_lease(&scene, first);
    expect_granted(&scene, second);
    CHECK_EQUAL(try_hold(&scene, 2 * PAGE - 1, 1), -EAGAIN);
    CHECK_EQUAL(try_hold(&scene, 2 * PAGE, 1), 0);
    end_lease(&scene, second);
    CHECK_EQUAL(pr_lease(scene.relay, scene.region.generation, 3 * PAGE - 1, 1, PR_NEEDS_DONE, false, &first), 1);
    CHECK_EQUAL(pr_lease(scene.relay, scene.region.generation, 2 * PAGE, 1, PR_NEEDS_DONE, false, &second), -EAGAIN);
    CHECK_EQUAL(pr_lease(scene.relay, scene.region.generation, 2 * PAGE - 1, 1, PR_NEEDS_DONE, false, &second), 1);
    CHECK_EQUAL(try_hold(&scene, 2 * PAGE, 1), -EAGAIN);
    end_lease(&scene, first);
    end_lease(&scene, second);
    scene_close(&scene);
}

/* What a writer waits for. */

struct line {
    struct pair pair;
    uint64_t connection;
};

static struct line line_open(struct scene *scene, int receive_buffer) {
    struct line line = {.pair = pair_open(receive_buffer)};
    line.connection = adopt(scene->relay, &line.pair);
    return line;
}

static void line_close(struct scene *scene, struct line *line) {
    if (line->pair.ours >= 0) node_close(scene->relay, line->connection, &line->pair);
    pair_close(&line->pair);
    wait_until(counted(scene->relay).connections == 0, 5000);
}

static void changed_pages_wait_for_a_late_local_reader(enum pr_engine engine) {
    struct scene scene = scene_open(SIZE);
    struct line line = line_open(&scene, ROOMY);
    CHECK_EQUAL(serve(scene.relay, line.connection, &scene.region, engine, 0, LENGTH, NULL), 1);
    wait_acknowledged(line.pair.ours);
    CHECK_EQUAL(try_lease(&scene, 0, 1, PR_NEEDS_DONE), -EAGAIN);
    uint64_t id = waiting_lease(&scene, LENGTH / PAGE - 1, 1);
    CHECK_EQUAL(counted(scene.relay).waiting_writers, 1);
    read_body(line.pair.peer, 0, LENGTH - 1, 0);
    CHECK_EQUAL(pr_press(scene.relay, NEVER), 1);
    CHECK(no_event(scene.relay));
    CHECK_EQUAL(try_lease(&scene, 0, 1, PR_NEEDS_DONE), 1);
    read_body(line.pair.peer, LENGTH - 1, 1, 0);
    CHECK_EQUAL(pr_press(scene.relay, NEVER), 0);
    expect_granted(&scene, id);
    end_lease(&scene, id);
    line_close(&scene, &line);
    scene_close(&scene);
}

static void changed_pages_wait_until_done(void) {
    changed_pages_wait_for_a_late_local_reader(PR_ENGINE_SENDFILE);
    changed_pages_wait_for_a_late_local_reader(PR_ENGINE_SPLICE);
}

/* The timer of the lane, too, lets a writer in. */
static void a_writer_need_not_press(void) {
    struct scene scene = scene_open(SIZE);
    struct line line = line_open(&scene, ROOMY);
    CHECK_EQUAL(serve(scene.relay, line.connection, &scene.region, PR_ENGINE_SENDFILE, 0, LENGTH, NULL), 1);
    uint64_t id = waiting_lease(&scene, 0, 1);
    read_body(line.pair.peer, 0, LENGTH, 0);
    expect_granted(&scene, id);
    end_lease(&scene, id);
    line_close(&scene, &line);
    scene_close(&scene);
}

static void fresh_pages_wait_until_accepted(void) {
    EACH_ENGINE(engine) {
        struct scene scene = scene_open(SIZE);
        struct line line = line_open(&scene, ROOMY);
        uint64_t transmission = hold(scene.relay, &scene.region, engine, 0, LENGTH);
        CHECK_EQUAL(try_lease(&scene, 1, 1, PR_NEEDS_ACCEPTED), -EAGAIN);
        uint64_t id = ask_lease(&scene, 1, 1, PR_NEEDS_ACCEPTED, 0);
        CHECK_EQUAL(pr_press(scene.relay, NEVER), 1);
        CHECK_EQUAL(pr_send(scene.relay, line.connection, transmission, NULL, 0, NULL), 1);
        expect_granted(&scene, id);
        CHECK_EQUAL(references(scene.relay), engine != PR_ENGINE_COPY); /* nobody has read yet */
        end_lease(&scene, id);
        read_body(line.pair.peer, 0, LENGTH, 0);
        line_close(&scene, &line);
        scene_close(&scene);
    }
}

static void fresh_pages_of_a_slow_body_wait_for_their_part_of_it(void) {
    EACH_ENGINE(engine) {
        struct scene scene = scene_open(LARGE);
        struct line line = line_open(&scene, NARROW);
        uint64_t transmission;
        CHECK_EQUAL(serve(scene.relay, line.connection, &scene.region, engine, 0, LARGE, &transmission), 0);
        CHECK_EQUAL(try_lease(&scene, 0, 1, PR_NEEDS_ACCEPTED), 1);
        uint64_t id = ask_lease(&scene, LARGE / PAGE - 1, 1, PR_NEEDS_ACCEPTED, 0);
        stays(no_event(scene.relay), 20);
        read_body(line.pair.peer, 0, LARGE, 0);
        /* The last bytes are counted as sent before the end is told. */
        expect_granted(&scene, id);
        expect_event(scene.relay, PR_EVENT_ACCEPTED, transmission, 0);
        end_lease(&scene, id);
        line_close(&scene, &line);
        scene_close(&scene);
    }
}

static void a_stream_is_waited_for_by_whole_pages(void) {
    for (enum pr_needs needs = PR_NEEDS_DONE; needs <= PR_NEEDS_ACCEPTED; needs++) {
        struct scene scene = scene_open(SIZE);
        uint64_t transmission = held(&scene, 0, 3), first = ask_lease(&scene, 0, 1, needs, 0);
        uint64_t last = ask_lease(&scene, 2, 1, needs, 0);
        CHECK_EQUAL(pr_advance(scene.relay, transmission, PAGE - 1), 0);
        CHECK(no_event(scene.relay));
        CHECK_EQUAL(pr_advance(scene.relay, transmission, 1), 0);
        expect_granted(&scene, first);
        CHECK_EQUAL(pr_advance(scene.relay, transmission, 2 * PAGE - 1), 0);
        CHECK(no_event(scene.relay));
        CHECK_EQUAL(pr_advance(scene.relay, transmission, 1), 0);
        expect_granted(&scene, last);
        release(&scene, transmission);
        end_lease(&scene, first);
        end_lease(&scene, last);
        scene_close(&scene);
    }
}

static void who_changes_no_held_byte_waits_for_no_reader(void) {
    struct scene scene = scene_open(SIZE);
    uint64_t transmission = held(&scene, 0, 4);
    uint64_t id = ask_lease(&scene, 1, 2, PR_NEEDS_NOTHING, 1);
    CHECK_EQUAL(pr_press(scene.relay, 0), 0);
    CHECK_EQUAL(try_lease(&scene, 2, 1, PR_NEEDS_NOTHING), -EAGAIN); /* but for other writers it does */
    CHECK_EQUAL(try_lease(&scene, 2, 1, PR_NEEDS_DONE), -EAGAIN);
    CHECK_EQUAL(try_hold(&scene, 2 * PAGE, 1), -EAGAIN);
    uint64_t next = ask_lease(&scene, 2, 1, PR_NEEDS_NOTHING, 0);
    CHECK_EQUAL(pr_press(scene.relay, 0), 0); /* what it waits for is no reader */
    end_lease(&scene, id);
    expect_granted(&scene, next);
    end_lease(&scene, next);
    release(&scene, transmission);
    scene_close(&scene);
}

/* A body of several parts, some of them literal, is in the way where it still has pages. */
static void only_extents_that_are_left_are_in_the_way(void) {
    struct scene scene = scene_open(SIZE);
    struct pr_segment segments[] = {
        EXTENT(8 * PAGE, PAGE), {.literal = "between", .length = 7}, EXTENT(2 * PAGE, 2 * PAGE), EXTENT(8 * PAGE, 1)};
    uint64_t transmission;
    CHECK_EQUAL(pr_hold(scene.relay, scene.region.generation, 0, 0, PR_ENGINE_STREAM, 0, segments, 4, &transmission),
                0);
    CHECK_EQUAL(try_lease(&scene, 0, 2, PR_NEEDS_DONE), 1); /* where the offset of a literal would be */
    CHECK_EQUAL(try_lease(&scene, 4, 4, PR_NEEDS_DONE), 1);
    CHECK_EQUAL(pr_advance(scene.relay, transmission, PAGE + 7 + PAGE), 0);
    CHECK_EQUAL(try_lease(&scene, 2, 1, PR_NEEDS_DONE), 1);
    CHECK_EQUAL(try_lease(&scene, 3, 1, PR_NEEDS_DONE), -EAGAIN);
    CHECK_EQUAL(try_lease(&scene, 8, 1, PR_NEEDS_DONE), -EAGAIN); /* it comes twice */
    CHECK_EQUAL(pr_advance(scene.relay, transmission, PAGE), 0);
    CHECK_EQUAL(try_lease(&scene, 3, 1, PR_NEEDS_DONE), 1);
    CHECK_EQUAL(try_lease(&scene, 8, 1, PR_NEEDS_ACCEPTED), -EAGAIN);
    release(&scene, transmission);
    scene_close(&scene);
}

static void what_a_download_has_left_behind_can_be_written_while_it_goes_on(void) {
    enum { HALF = LARGE / 2 };
    struct scene scene = scene_open(LARGE);
    struct line line = line_open(&scene, NARROW);
    uint64_t transmission;
    CHECK_EQUAL(serve(scene.relay, line.connection, &scene.region, PR_ENGINE_SENDFILE, 0, LARGE, &transmission), 0);
    uint64_t front = waiting_lease(&scene, 0, HALF / PAGE);
    uint64_t back = waiting_lease(&scene, HALF / PAGE, 1);
    read_body(line.pair.peer, 0, HALF, 0);
    wait_until(pr_press(scene.relay, NEVER) == 1 && counted(scene.relay).leases == 1, 5000);
    expect_granted(&scene, front);
    region_write(&scene.region, 0, HALF, 1);
    read_body(line.pair.peer, HALF, LARGE - HALF, 0);
    wait_until(pr_press(scene.relay, NEVER) == 0, 5000);
    expect_accepted_and_granted(&scene, transmission, back);
    end_lease(&scene, front);
    end_lease(&scene, back);
    line_close(&scene, &line);
    scene_close(&scene);
}

/* Turns. */

static void a_reader_does_not_overtake_a_waiting_writer(void) {
    struct scene scene = scene_open(SIZE);
    uint64_t before = held(&scene, 0, 2), after;
    uint64_t writer = waiting_lease(&scene, 1, 2);
    CHECK_EQUAL(try_hold(&scene, PAGE, PAGE), -EAGAIN); /* though it could be shared with who is there */
    CHECK_EQUAL(try_hold(&scene, 2 * PAGE, PAGE), -EAGAIN);
    uint64_t reader = ask_place(&scene, 2, 2, 0);
    CHECK_EQUAL(counted(scene.relay).waiting_readers, 1);
    release(&scene, before);
    expect_granted(&scene, writer);
    CHECK(no_event(scene.relay));
    CHECK_EQUAL(hold_at(&scene, reader, 2 * PAGE, 2 * PAGE, &after), -EAGAIN); /* it is not granted yet */
    end_lease(&scene, writer);
    expect_granted(&scene, reader);
    CHECK_EQUAL(counted(scene.relay).waiting_readers, 0);
    CHECK_EQUAL(hold_at(&scene, reader, 2 * PAGE, 2 * PAGE, &after), 0);
    release(&scene, after);
    scene_close(&scene);
}

static void a_writer_does_not_overtake_a_waiting_reader(void) {
    struct scene scene = scene_open(SIZE);
    uint64_t first = leased(&scene, 0, 1), reader = ask_place(&scene, 0, 2, 0), second = waiting_lease(&scene, 1, 1);
    CHECK_EQUAL(try_lease(&scene, 1, 1, PR_NEEDS_NOTHING), -EAGAIN);
    end_lease(&scene, first);
    expect_granted(&scene, reader);
    CHECK(no_event(scene.relay));
    end_place(&scene, reader);
    expect_granted(&scene, second);
    end_lease(&scene, second);
    scene_close(&scene);
}

static void readers_are_let_in_together(void) {
    enum { READERS = 5 };
    struct scene scene = scene_open(SIZE);
    uint64_t first = leased(&scene, 0, 4), places[READERS], holds[READERS];
    for (unsigned index = 0; index < READERS; index++) places[index] = ask_place(&scene, index % 4, 1, 0);
    uint64_t second = waiting_lease(&scene, 0, 4);
    uint64_t late = ask_place(&scene, 0, 1, 0);
    end_lease(&scene, first);
    for (unsigned index = 0; index < READERS; index++) expect_granted(&scene, places[index]);
    for (unsigned index = 0; index < READERS; index++)
        CHECK_EQUAL(hold_at(&scene, places[index], index % 4 * PAGE, PAGE, &holds[index]), 0);
    for (unsigned index = 0; index < READERS; index++) {
        CHECK(no_event(scene.relay));
        release(&scene, holds[index]);
    }
    expect_granted(&scene, second);
    CHECK(no_event(scene.relay));
    end_lease(&scene, second);
    expect_granted(&scene, late);
    end_place(&scene, late);
    scene_close(&scene);
}

static void who_wants_other_pages_goes_on(void) {
    struct scene scene = scene_open(SIZE);
    struct region other = region_create(scene.relay, SIZE);
    uint64_t before = held(&scene, 4, 1), writer = waiting_lease(&scene, 4, 2);
    CHECK_EQUAL(try_hold(&scene, 0, 4 * PAGE), 0);
    CHECK_EQUAL(try_hold(&scene, 6 * PAGE, PAGE), 0);
    CHECK_EQUAL(try_lease(&scene, 6, 10, PR_NEEDS_DONE), 1);
    end_place(&scene, ask_place(&scene, 0, 4, 1));
    release(&scene, hold(scene.relay, &other, PR_ENGINE_STREAM, 4 * PAGE, PAGE));
    release(&scene, before);
    expect_granted(&scene, writer);
    end_lease(&scene, writer);
    region_close(scene.relay, &other);
    scene_close(&scene);
}

static void who_gives_up_lets_those_behind_go_on(void) {
    struct scene scene = scene_open(SIZE);
    uint64_t before = held(&scene, 0, 1), first = waiting_lease(&scene, 0, 2), second = waiting_lease(&scene, 1, 2);
    uint64_t reader = ask_place(&scene, 2, 1, 0), third = waiting_lease(&scene, 2, 1);
    end_lease(&scene, first);
    expect_granted(&scene, second); /* the reference is not on its pages */
    CHECK_EQUAL(try_hold(&scene, 0, PAGE), 0);
    end_lease(&scene, second);
    expect_granted(&scene, reader);
    end_place(&scene, reader);
    expect_granted(&scene, third);
    end_lease(&scene, third);
    release(&scene, before);
    scene_close(&scene);
}

static void a_reader_that_gives_up_lets_a_writer_in(void) {
    struct scene scene = scene_open(SIZE);
    uint64_t first = leased(&scene, 0, 1), reader = ask_place(&scene, 0, 2, 0), second = waiting_lease(&scene, 1, 1);
    end_place(&scene, reader);
    expect_granted(&scene, second);
    end_lease(&scene, first);
    end_lease(&scene, second);
    scene_close(&scene);
}

/* Places and holds. */

static void a_place_ends_with_the_hold_that_it_was_for(void) {
    struct scene scene = scene_open(SIZE);
    uint64_t first = leased(&scene, 0, 4), reader = ask_place(&scene, 1, 2, 0), id;
    uint64_t writer = waiting_lease(&scene, 0, 4);
    end_lease(&scene, first);
    expect_granted(&scene, reader);
    CHECK_EQUAL(hold_at(&scene, 0, PAGE, PAGE, &id), -EAGAIN);          /* without it */
    CHECK_EQUAL(hold_at(&scene, reader, PAGE, 3 * PAGE, &id), -EAGAIN); /* more than it is for */
    CHECK_EQUAL(hold_at(&scene, reader, PAGE + 5, 2 * PAGE - 10, &id), 0);
    CHECK_EQUAL(pr_place_end(scene.relay, reader), -EBADF);
    CHECK(no_event(scene.relay)); /* the writer waits for the reference now */
    release(&scene, id);
    expect_granted(&scene, writer);
    end_lease(&scene, writer);
    scene_close(&scene);
}

static void only_staleness_and_a_refusal_keep_a_place(void) {
    struct scene scene = scene_open(SIZE);
    struct pr_segment extent = EXTENT(0, PAGE), outside = EXTENT(SIZE, 1);
    uint64_t generation = scene.region.generation, id, place = ask_place(&scene, 0, 1, 1);
    CHECK_EQUAL(pr_hold(scene.relay, generation, 0, 1, PR_ENGINE_STREAM, place, &extent, 1, &id), -ESTALE);
    CHECK_EQUAL(pr_hold(scene.relay, generation, 1, 0, PR_ENGINE_STREAM, place, &extent, 1, &id), -ESTALE);
    CHECK_EQUAL(counted(scene.relay).claims, 1);
    CHECK_EQUAL(pr_hold(scene.relay, generation, 0, 0, PR_ENGINE_STREAM, place, &extent, 1, &id), 0);
    CHECK_EQUAL(counted(scene.relay).claims, 0);
    release(&scene, id);
    place = ask_place(&scene, 0, 1, 1);
    CHECK_EQUAL(pr_hold(scene.relay, generation, 0, 0, PR_ENGINE_STREAM, place, &outside, 1, &id), -ERANGE);
    CHECK_EQUAL(pr_place_end(scene.relay, place), -EBADF);
    place = ask_place(&scene, 0, 1, 1);
    CHECK_EQUAL(pr_hold(scene.relay, generation + (1 << 23), 0, 0, PR_ENGINE_STREAM, place, &extent, 1, &id), -EBADF);
    CHECK_EQUAL(pr_place_end(scene.relay, place), -EBADF);
    scene_close(&scene);
}

static void a_place_in_one_file_is_none_in_another(void) {
    struct scene scene = scene_open(SIZE), other = {.relay = scene.relay};
    other.region = region_create(scene.relay, SIZE);
    uint64_t place = ask_place(&scene, 0, 1, 1), lease = leased(&other, 0, 1), id;
    CHECK_EQUAL(hold_at(&other, place, 0, PAGE, &id), -EAGAIN);
    end_lease(&other, lease);
    end_place(&scene, place);
    region_close(scene.relay, &other.region);
    scene_close(&scene);
}

/* Several openings of one file. */

static void all_openings_of_a_file_share_its_holds(void) {
    struct scene scene = scene_open(SIZE), again = {.relay = scene.relay};
    again.region = region_open(scene.relay, scene.region.fd);
    CHECK(again.region.generation != scene.region.generation);
    uint64_t transmission = held(&scene, 0, 1), lease = waiting_lease(&again, 0, 1), version, id;
    CHECK_EQUAL(try_hold(&scene, 0, 1), -EAGAIN);
    release(&scene, transmission);
    expect_granted(&again, lease);
    CHECK_EQUAL(try_hold(&scene, 0, 1), -EAGAIN);
    CHECK_EQUAL(try_lease(&scene, 0, 1, PR_NEEDS_DONE), -EAGAIN);
    CHECK_EQUAL(pr_lease_begin(scene.relay, lease, 5, &version), 0);
    struct pr_segment extent = EXTENT(PAGE, PAGE);
    CHECK_EQUAL(pr_hold(scene.relay, scene.region.generation, 0, 0, PR_ENGINE_STREAM, 0, &extent, 1, &id), -ESTALE);
    CHECK_EQUAL(pr_hold(scene.relay, scene.region.generation, 5, 1, PR_ENGINE_STREAM, 0, &extent, 1, &id), 0);
    release(&scene, id);
    uint64_t place = ask_place(&scene, 0, 1, 0);
    end_lease(&again, lease);
    expect_granted(&scene, place);
    CHECK_EQUAL(hold_at(&again, place, 0, PAGE, &id), 0); /* it is the file's, whatever opening it was asked for */
    release(&scene, id);
    CHECK_EQUAL(pr_generation_close(scene.relay, again.region.generation), 0);
    scene_close(&scene);
}

static void so_does_one_that_maps_less(void) {
    struct scene scene = scene_open(SIZE), less = {.relay = scene.relay};
    struct pr_generation_info info;
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", scene.region.fd);
    CHECK_EQUAL(pr_generation_open(scene.relay, 0, path, 2 * PAGE + 5, &less.region.generation, &info), 0);
    CHECK_EQUAL(info.size, 2 * PAGE + 5);
    CHECK_EQUAL(info.backing.size, SIZE);
    CHECK_EQUAL(try_hold(&less, 2 * PAGE, 5), 0);
    CHECK_EQUAL(try_hold(&less, 2 * PAGE, 6), -ERANGE);
    uint64_t transmission = held(&scene, 1, 5), lease = waiting_lease(&less, 2, 4), other = leased(&scene, 0, 1);
    CHECK_EQUAL(try_hold(&less, 0, 1), -EAGAIN);
    release(&scene, transmission);
    expect_granted(&less, lease);
    CHECK_EQUAL(try_hold(&scene, 5 * PAGE, 1), -EAGAIN); /* beyond what the other opening maps */
    CHECK_EQUAL(try_hold(&less, 2 * PAGE, 1), -EAGAIN);
    end_lease(&scene, other);
    end_lease(&less, lease);
    CHECK_EQUAL(pr_generation_close(scene.relay, less.region.generation), 0);
    scene_close(&scene);
}

static void a_lease_outlives_the_closing_of_its_opening(void) {
    struct scene scene = scene_open(SIZE);
    size_t descriptors = test_descriptors();
    uint64_t transmission = held(&scene, 0, 1), waiting = waiting_lease(&scene, 0, 1), other = leased(&scene, 1, 1);
    uint64_t version;
    CHECK_EQUAL(pr_generation_close(scene.relay, scene.region.generation), 0);
    release(&scene, transmission);
    expect_granted(&scene, waiting);
    CHECK_EQUAL(pr_lease_begin(scene.relay, waiting, 1, &version), 0);
    end_lease(&scene, waiting);
    CHECK_EQUAL(test_descriptors(), descriptors);
    struct scene again = {.relay = scene.relay, .region = region_open(scene.relay, scene.region.fd)};
    uint64_t epoch = 0;
    CHECK_EQUAL(pr_generation_set_version(scene.relay, again.region.generation, &epoch, &version), 0);
    CHECK_EQUAL(epoch, 1); /* what the file's first opening has left */
    CHECK_EQUAL(try_hold(&again, PAGE, 1), -EAGAIN);
    CHECK_EQUAL(test_descriptors(), descriptors + 1);
    CHECK_EQUAL(pr_lease_end(scene.relay, other, true, NULL), 0);
    CHECK_EQUAL(test_descriptors(), descriptors);
    scene_close(&again);
}

static void a_relay_can_end_with_claims_left(void) {
    struct scene scene = scene_open(SIZE);
    leased(&scene, 0, 1);
    waiting_lease(&scene, 0, 2);
    ask_place(&scene, 1, 1, 0);
    held(&scene, 5, 1);
    waiting_lease(&scene, 5, 1);
    CHECK_EQUAL(pr_generation_retire(scene.relay, scene.region.generation), 0);
    close(scene.region.fd);
    pr_relay_destroy(scene.relay);
}

/* Versions. */

static void beginning_a_change_moves_the_version(void) {
    struct scene scene = scene_open(SIZE);
    uint64_t generation = scene.region.generation, lease = leased(&scene, 0, 1), waiting = waiting_lease(&scene, 0, 1);
    uint64_t version = 0, id;
    struct pr_segment extent = EXTENT(PAGE, PAGE);
    CHECK_EQUAL(pr_lease_begin(scene.relay, waiting, 7, &version), -EBADF);
    CHECK_EQUAL(pr_lease_touch(scene.relay, waiting), -EBADF);
    CHECK_EQUAL(pr_generation_is_settled(scene.relay, generation, 0, 0), 1);
    CHECK_EQUAL(pr_lease_begin(scene.relay, lease, 7, &version), 0);
    CHECK_EQUAL(version, 1);
    CHECK_EQUAL(pr_lease_begin(scene.relay, lease, 7, &version), 0);
    CHECK_EQUAL(version, 2);
    CHECK_EQUAL(pr_hold(scene.relay, generation, 0, 0, PR_ENGINE_STREAM, 0, &extent, 1, &id), -ESTALE);
    CHECK_EQUAL(pr_hold(scene.relay, generation, 7, 1, PR_ENGINE_STREAM, 0, &extent, 1, &id), -ESTALE);
    CHECK_EQUAL(pr_hold(scene.relay, generation, 7, 2, PR_ENGINE_STREAM, 0, &extent, 1, &id), 0);
    release(&scene, id);
    CHECK_EQUAL(pr_generation_is_settled(scene.relay, generation, 7, 2), 0);
    end_lease(&scene, lease);
    CHECK_EQUAL(pr_generation_is_settled(scene.relay, generation, 7, 2), 1);
    CHECK_EQUAL(pr_generation_is_settled(scene.relay, generation, 7, 1), 0);
    expect_granted(&scene, waiting);
    CHECK_EQUAL(pr_lease_touch(scene.relay, waiting), 0);
    CHECK_EQUAL(pr_generation_is_settled(scene.relay, generation, 7, 2), 0);
    CHECK_EQUAL(pr_hold(scene.relay, generation, 7, 2, PR_ENGINE_STREAM, 0, &extent, 1, &id), 0);
    release(&scene, id);
    CHECK_EQUAL(pr_lease_begin(scene.relay, waiting, 8, &version), 0);
    CHECK_EQUAL(version, 1); /* of the new epoch */
    end_lease(&scene, waiting);
    CHECK_EQUAL(pr_generation_is_settled(scene.relay, generation, 8, 1), 1);
    scene_close(&scene);
}

/* A lease is no reference: what was held before its beginning stays one. */
static void references_from_before_a_change_go_on(void) {
    struct scene scene = scene_open(SIZE);
    uint64_t transmission = held(&scene, 4, 2), lease = leased(&scene, 0, 1), version;
    CHECK_EQUAL(pr_lease_begin(scene.relay, lease, 1, &version), 0);
    CHECK_EQUAL(pr_advance(scene.relay, transmission, PAGE), 0);
    end_lease(&scene, lease);
    release(&scene, transmission);
    scene_close(&scene);
}

/* Quarantine. */

static void pages_that_nobody_can_tell_of_are_busy(void) {
    struct pr_options options = options_with(1);
    options.max_broken_off = 0;
    struct scene scene = {.relay = relay_start(options)};
    scene.region = region_create(scene.relay, SIZE);
    struct line line = line_open(&scene, ROOMY);
    CHECK_EQUAL(serve(scene.relay, line.connection, &scene.region, PR_ENGINE_SENDFILE, 0, 4 * PAGE, NULL), 1);
    wait_acknowledged(line.pair.ours);
    uint64_t changed = waiting_lease(&scene, 1, 1), behind = waiting_lease(&scene, 1, 10);
    uint64_t free_ones = waiting_lease(&scene, 10, 1), place = ask_place(&scene, 1, 1, 0);
    uint64_t granted = ask_lease(&scene, 20, 1, PR_NEEDS_DONE, 1), behind_granted = waiting_lease(&scene, 0, 21);

    CHECK_EQUAL(pr_connection_break(scene.relay, line.connection), 0);
    CHECK_EQUAL(counted(scene.relay).quarantined, 1);
    expect_event(scene.relay, PR_EVENT_GRANTED, changed, EBUSY);
    expect_event(scene.relay, PR_EVENT_GRANTED, behind, EBUSY);
    expect_granted(&scene, free_ones); /* what was behind the refused goes on */
    expect_granted(&scene, place);
    CHECK_EQUAL(pr_lease_end(scene.relay, changed, false, NULL), -EBADF);
    CHECK_EQUAL(pr_press(scene.relay, 0), 1); /* of the one behind the lease; nothing can be done about it */
    CHECK(no_event(scene.relay));
    CHECK_EQUAL(counted(scene.relay).breaks, 0);
    end_place(&scene, place);
    end_lease(&scene, free_ones);
    CHECK(no_event(scene.relay)); /* what it waits for first is the lease */
    end_lease(&scene, granted);
    expect_event(scene.relay, PR_EVENT_GRANTED, behind_granted, EBUSY);
    check_nothing_claimed(scene.relay);

    CHECK_EQUAL(try_lease(&scene, 3, 1, PR_NEEDS_DONE), -EBUSY);
    ask_lease(&scene, 3, 1, PR_NEEDS_DONE, -EBUSY);
    CHECK_EQUAL(try_lease(&scene, 4, 1, PR_NEEDS_DONE), 1);
    CHECK_EQUAL(try_lease(&scene, 0, 4, PR_NEEDS_ACCEPTED), 1);
    CHECK_EQUAL(try_lease(&scene, 0, 4, PR_NEEDS_NOTHING), 1);
    CHECK_EQUAL(try_hold(&scene, 0, PAGE), 0);
    line_close(&scene, &line);
    scene_close(&scene);
}

/* Pressing. */

static void pressing_counts_what_is_in_the_way(void) {
    struct scene scene = scene_open(SIZE);
    uint64_t holds[3] = {held(&scene, 0, 2), held(&scene, 1, 2), held(&scene, 8, 1)};
    CHECK_EQUAL(pr_press(scene.relay, 0), 0); /* nobody waits */
    uint64_t lease = waiting_lease(&scene, 1, 1);
    CHECK_EQUAL(pr_press(scene.relay, NEVER), 2);
    release(&scene, holds[0]);
    CHECK_EQUAL(pr_press(scene.relay, NEVER), 1);
    release(&scene, holds[1]);
    CHECK_EQUAL(pr_press(scene.relay, 0), 0);
    expect_granted(&scene, lease);
    CHECK_EQUAL(pr_press(scene.relay, 0), 0);
    CHECK_EQUAL(counted(scene.relay).breaks, 0);
    end_lease(&scene, lease);
    release(&scene, holds[2]);
    scene_close(&scene);
}

static void a_lane_breaks_a_slow_reader_off(void) {
    struct scene scene = scene_open(LARGE);
    struct line line = line_open(&scene, NARROW);
    uint64_t transmission;
    CHECK_EQUAL(serve(scene.relay, line.connection, &scene.region, PR_ENGINE_SENDFILE, 0, LARGE, &transmission), 0);
    uint64_t changed = waiting_lease(&scene, 0, 1),
             fresh = ask_lease(&scene, LARGE / PAGE - 1, 1, PR_NEEDS_ACCEPTED, 0);
    CHECK_EQUAL(pr_press(scene.relay, NEVER), 1);
    stays(no_event(scene.relay), 20);
    CHECK_EQUAL(pr_press(scene.relay, 0), 1);
    struct pr_event event = next_event(scene.relay);
    CHECK_EQUAL(event.kind, PR_EVENT_BROKEN);
    CHECK_EQUAL(event.id, transmission);
    CHECK_EQUAL(event.outcome, PR_OUTCOME_BROKEN);
    CHECK_EQUAL(event.error, EBUSY);
    expect_granted(&scene, fresh); /* the rest will never be sent */
    CHECK_EQUAL(counted(scene.relay).breaks, 1);
    CHECK_EQUAL(counted(scene.relay).transmissions[PR_ENGINE_SENDFILE][PR_OUTCOME_BROKEN], 1);
    CHECK_EQUAL(pr_press(scene.relay, 0), 1); /* what its queue holds can still be read */
    CHECK(no_event(scene.relay));
    CHECK_EQUAL(read_to_end(line.pair.peer, 0, 0, NULL), event.bytes);
    wait_until(pr_press(scene.relay, 0) == 0, 5000);
    expect_granted(&scene, changed);
    CHECK_EQUAL(counted(scene.relay).breaks, 1);
    end_lease(&scene, changed);
    end_lease(&scene, fresh);
    line_close(&scene, &line);
    scene_close(&scene);
}

static void node_is_told_once_of_what_it_shall_break(void) {
    struct scene scene = scene_open(SIZE);
    struct line line = line_open(&scene, ROOMY);
    for (unsigned index = 0; index < 2; index++)
        CHECK_EQUAL(
            serve(scene.relay, line.connection, &scene.region, PR_ENGINE_SENDFILE, index * LENGTH, LENGTH, NULL), 1);
    wait_acknowledged(line.pair.ours);
    uint64_t lease = waiting_lease(&scene, 0, PAGES);
    CHECK_EQUAL(pr_press(scene.relay, NEVER), 2);
    CHECK(no_event(scene.relay));
    CHECK_EQUAL(pr_press(scene.relay, 0), 2);
    expect_event(scene.relay, PR_EVENT_STALLED, line.connection, 0);
    CHECK_EQUAL(pr_press(scene.relay, 0), 2);
    CHECK(no_event(scene.relay));
    CHECK_EQUAL(counted(scene.relay).breaks, 2);
    CHECK_EQUAL(pr_connection_break(scene.relay, line.connection), 0);
    CHECK_EQUAL(pr_press(scene.relay, 0), 2);
    CHECK(no_event(scene.relay));
    close_peer(&line.pair);
    wait_until(pr_press(scene.relay, 0) == 0, 5000);
    expect_granted(&scene, lease);
    end_lease(&scene, lease);
    line_close(&scene, &line);
    scene_close(&scene);
}

static void a_stream_is_told_once_that_it_is_unwanted(void) {
    struct scene scene = scene_open(SIZE);
    uint64_t transmission = held(&scene, 0, 2), other = held(&scene, 5, 1), lease = waiting_lease(&scene, 0, 1);
    CHECK_EQUAL(pr_press(scene.relay, 0), 1);
    expect_event(scene.relay, PR_EVENT_UNWANTED, transmission, 0);
    CHECK_EQUAL(pr_press(scene.relay, 0), 1);
    CHECK(no_event(scene.relay));
    CHECK_EQUAL(pr_release(scene.relay, transmission, PR_OUTCOME_BROKEN), 0);
    expect_granted(&scene, lease);
    CHECK_EQUAL(counted(scene.relay).breaks, 1);
    end_lease(&scene, lease);
    release(&scene, other);
    scene_close(&scene);
}

/* A transmission can be told of as unwanted in the moment before it is given to a connection. */
static void what_is_sent_though_unwanted_is_broken_off(void) {
    struct scene scene = scene_open(LARGE);
    struct line line = line_open(&scene, NARROW);
    uint64_t transmission = hold(scene.relay, &scene.region, PR_ENGINE_SENDFILE, 0, LARGE);
    uint64_t lease = waiting_lease(&scene, LARGE / PAGE - 1, 1);
    CHECK_EQUAL(pr_press(scene.relay, 0), 1);
    expect_event(scene.relay, PR_EVENT_UNWANTED, transmission, 0);
    CHECK_EQUAL(pr_send(scene.relay, line.connection, transmission, NULL, 0, NULL), 0);
    pr_press(scene.relay, 0);
    expect_event(scene.relay, PR_EVENT_BROKEN, transmission, EBUSY);
    expect_granted(&scene, lease);
    CHECK_EQUAL(counted(scene.relay).breaks, 1);
    end_lease(&scene, lease);
    close_peer(&line.pair);
    line_close(&scene, &line);
    scene_close(&scene);
}

static bool told_unwanted(struct pr_relay *relay) {
    pr_press(relay, 0.05);
    struct pr_event event;
    return pr_events(relay, &event, 1) == 1;
}

/* The clock runs for a reference from when a writer is first seen to wait for it. */
static void nothing_is_broken_before_its_time(void) {
    struct scene scene = scene_open(SIZE);
    uint64_t transmission = held(&scene, 0, 1), start = pr_now();
    stays(pr_press(scene.relay, 0.05) == 0, 60); /* age alone is no harm */
    uint64_t lease = waiting_lease(&scene, 0, 1), waits_since = pr_now();
    wait_until(told_unwanted(scene.relay), 5000);
    CHECK(pr_now() - waits_since >= 50000000);
    CHECK(waits_since - start >= 60000000);
    release(&scene, transmission);
    expect_granted(&scene, lease);
    end_lease(&scene, lease);
    scene_close(&scene);
}

/* A look is a system call, so one press looks at so many; the next at the others. */
static void many_in_the_way_are_pressed_in_turns(void) {
    enum { MANY = 300 };
    struct scene scene = scene_open(SIZE), other = {.relay = scene.relay};
    other.region = region_create(scene.relay, SIZE);
    uint64_t holds[MANY], one = held(&other, 0, 1);
    for (unsigned index = 0; index < MANY; index++) holds[index] = held(&scene, 0, 1);
    uint64_t lease = waiting_lease(&scene, 0, 1), lease_of_other = waiting_lease(&other, 0, 1);
    for (unsigned press = 0; press < 5; press++) CHECK(pr_press(scene.relay, 0) > 0);
    CHECK_EQUAL(counted(scene.relay).breaks, MANY + 1); /* also in the file that is not the first */
    struct pr_event event;
    for (unsigned index = 0; index < MANY + 1; index++) CHECK_EQUAL(pr_events(scene.relay, &event, 1), 1);
    release(&other, one);
    expect_granted(&other, lease_of_other);
    for (unsigned index = 0; index < MANY; index++) release(&scene, holds[index]);
    expect_granted(&scene, lease);
    end_lease(&scene, lease);
    end_lease(&other, lease_of_other);
    region_close(scene.relay, &other.region);
    scene_close(&scene);
}

/* Retiring. */

static void a_retired_file_is_gone_after_all_that_refers_to_it(void) {
    struct scene scene = scene_open(SIZE);
    uint64_t generation = scene.region.generation, again = region_open(scene.relay, scene.region.fd).generation;
    uint64_t transmission = held(&scene, 0, 1), lease = waiting_lease(&scene, 0, 1), place = ask_place(&scene, 0, 1, 0);
    size_t descriptors = test_descriptors();
    CHECK_EQUAL(pr_generation_retire(scene.relay, generation), 0);
    CHECK_EQUAL(pr_generation_retire(scene.relay, generation), 0); /* told once all the same */
    release(&scene, transmission);
    expect_granted(&scene, lease);
    end_lease(&scene, lease);
    expect_granted(&scene, place);
    end_place(&scene, place);
    CHECK(no_event(scene.relay)); /* another opening is left */
    CHECK_EQUAL(pr_generation_close(scene.relay, again), 0);
    expect_event(scene.relay, PR_EVENT_GONE, generation, 0);
    CHECK_EQUAL(test_descriptors(), descriptors - 2);
    close(scene.region.fd);
    check_nothing_claimed(scene.relay);
    pr_relay_destroy(scene.relay);
}

/* It lost its name after it was closed, while somebody still read. */
static void a_closed_file_can_be_retired_while_it_is_held(void) {
    struct scene scene = scene_open(SIZE);
    uint64_t generation = scene.region.generation, transmission = held(&scene, 0, 1);
    CHECK_EQUAL(pr_generation_close(scene.relay, generation), 0);
    CHECK_EQUAL(pr_generation_close(scene.relay, generation), -EBADF);
    CHECK_EQUAL(pr_generation_retire(scene.relay, generation), 0);
    CHECK(no_event(scene.relay));
    release(&scene, transmission);
    expect_event(scene.relay, PR_EVENT_GONE, generation, 0);
    CHECK_EQUAL(pr_generation_retire(scene.relay, generation), -EBADF);
    CHECK(no_event(scene.relay));
    close(scene.region.fd);
    pr_relay_destroy(scene.relay);
}

static void an_idle_file_is_gone_at_once(void) {
    struct scene scene = scene_open(SIZE);
    CHECK_EQUAL(pr_generation_retire(scene.relay, scene.region.generation), 0);
    expect_event(scene.relay, PR_EVENT_GONE, scene.region.generation, 0);
    close(scene.region.fd);
    CHECK(no_event(scene.relay));
    pr_relay_destroy(scene.relay);
}

static void a_retired_file_is_gone_when_its_last_reader_has_read(void) {
    struct scene scene = scene_open(SIZE);
    struct line line = line_open(&scene, ROOMY);
    CHECK_EQUAL(serve(scene.relay, line.connection, &scene.region, PR_ENGINE_SPLICE, 0, LENGTH, NULL), 1);
    CHECK_EQUAL(pr_generation_retire(scene.relay, scene.region.generation), 0);
    stays(no_event(scene.relay) && references(scene.relay) == 1, 20);
    read_body(line.pair.peer, 0, LENGTH, 0);
    expect_event(scene.relay, PR_EVENT_GONE, scene.region.generation, 0);
    close(scene.region.fd);
    line_close(&scene, &line);
    pr_relay_destroy(scene.relay);
}

int main(void) {
    RUN(free_pages_are_leased_at_once);
    RUN(a_lease_without_an_end_covers_all_that_may_come);
    RUN(what_cannot_be_leased_is_refused);
    RUN(pages_count_not_bytes);
    RUN(changed_pages_wait_until_done);
    RUN(a_writer_need_not_press);
    RUN(fresh_pages_wait_until_accepted);
    RUN(fresh_pages_of_a_slow_body_wait_for_their_part_of_it);
    RUN(a_stream_is_waited_for_by_whole_pages);
    RUN(who_changes_no_held_byte_waits_for_no_reader);
    RUN(only_extents_that_are_left_are_in_the_way);
    RUN(what_a_download_has_left_behind_can_be_written_while_it_goes_on);
    RUN(a_reader_does_not_overtake_a_waiting_writer);
    RUN(a_writer_does_not_overtake_a_waiting_reader);
    RUN(readers_are_let_in_together);
    RUN(who_wants_other_pages_goes_on);
    RUN(who_gives_up_lets_those_behind_go_on);
    RUN(a_reader_that_gives_up_lets_a_writer_in);
    RUN(a_place_ends_with_the_hold_that_it_was_for);
    RUN(only_staleness_and_a_refusal_keep_a_place);
    RUN(a_place_in_one_file_is_none_in_another);
    RUN(all_openings_of_a_file_share_its_holds);
    RUN(so_does_one_that_maps_less);
    RUN(a_lease_outlives_the_closing_of_its_opening);
    RUN(a_relay_can_end_with_claims_left);
    RUN(beginning_a_change_moves_the_version);
    RUN(references_from_before_a_change_go_on);
    RUN(pages_that_nobody_can_tell_of_are_busy);
    RUN(pressing_counts_what_is_in_the_way);
    RUN(a_lane_breaks_a_slow_reader_off);
    RUN(node_is_told_once_of_what_it_shall_break);
    RUN(a_stream_is_told_once_that_it_is_unwanted);
    RUN(what_is_sent_though_unwanted_is_broken_off);
    RUN(nothing_is_broken_before_its_time);
    RUN(many_in_the_way_are_pressed_in_turns);
    RUN(a_retired_file_is_gone_after_all_that_refers_to_it);
    RUN(a_closed_file_can_be_retired_while_it_is_held);
    RUN(an_idle_file_is_gone_at_once);
    RUN(a_retired_file_is_gone_when_its_last_reader_has_read);
    return 0;
}

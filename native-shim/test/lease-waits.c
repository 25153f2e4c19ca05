/* What a writer waits for. */
#include "lease-lines.h"

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

/* What a writer waits for. */

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

int main(void) {
    RUN(changed_pages_wait_until_done);
    RUN(a_writer_need_not_press);
    RUN(fresh_pages_wait_until_accepted);
    RUN(fresh_pages_of_a_slow_body_wait_for_their_part_of_it);
    RUN(a_stream_is_waited_for_by_whole_pages);
    RUN(who_changes_no_held_byte_waits_for_no_reader);
    RUN(only_extents_that_are_left_are_in_the_way);
    RUN(what_a_download_has_left_behind_can_be_written_while_it_goes_on);
    return 0;
}

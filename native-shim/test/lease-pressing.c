/* What a waiting writer does about references that stay. */
#include "lease-lines.h"

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

int main(void) {
    RUN(pages_that_nobody_can_tell_of_are_busy);
    RUN(pressing_counts_what_is_in_the_way);
    RUN(a_lane_breaks_a_slow_reader_off);
    RUN(node_is_told_once_of_what_it_shall_break);
    RUN(a_stream_is_told_once_that_it_is_unwanted);
    RUN(what_is_sent_though_unwanted_is_broken_off);
    RUN(nothing_is_broken_before_its_time);
    RUN(many_in_the_way_are_pressed_in_turns);
    return 0;
}

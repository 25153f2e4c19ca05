/* Room for new connections: which ones close for them, and who is refused. */
#include "scene.h"

#include <limits.h>

static const char refusal[] = "HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n";

static struct scene scene_for(unsigned lanes, struct pr_limits limits) {
    struct pr_responding responding = patient();
    responding.refusal = text_of(refusal);
    struct scene scene = scene_with(options_with(lanes), responding, LARGE, 0);
    pr_limit(scene.relay, (struct pr_limits[PR_PLACES]){limits, limits});
    publish(&scene, PR_ENGINE_SENDFILE);
    return scene;
}

static struct scene scene_of(uint64_t connections) {
    return scene_for(1, (struct pr_limits){.connections = connections});
}

/* The lane takes it for idle a moment after the client has read all. */
static void get_and_be_idle(const struct scene *scene, int guest) {
    uint64_t before = answers_so_far(scene);
    get(scene, guest, 0, 100);
    wait_until(answers_so_far(scene) > before, 5000);
}

static int visit_and_get(const struct scene *scene) {
    int guest = visit(scene);
    get_and_be_idle(scene, guest);
    return guest;
}

static void close_all(const int *guests, size_t count) {
    for (size_t each = 0; each < count; each++) close(guests[each]);
}

static void expect_refusal(int guest) {
    read_text(guest, refusal, sizeof refusal - 1);
    expect_end(guest);
}

/* CROWDED is told as often as lanes had to make room; it is nobody's connection. */
static struct pr_event next_of_connections(struct pr_relay *relay) {
    struct pr_event event;
    do event = next_event(relay);
    while (event.kind == PR_EVENT_CROWDED);
    return event;
}

static void the_one_closes_that_was_idle_longest(void) {
    struct scene scene = scene_of(3);
    int guests[5];
    for (int each = 0; each < 3; each++) guests[each] = visit_and_get(&scene);
    get_and_be_idle(&scene, guests[0]);
    guests[3] = visit_and_get(&scene);
    expect_end(guests[1]);
    guests[4] = visit_and_get(&scene);
    expect_end(guests[2]);
    for (int each = 0; each < 5; each++)
        if (each != 1 && each != 2) get(&scene, guests[each], 9, 100);
    struct pr_counters counters = counted(scene.relay);
    CHECK_EQUAL(counters.limited[PR_LIMITED_IDLE_CLOSED], 2);
    CHECK_EQUAL(counters.limited[PR_LIMITED_CONNECTIONS], 0);
    CHECK_EQUAL(counters.connections, 3);
    close_all(guests, 5);
    scene_close(&scene);
}

static void one_that_has_asked_for_nothing_is_idle_since_it_came(void) {
    struct scene scene = scene_of(2);
    int silent = visit(&scene), guest = visit_and_get(&scene), third = visit_and_get(&scene);
    expect_end(silent);
    get(&scene, guest, 5, 100);
    close(silent);
    close(guest);
    close(third);
    scene_close(&scene);
}

static void it_may_be_another_lanes(void) {
    struct scene scene = scene_for(3, (struct pr_limits){.connections = 6});
    int guests[24];
    for (int each = 0; each < 24; each++) {
        guests[each] = visit_and_get(&scene);
        if (each >= 6) expect_end(guests[each - 6]);
    }
    CHECK_EQUAL(counted(scene.relay).limited[PR_LIMITED_IDLE_CLOSED], 18);
    close_all(guests, 24);
    scene_close(&scene);
}

/* A client that does not read what it has asked for. */
static int visit_and_stall(const struct scene *scene) {
    int guest = visit_with(scene, 4096);
    uint64_t before = counted(scene->relay).references;
    ask_range(guest, 0, LARGE);
    wait_until(counted(scene->relay).references == before + 1, 5000);
    return guest;
}

static void where_none_is_idle_the_new_one_is_refused(void) {
    struct scene scene = scene_of(2);
    int guests[4];
    for (int each = 0; each < 2; each++) guests[each] = visit_and_stall(&scene);
    guests[2] = visit(&scene);
    guests[3] = visit(&scene);
    SAY(guests[3], get_a); /* what it has asked is read, or its end would be a reset */
    expect_refusal(guests[2]);
    expect_refusal(guests[3]);
    CHECK_EQUAL(counted(scene.relay).limited[PR_LIMITED_CONNECTIONS], 2);
    CHECK_EQUAL(counted(scene.relay).connections, 2);
    read_range(&scene, guests[0], 0, LARGE); /* it goes on, and is idle then */
    int again = visit_and_get(&scene);
    expect_end(guests[0]);
    close(again);
    close_all(guests, 4);
    scene_close(&scene);
}

/* How many heads have begun and are not whole. */
static unsigned heads_begun(struct pr_relay *relay) {
    unsigned count = 0;
    pr_lock(relay);
    pr_list_each(node, &relay->lanes->list[0].http->in_head) count++;
    pr_unlock(relay);
    return count;
}

static void heads_that_take_long_close_where_none_is_idle(void) {
    struct scene scene = scene_of(3);
    int slow[2], stalled = visit_and_stall(&scene);
    for (int each = 0; each < 2; each++) {
        slow[each] = visit(&scene);
        say(slow[each], get_a, 10);
        wait_until(heads_begun(scene.relay) == (unsigned)each + 1, 5000);
    }
    int first = visit_and_get(&scene);
    expect_end(slow[0]);
    int second = visit_and_get(&scene); /* for which that goes, being idle */
    expect_end(first);
    say(slow[1], get_a + 10, sizeof get_a - 11);
    read_whole(&scene, slow[1]);
    close_all(slow, 2);
    close(stalled);
    close(first);
    close(second);
    scene_close(&scene);
}

static void descriptors_are_left_for_other_uses(void) {
    struct scene scene = scene_for(1, (struct pr_limits){.descriptors = 7});
    int guests[6];
    for (int each = 0; each < 5; each++) guests[each] = visit_and_get(&scene);
    CHECK_EQUAL(counted(scene.relay).connections, 5); /* and the region's file is open */
    SAY(guests[0], get_b);
    struct side side = expect_arrival(&scene, PR_RETURN_FED, get_b, sizeof get_b - 1);
    CHECK_EQUAL(counted(scene.relay).shared, 1);
    guests[5] = visit_and_get(&scene); /* of the first Node has a descriptor too, so that another goes */
    expect_end(guests[1]);
    CHECK_EQUAL(counted(scene.relay).connections, 5);
    node_closes(&scene, &side);
    expect_end(guests[0]);
    wait_until(counted(scene.relay).connections == 4, 5000);
    CHECK_EQUAL(counted(scene.relay).shared, 0);
    close_all(guests, 6);
    scene_close(&scene);
}

static void where_there_is_no_descriptor_left_the_spare_one_is_for_who_comes(void) {
    struct scene scene = scene_of(0);
    int first = visit_and_get(&scene); /* and there is a spare one */
    pr_fault_set(PR_CALL_ACCEPT, EMFILE, 0, 1);
    pr_fault_set(PR_CALL_OPEN, EMFILE, 0, 1); /* which can't be had again, before somebody closes */
    int second = visit_and_get(&scene);
    expect_end(first);
    get(&scene, second, 5, 100);
    CHECK_EQUAL(counted(scene.relay).limited[PR_LIMITED_IDLE_CLOSED], 1);
    close(first);
    close(second);
    scene_close(&scene);
}

static void without_descriptors_and_idle_ones_they_are_refused(void) {
    struct scene scene = scene_of(0);
    int stalled = visit_and_stall(&scene);
    pr_fault_set(PR_CALL_OPEN, EMFILE, 0, INT_MAX);
    pr_fault_set(PR_CALL_ACCEPT, EMFILE, 0, 1);
    int guest = visit(&scene);
    expect_refusal(guest);
    close(guest);
    pr_fault_set(PR_CALL_OPEN, 0, 0, 0);
    guest = visit_and_get(&scene);
    close(guest);
    close(stalled);
    scene_close(&scene);
}

static void node_is_told_when_it_has_them_all(void) {
    struct scene scene = scene_of(2);
    int guests[2], third;
    struct side sides[2];
    for (int each = 0; each < 2; each++) {
        guests[each] = visit(&scene);
        SAY(guests[each], get_b);
        sides[each] = expect_arrival(&scene, PR_RETURN_FED, get_b, sizeof get_b - 1);
    }
    third = visit(&scene);
    struct pr_event event = next_event(scene.relay);
    CHECK_EQUAL(event.kind, PR_EVENT_CROWDED);
    CHECK_EQUAL(event.bytes, 0);
    node_closes(&scene, &sides[0]);
    get_and_be_idle(&scene, third);
    expect_end(guests[0]);

    /* One that both know closes by Node, which is told of it. */
    node_answers(&scene, &sides[1], guests[1]);
    get_and_be_idle(&scene, third);
    int fourth = visit(&scene);
    event = next_of_connections(scene.relay);
    CHECK_EQUAL(event.kind, PR_EVENT_RETURNED);
    CHECK_EQUAL(event.bytes, PR_RETURN_CLOSED);
    CHECK_EQUAL(event.id, sides[1].id);
    node_closes(&scene, &sides[1]);
    expect_end(guests[1]);
    get(&scene, fourth, 0, 100);
    close_all(guests, 2);
    close(third);
    close(fourth);
    scene_close(&scene);
}

static void one_that_waits_for_room_ends_with_the_relay(void) {
    struct scene scene = scene_of(1);
    int stalled = visit_and_stall(&scene), waiting = visit(&scene);
    CHECK_EQUAL(next_event(scene.relay).kind, PR_EVENT_CROWDED);
    close(stalled);
    stop_listening(&scene);
    wait_until(references(scene.relay) == 0, 5000);
    region_close(scene.relay, &scene.region);
    pr_relay_destroy(scene.relay);
    char bytes[256];
    while (recv(waiting, bytes, sizeof bytes, 0) > 0) {
    } /* it was let in, refused, or neither */
    close(waiting);
}

int main(void) {
    RUN(the_one_closes_that_was_idle_longest);
    RUN(one_that_has_asked_for_nothing_is_idle_since_it_came);
    RUN(it_may_be_another_lanes);
    RUN(where_none_is_idle_the_new_one_is_refused);
    RUN(heads_that_take_long_close_where_none_is_idle);
    RUN(descriptors_are_left_for_other_uses);
    RUN(node_is_told_when_it_has_them_all);
    RUN(one_that_waits_for_room_ends_with_the_relay);
    pr_faults_enable();
    RUN(where_there_is_no_descriptor_left_the_spare_one_is_for_who_comes);
    RUN(without_descriptors_and_idle_ones_they_are_refused);
    return 0;
}

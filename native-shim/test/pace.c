/*
 * Bandwidth, and the least rate. How much went out by some moment is never more than the rate allows for, however busy
 * the machine is, so that is what is looked at.
 */
#include "test.h"

#include <pthread.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "wire/keep.h"

enum { PAGE = 4096, SIZE = 8 << 20, BLOCK = 4 << 10 };

struct scene {
    struct pr_relay *relay;
    struct region region;
};

static struct scene scene_open(unsigned lanes, struct pr_limits limits) {
    struct pr_limits by_place[PR_PLACES] = {limits, limits};
    struct scene scene = {.relay = relay_start(options_with(lanes))};
    scene.region = region_create(scene.relay, SIZE);
    pr_limit(scene.relay, by_place);
    return scene;
}

static void scene_close(struct scene *scene) {
    wait_until(references(scene->relay) == 0, 5000);
    struct pr_counters counters = counted(scene->relay);
    CHECK_EQUAL(counters.held_pages, 0);
    CHECK_EQUAL(counters.held_bytes, 0);
    CHECK_EQUAL(counters.kept_bytes, 0);
    wait_until(counted(scene->relay).broken_off == 0, 5000);
    region_close(scene->relay, &scene->region);
    pr_relay_destroy(scene->relay);
}

/* The bucket. */

#define SECOND UINT64_C(1000000000)

static void a_bucket_holds_what_its_burst_brings(void) {
    struct pr_bucket bucket = {0};
    CHECK_EQUAL(pr_bucket_there(&bucket, 1000, 5 * SECOND), 200);
    CHECK_EQUAL(pr_bucket_take(&bucket, 1000, 5 * SECOND, 150, 1), 150);
    CHECK_EQUAL(pr_bucket_take(&bucket, 1000, 5 * SECOND, 150, 1), 50);
    CHECK_EQUAL(pr_bucket_take(&bucket, 1000, 5 * SECOND, 150, 1), 0);
    CHECK_EQUAL(pr_bucket_take(&bucket, 1000, 5 * SECOND + SECOND / 100, 150, 1), 10);
    CHECK_EQUAL(pr_bucket_there(&bucket, 1000, 50 * SECOND), 200);
}

static void a_bucket_gives_nothing_rather_than_too_little(void) {
    struct pr_bucket bucket = {0};
    CHECK_EQUAL(pr_bucket_take(&bucket, 1000, SECOND, 200, 200), 200);
    CHECK_EQUAL(pr_bucket_take(&bucket, 1000, SECOND + SECOND / 100, 100, 11), 0);
    CHECK_EQUAL(pr_bucket_take(&bucket, 1000, SECOND + SECOND / 100, 100, 10), 10);
}

static void what_is_owed_is_paid_first(void) {
    struct pr_bucket bucket = {0};
    pr_bucket_owe(&bucket, 1000, SECOND, 1200);
    CHECK_EQUAL(pr_bucket_there(&bucket, 1000, 2 * SECOND - 1), 0);
    CHECK_EQUAL(pr_bucket_there(&bucket, 1000, 2 * SECOND + SECOND / 10), 100);
}

static void a_bucket_of_a_great_rate_does_not_overflow(void) {
    struct pr_bucket bucket = {0};
    uint64_t rate = UINT64_C(1) << 53;
    CHECK(pr_bucket_take(&bucket, rate, 9 * SECOND, UINT64_MAX, 1) > rate / 6);
    CHECK(pr_bucket_there(&bucket, rate, 9 * SECOND) <= rate / SECOND); /* what a nanosecond brings */
}

static void a_bucket_of_a_small_rate_holds_two_bytes(void) {
    struct pr_bucket bucket = {0};
    CHECK_EQUAL(pr_bucket_take(&bucket, 1, 9 * SECOND, 5, 1), 2);
    CHECK_EQUAL(pr_bucket_take(&bucket, 1, 10 * SECOND - 1, 5, 1), 0);
    CHECK_EQUAL(pr_bucket_take(&bucket, 1, 10 * SECOND, 5, 1), 1);
}

static void what_is_given_back_can_be_taken_again(void) {
    struct pr_bucket bucket = {0};
    CHECK_EQUAL(pr_bucket_take(&bucket, 1000, SECOND, 200, 1), 200);
    pr_bucket_give(&bucket, 1000, 150);
    CHECK_EQUAL(pr_bucket_take(&bucket, 1000, SECOND, 200, 1), 150);
}

enum { TAKERS = 4 };

struct takers {
    struct pr_bucket bucket;
    _Atomic uint64_t taken;
};

static void *take_all(void *argument) {
    struct takers *takers = argument;
    uint64_t got;
    while ((got = pr_bucket_take(&takers->bucket, 1000000, SECOND, 7, 1)) > 0) takers->taken += got;
    return NULL;
}

static void threads_take_no_more_than_there_is(void) {
    struct takers takers = {0};
    pthread_t threads[TAKERS];
    for (int each = 0; each < TAKERS; each++) CHECK_EQUAL(pthread_create(&threads[each], NULL, take_all, &takers), 0);
    for (int each = 0; each < TAKERS; each++) pthread_join(threads[each], NULL);
    CHECK_EQUAL(takers.taken, 200000);
}

/* Bandwidth. */

struct reader {
    struct pair pair;
    uint64_t connection, transmission;
};

static struct reader reader_with(int receive_buffer, const struct scene *scene, enum pr_engine engine, uint64_t offset,
                                 uint64_t length) {
    struct reader reader = {.pair = pair_open(receive_buffer)};
    reader.connection = adopt(scene->relay, &reader.pair);
    CHECK(serve(scene->relay, reader.connection, &scene->region, engine, offset, length, &reader.transmission) >= 0);
    return reader;
}

static struct reader reader_of(const struct scene *scene, enum pr_engine engine, uint64_t offset, uint64_t length) {
    return reader_with(ROOMY, scene, engine, offset, length);
}

static void reader_close(const struct scene *scene, struct reader *reader) {
    close_peer(&reader->pair);
    node_close(scene->relay, reader->connection, &reader->pair);
}

/* What may have gone out since then, copies with their heads aside. */
static uint64_t allowed_since(uint64_t began, uint64_t rate) {
    return rate / 5 + (uint64_t)((double)(pr_now() - began) * (double)rate / 1e9) + 1;
}

static void no_more_than_the_rate(enum pr_engine engine, uint64_t length) {
    enum { RATE = 1 << 20 };
    struct scene scene = scene_open(1, (struct pr_limits){.rate_of_connection = RATE});
    uint64_t began = pr_now(), got = 0;
    struct reader reader = reader_of(&scene, engine, 5, length);
    for (uint64_t part = 0; got < length; got += part) {
        part = length - got < BLOCK ? length - got : BLOCK;
        read_body(reader.pair.peer, 5 + got, part, 0);
        CHECK(got + part <= allowed_since(began, RATE));
    }
    struct pr_event event = next_event(scene.relay);
    CHECK_EQUAL(event.kind, PR_EVENT_ACCEPTED);
    CHECK_EQUAL(event.bytes, length);
    reader_close(&scene, &reader);
    scene_close(&scene);
}

static void a_connection_gets_its_rate_and_every_byte(void) {
    EACH_ENGINE(engine) no_more_than_the_rate(engine, (600 << 10) + 7);
    no_more_than_the_rate(PR_ENGINE_ZEROCOPY, 500 << 10);
}

static void short_bodies_of_one_connection_are_charged_too(void) {
    enum { RATE = 64 << 10, BODY = 16 << 10, BODIES = 4 };
    struct scene scene = scene_open(1, (struct pr_limits){.rate_of_connection = RATE});
    uint64_t began = pr_now();
    struct reader reader = {.pair = pair_open(ROOMY)};
    reader.connection = adopt(scene.relay, &reader.pair);
    for (uint64_t body = 0; body < BODIES; body++) {
        int sent = serve(scene.relay, reader.connection, &scene.region, PR_ENGINE_COPY, body * BODY, BODY, NULL);
        read_body(reader.pair.peer, body * BODY, BODY, 0);
        if (sent == 0) CHECK_EQUAL(next_event(scene.relay).kind, PR_EVENT_ACCEPTED);
        CHECK(body * BODY <= allowed_since(began, RATE)); /* the last is owed */
    }
    reader_close(&scene, &reader);
    scene_close(&scene);
}

static void who_waits_for_bandwidth_keeps_nobody_else_waiting(void) {
    struct scene scene = scene_open(1, (struct pr_limits){.rate_of_connection = 64 << 10});
    struct reader slow = reader_of(&scene, PR_ENGINE_SENDFILE, 0, SIZE);
    for (uint64_t guest = 0; guest < 50; guest++) {
        struct reader quick = reader_of(&scene, PR_ENGINE_SENDFILE, guest * PAGE, 1 << 10);
        read_body(quick.pair.peer, guest * PAGE, 1 << 10, 0);
        reader_close(&scene, &quick);
    }
    CHECK_EQUAL(counted(scene.relay).by_state[PR_SENDING], 1);
    reader_close(&scene, &slow);
    scene_close(&scene);
}

/* Reads a body that is on its way to it, in a thread of its own. */
struct other_reader {
    struct reader reader;
    pthread_t thread;
    uint64_t began, rate;
    _Atomic uint64_t *got_in_all;
};

enum { TOGETHER = 6, OF_EACH = 150 << 10 };

static void *read_with_others(void *argument) {
    struct other_reader *one = argument;
    for (uint64_t got = 0, part; got < OF_EACH; got += part) {
        part = OF_EACH - got < BLOCK ? OF_EACH - got : BLOCK;
        read_body(one->reader.pair.peer, got, part, 0);
        uint64_t in_all = *one->got_in_all += part;
        CHECK(in_all <= allowed_since(one->began, one->rate));
    }
    return NULL;
}

static void readers_of_one_region_share_its_rate(void) {
    enum { RATE = 1 << 20 };
    struct scene scene = scene_open(2, (struct pr_limits){.rate_of_region = RATE});
    struct other_reader all[TOGETHER];
    _Atomic uint64_t got = 0;
    uint64_t began = pr_now();
    for (int each = 0; each < TOGETHER; each++) {
        all[each] = (struct other_reader){.began = began, .rate = RATE, .got_in_all = &got};
        all[each].reader = reader_of(&scene, PR_ENGINE_SENDFILE, 0, OF_EACH);
        CHECK_EQUAL(pthread_create(&all[each].thread, NULL, read_with_others, &all[each]), 0);
    }
    for (int each = 0; each < TOGETHER; each++) pthread_join(all[each].thread, NULL);
    for (int each = 0; each < TOGETHER; each++) reader_close(&scene, &all[each].reader);
    scene_close(&scene);
}

static uint64_t left_of_rate(const struct scene *scene, uint64_t rate) {
    const struct pr_generation *generation =
        pr_slots_find(&scene->relay->slots, PR_KIND_GENERATION, scene->region.generation);
    return pr_bucket_there(&generation->inode->sent, rate, pr_now());
}

static void a_short_body_takes_no_more_of_the_rate_than_it_has(void) {
    enum { RATE = 1000 << 10, BODIES = 20 };
    struct scene scene = scene_open(1, (struct pr_limits){.rate_of_region = RATE});
    struct pair pairs[BODIES];
    uint64_t connections[BODIES];
    for (int each = 0; each < BODIES; each++) {
        pairs[each] = pair_open(ROOMY);
        connections[each] = adopt(scene.relay, &pairs[each]);
        CHECK_EQUAL(serve(scene.relay, connections[each], &scene.region, PR_ENGINE_SENDFILE, 0, 1, NULL), 1);
    }
    CHECK(left_of_rate(&scene, RATE) >= RATE / 5 - BODIES);
    for (int each = 0; each < BODIES; each++) {
        read_body(pairs[each].peer, 0, 1, 0);
        close_peer(&pairs[each]);
        node_close(scene.relay, connections[each], &pairs[each]);
    }
    scene_close(&scene);
}

static void another_region_has_a_rate_of_its_own(void) {
    struct scene scene = scene_open(1, (struct pr_limits){.rate_of_region = 1 << 10});
    struct region other = region_create(scene.relay, SIZE);
    struct reader slow = reader_of(&scene, PR_ENGINE_SENDFILE, 0, SIZE);
    struct reader quick = {.pair = pair_open(ROOMY)};
    quick.connection = adopt(scene.relay, &quick.pair);
    CHECK(serve(scene.relay, quick.connection, &other, PR_ENGINE_SENDFILE, 0, 200, NULL) >= 0);
    read_body(quick.pair.peer, 0, 200, 0);
    wait_until(counted(scene.relay).by_state[PR_SENDING] == 1, 5000);
    reader_close(&scene, &quick);
    reader_close(&scene, &slow);
    region_close(scene.relay, &other);
    scene_close(&scene);
}

static void a_writer_does_not_wait_for_what_waits_for_bandwidth(void) {
    enum { RATE = 256 << 10, BODY = 300 << 10, LAST = SIZE - PAGE };
    struct scene scene = scene_open(1, (struct pr_limits){.rate_of_connection = RATE});
    struct pair pair = pair_open(ROOMY);
    uint64_t connection = adopt(scene.relay, &pair), lease, version;
    CHECK_EQUAL(serve(scene.relay, connection, &scene.region, PR_ENGINE_SENDFILE, SIZE - BODY, BODY, NULL), 0);
    CHECK_EQUAL(pr_lease(scene.relay, scene.region.generation, LAST, PAGE, PR_NEEDS_NOTHING, true, &lease), 1);
    CHECK_EQUAL(pr_lease_keep(scene.relay, lease, false), 0);
    CHECK(pr_lease_wait_for(scene.relay, lease, PR_NEEDS_DONE) >= 0);
    /* Where a lane was in its turn, it lets go at the end of that. */
    struct pr_event event;
    wait_until(pr_lease_begin(scene.relay, lease, 1, &version) == 0, 5000);
    region_write(&scene.region, LAST, PAGE, 1);
    CHECK_EQUAL(pr_lease_end(scene.relay, lease, true, NULL), 0);
    CHECK_EQUAL(counted(scene.relay).by_state[PR_SENDING], 1);
    read_body(pair.peer, SIZE - BODY, BODY, 0);
    do event = next_event(scene.relay);
    while (event.kind == PR_EVENT_GRANTED);
    CHECK_EQUAL(event.kind, PR_EVENT_ACCEPTED);
    close_peer(&pair);
    node_close(scene.relay, connection, &pair);
    scene_close(&scene);
}

static void what_waits_for_bandwidth_can_be_broken_off(void) {
    struct scene scene = scene_open(1, (struct pr_limits){.rate_of_connection = 1 << 10});
    struct reader closed_by_node = reader_of(&scene, PR_ENGINE_SENDFILE, 0, SIZE);
    struct reader gone = reader_of(&scene, PR_ENGINE_SENDFILE, 0, SIZE);
    reset_peer(&gone.pair);
    node_close(scene.relay, closed_by_node.connection, &closed_by_node.pair);
    close_peer(&closed_by_node.pair);
    CHECK_EQUAL(next_event(scene.relay).kind, PR_EVENT_BROKEN);
    CHECK_EQUAL(next_event(scene.relay).kind, PR_EVENT_BROKEN);
    node_close(scene.relay, gone.connection, &gone.pair);
    scene_close(&scene);
}

/* Who waits for bandwidth makes no progress, for which nothing can be blamed on its client. */
static void waiting_for_bandwidth_is_no_stall(void) {
    struct pr_limits limits = {.rate_of_connection = 1000, .least_rate = 800, .rate_grace = 300};
    struct scene scene = scene_open(1, limits);
    scene.relay->lanes->max_hold = SECOND / 4;
    struct reader reader = reader_of(&scene, PR_ENGINE_SENDFILE, 0, 1500);
    read_body(reader.pair.peer, 0, 1500, 0);
    CHECK_EQUAL(next_event(scene.relay).kind, PR_EVENT_ACCEPTED);
    CHECK_EQUAL(counted(scene.relay).limited[PR_LIMITED_MIN_RATE], 0);
    reader_close(&scene, &reader);
    scene_close(&scene);
}

/* The least rate. */

static void trickle(int peer, uint64_t bytes) {
    char byte;
    for (uint64_t got = 0; got < bytes; got++) {
        if (recv(peer, &byte, 1, 0) < 1) return;
        test_pause();
    }
}

static void who_reads_too_slowly_is_broken_off(void) {
    EACH_ENGINE(engine) {
        if (engine == PR_ENGINE_COPY) continue; /* of that, only what is acknowledged is seen */
        struct scene scene = scene_open(1, (struct pr_limits){.least_rate = 1 << 20, .rate_grace = 300});
        struct reader slow = reader_with(NARROW, &scene, engine, 0, SIZE);
        wait_until((trickle(slow.pair.peer, 1), counted(scene.relay).limited[PR_LIMITED_MIN_RATE] == 1), 20000);
        struct pr_event event = next_event(scene.relay);
        CHECK_EQUAL(event.kind, PR_EVENT_BROKEN);
        CHECK_EQUAL(event.outcome, PR_OUTCOME_STALLED);
        CHECK(event.bytes < SIZE);
        reader_close(&scene, &slow);
        scene_close(&scene);
    }
}

static void what_was_accepted_has_to_be_read_too(void) {
    struct scene scene = scene_open(1, (struct pr_limits){.least_rate = 1 << 20, .rate_grace = 300});
    struct reader slow = reader_with(NARROW, &scene, PR_ENGINE_SENDFILE, 0, 60 << 10);
    wait_until((trickle(slow.pair.peer, 1), counted(scene.relay).limited[PR_LIMITED_MIN_RATE] == 1), 20000);
    struct pr_event event = next_event(scene.relay);
    CHECK_EQUAL(event.kind, PR_EVENT_STALLED);
    CHECK_EQUAL(event.id, slow.connection);
    CHECK_EQUAL(pr_connection_break(scene.relay, slow.connection), 0);
    reader_close(&scene, &slow);
    scene_close(&scene);
}

static void who_reads_nothing_has_the_time_of_a_stall(void) {
    struct scene scene = scene_open(1, (struct pr_limits){.least_rate = 1 << 20, .rate_grace = 100});
    struct reader silent = reader_with(NARROW, &scene, PR_ENGINE_SENDFILE, 0, SIZE);
    stays(counted(scene.relay).limited[PR_LIMITED_MIN_RATE] == 0, 1500);
    CHECK_EQUAL(counted(scene.relay).by_state[PR_SENDING], 1);
    reader_close(&scene, &silent);
    scene_close(&scene);
}

static void who_reads_at_the_least_rate_goes_on(void) {
    struct scene scene = scene_open(1, (struct pr_limits){.least_rate = 1, .rate_grace = 300});
    struct reader reader = reader_with(NARROW, &scene, PR_ENGINE_SENDFILE, 0, SIZE);
    uint64_t began = pr_now();
    for (uint64_t got = 0; pr_now() < began + SECOND; got += BLOCK / 8) {
        read_body(reader.pair.peer, got, BLOCK / 8, 0);
        test_pause();
    }
    CHECK_EQUAL(counted(scene.relay).limited[PR_LIMITED_MIN_RATE], 0);
    CHECK_EQUAL(counted(scene.relay).by_state[PR_SENDING], 1);
    reader_close(&scene, &reader);
    scene_close(&scene);
}

int main(void) {
    RUN(a_bucket_holds_what_its_burst_brings);
    RUN(a_bucket_gives_nothing_rather_than_too_little);
    RUN(what_is_owed_is_paid_first);
    RUN(a_bucket_of_a_great_rate_does_not_overflow);
    RUN(a_bucket_of_a_small_rate_holds_two_bytes);
    RUN(what_is_given_back_can_be_taken_again);
    RUN(threads_take_no_more_than_there_is);
    RUN(a_connection_gets_its_rate_and_every_byte);
    RUN(short_bodies_of_one_connection_are_charged_too);
    RUN(who_waits_for_bandwidth_keeps_nobody_else_waiting);
    RUN(readers_of_one_region_share_its_rate);
    RUN(a_short_body_takes_no_more_of_the_rate_than_it_has);
    RUN(another_region_has_a_rate_of_its_own);
    RUN(a_writer_does_not_wait_for_what_waits_for_bandwidth);
    RUN(what_waits_for_bandwidth_can_be_broken_off);
    RUN(waiting_for_bandwidth_is_no_stall);
    RUN(who_reads_too_slowly_is_broken_off);
    RUN(what_was_accepted_has_to_be_read_too);
    RUN(who_reads_nothing_has_the_time_of_a_stall);
    RUN(who_reads_at_the_least_rate_goes_on);
    return 0;
}

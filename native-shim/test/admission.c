/* How many transmissions may be in flight, and how many bytes they may hold. */
#include "test.h"

#include <pthread.h>

enum { PAGE = 4096, SIZE = 1 << 20 };

struct scene {
    struct pr_relay *relay;
    struct region region;
};

static void limit(const struct scene *scene, struct pr_limits limits) {
    struct pr_limits by_place[PR_PLACES] = {limits, limits};
    pr_limit(scene->relay, by_place);
}

static struct scene scene_open(struct pr_limits limits) {
    struct scene scene = {.relay = relay_start(options_with(2))};
    scene.region = region_create(scene.relay, SIZE);
    limit(&scene, limits);
    return scene;
}

static void scene_close(struct scene *scene) {
    wait_until(references(scene->relay) == 0, 5000);
    CHECK_EQUAL(counted(scene->relay).held_bytes, 0);
    region_close(scene->relay, &scene->region);
    pr_relay_destroy(scene->relay);
}

static int try_to_hold(const struct scene *scene, uint64_t length, uint64_t *id) {
    struct pr_segment extent = EXTENT(0, length);
    return pr_hold(scene->relay, scene->region.generation, 0, 0, PR_ENGINE_SENDFILE, 0, &extent, 1, id);
}

static void let_go(const struct scene *scene, uint64_t id) {
    CHECK_EQUAL(pr_release(scene->relay, id, PR_OUTCOME_CANCELLED), 0);
}

static void no_more_transmissions_are_taken_than_may_be(void) {
    enum { MOST = 5 };
    struct scene scene = scene_open((struct pr_limits){.transmissions = MOST});
    uint64_t ids[MOST], beyond;
    for (int each = 0; each < MOST; each++) CHECK_EQUAL(try_to_hold(&scene, PAGE, &ids[each]), 0);
    CHECK_EQUAL(try_to_hold(&scene, PAGE, &beyond), -ETOOMANYREFS);
    CHECK_EQUAL(counted(scene.relay).limited[PR_LIMITED_TRANSMISSIONS], 1);
    let_go(&scene, ids[3]);
    CHECK_EQUAL(try_to_hold(&scene, PAGE, &ids[3]), 0);
    for (int each = 0; each < MOST; each++) let_go(&scene, ids[each]);
    scene_close(&scene);
}

static void no_more_bytes_are_held_than_may_be(void) {
    struct scene scene = scene_open((struct pr_limits){.held_bytes = 10 * PAGE});
    uint64_t two, four, beyond;
    CHECK_EQUAL(try_to_hold(&scene, 4 * PAGE, &four), 0);
    CHECK_EQUAL(try_to_hold(&scene, 2 * PAGE, &two), 0);
    CHECK_EQUAL(try_to_hold(&scene, 5 * PAGE, &beyond), -ETOOMANYREFS);
    CHECK_EQUAL(counted(scene.relay).limited[PR_LIMITED_HELD_BYTES], 1);
    CHECK_EQUAL(counted(scene.relay).held_bytes, 6 * PAGE);
    let_go(&scene, two);
    CHECK_EQUAL(try_to_hold(&scene, 4 * PAGE, &two), 0);
    let_go(&scene, two);
    let_go(&scene, four);
    scene_close(&scene);
}

static void one_that_is_larger_than_the_limit_goes_out_when_little_else_is_held(void) {
    struct scene scene = scene_open((struct pr_limits){.held_bytes = 8 * PAGE});
    uint64_t large, small, beyond;
    CHECK_EQUAL(try_to_hold(&scene, SIZE, &large), 0);
    CHECK_EQUAL(try_to_hold(&scene, 3 * PAGE, &small), 0);
    CHECK_EQUAL(try_to_hold(&scene, SIZE, &beyond), -ETOOMANYREFS);
    let_go(&scene, large);
    CHECK_EQUAL(try_to_hold(&scene, SIZE, &large), 0);
    let_go(&scene, large);
    let_go(&scene, small);
    scene_close(&scene);
}

static void what_is_read_counts_no_more(void) {
    struct scene scene = scene_open((struct pr_limits){.held_bytes = 64 * PAGE});
    uint64_t first, next, beyond;
    CHECK_EQUAL(try_to_hold(&scene, 32 * PAGE, &first), 0);
    CHECK_EQUAL(try_to_hold(&scene, 32 * PAGE, &next), 0);
    CHECK_EQUAL(try_to_hold(&scene, 16 * PAGE, &beyond), -ETOOMANYREFS);
    CHECK_EQUAL(pr_change_to_stream(scene.relay, first), 0);
    CHECK_EQUAL(pr_advance(scene.relay, first, 24 * PAGE), 0);
    CHECK_EQUAL(try_to_hold(&scene, 16 * PAGE, &beyond), 0);
    let_go(&scene, beyond);
    let_go(&scene, next);
    let_go(&scene, first);
    scene_close(&scene);
}

static void what_is_sent_counts_until_it_is_done(void) {
    struct scene scene = scene_open((struct pr_limits){.transmissions = 1, .held_bytes = SIZE});
    struct pair pair = pair_open(ROOMY);
    uint64_t connection = adopt(scene.relay, &pair), beyond;
    CHECK_EQUAL(serve(scene.relay, connection, &scene.region, PR_ENGINE_SENDFILE, 0, 8 * PAGE, NULL), 1);
    CHECK_EQUAL(try_to_hold(&scene, PAGE, &beyond), -ETOOMANYREFS);
    read_body(pair.peer, 0, 8 * PAGE, 0);
    wait_until(references(scene.relay) == 0, 5000);
    wait_until(try_to_hold(&scene, PAGE, &beyond) == 0, 5000);
    let_go(&scene, beyond);
    close_peer(&pair);
    node_close(scene.relay, connection, &pair);
    scene_close(&scene);
}

static void a_limit_that_changes_holds_for_what_comes(void) {
    struct scene scene = scene_open((struct pr_limits){0});
    uint64_t ids[4], beyond;
    CHECK_EQUAL(try_to_hold(&scene, SIZE, &ids[0]), 0);
    limit(&scene, (struct pr_limits){.transmissions = 2, .held_bytes = SIZE});
    CHECK_EQUAL(try_to_hold(&scene, PAGE, &ids[1]), 0);
    CHECK_EQUAL(try_to_hold(&scene, PAGE, &ids[2]), 0);
    CHECK_EQUAL(try_to_hold(&scene, PAGE, &beyond), -ETOOMANYREFS);
    limit(&scene, (struct pr_limits){.transmissions = 1});
    let_go(&scene, ids[0]);
    let_go(&scene, ids[1]);
    CHECK_EQUAL(try_to_hold(&scene, PAGE, &beyond), -ETOOMANYREFS);
    limit(&scene, (struct pr_limits){0});
    CHECK_EQUAL(try_to_hold(&scene, PAGE, &ids[3]), 0);
    let_go(&scene, ids[2]);
    let_go(&scene, ids[3]);
    scene_close(&scene);
}

/* Parts of one allowance. */

enum { PARTS = 4, MOST_OF_ALL = 1000, TRIES = 20000 };

struct parts {
    struct pr_allowance allowance;
    _Atomic uint64_t used, most_used, refused;
};

static void *take_and_give(void *argument) {
    struct parts *parts = argument;
    struct pr_share share = {0};
    uint64_t seed = test_seed(), had = 0;
    for (int each = 0; each < TRIES; each++) {
        uint64_t amount = 1 + test_below(&seed, 150);
        if (had == 0 && pr_share_take(&share, &parts->allowance, MOST_OF_ALL, PARTS, amount)) {
            had = amount;
            uint64_t used = parts->used += had;
            CHECK(used <= MOST_OF_ALL);
        } else if (had > 0) {
            parts->used -= had;
            pr_share_give(&share, &parts->allowance, MOST_OF_ALL, PARTS, had);
            had = 0;
        }
    }
    parts->used -= had;
    if (had > 0) pr_share_give(&share, &parts->allowance, MOST_OF_ALL, PARTS, had);
    CHECK(share.spare <= 2 * (MOST_OF_ALL / (16 * PARTS)));
    atomic_fetch_sub(&parts->allowance.taken, share.spare);
    return NULL;
}

static void parts_have_no_more_than_all_of_it(void) {
    struct parts parts = {0};
    pthread_t threads[PARTS];
    for (int each = 0; each < PARTS; each++)
        CHECK_EQUAL(pthread_create(&threads[each], NULL, take_and_give, &parts), 0);
    for (int each = 0; each < PARTS; each++) pthread_join(threads[each], NULL);
    CHECK_EQUAL(parts.used, 0);
    CHECK_EQUAL(parts.allowance.taken, 0);
}

static void what_one_part_does_not_use_is_an_eighth_at_most(void) {
    struct pr_allowance allowance = {0};
    struct pr_share shares[PARTS] = {0};
    for (int each = 0; each < PARTS; each++) {
        CHECK(pr_share_take(&shares[each], &allowance, MOST_OF_ALL, PARTS, 1));
        pr_share_give(&shares[each], &allowance, MOST_OF_ALL, PARTS, 1);
    }
    CHECK(allowance.taken <= MOST_OF_ALL / 8);
    CHECK(pr_share_take(&shares[0], &allowance, MOST_OF_ALL, PARTS, MOST_OF_ALL * 7 / 8));
    CHECK(!pr_share_take(&shares[1], &allowance, MOST_OF_ALL, PARTS, MOST_OF_ALL / 4));
}

int main(void) {
    RUN(no_more_transmissions_are_taken_than_may_be);
    RUN(no_more_bytes_are_held_than_may_be);
    RUN(one_that_is_larger_than_the_limit_goes_out_when_little_else_is_held);
    RUN(what_is_read_counts_no_more);
    RUN(what_is_sent_counts_until_it_is_done);
    RUN(a_limit_that_changes_holds_for_what_comes);
    RUN(parts_have_no_more_than_all_of_it);
    RUN(what_one_part_does_not_use_is_an_eighth_at_most);
    return 0;
}

/* Ids: unique, and good for their own object only. */
#include "test.h"

static int objects[100000];
static uint64_t ids[100000];

static void an_id_finds_its_object_and_no_other_kind(void) {
    struct pr_slots slots = {0};
    for (enum pr_kind kind = PR_KIND_TREE; kind <= PR_KIND_TRANSMISSION; kind++)
        CHECK_EQUAL(pr_slots_add(&slots, kind, &objects[kind], &ids[kind]), 0);
    for (enum pr_kind kind = PR_KIND_TREE; kind <= PR_KIND_TRANSMISSION; kind++)
        for (enum pr_kind other = PR_KIND_TREE; other <= PR_KIND_TRANSMISSION; other++)
            CHECK(pr_slots_find(&slots, other, ids[kind]) == (kind == other ? &objects[kind] : NULL));
    pr_slots_free(&slots);
}

static void invented_ids_find_nothing(void) {
    struct pr_slots slots = {0};
    uint64_t state = test_seed(), id;
    CHECK(!pr_slots_find(&slots, PR_KIND_TREE, 0));
    CHECK(!pr_slots_find(&slots, PR_KIND_GENERATION, UINT64_MAX));
    CHECK_EQUAL(pr_slots_add(&slots, PR_KIND_GENERATION, &objects[0], &id), 0);
    CHECK(!pr_slots_find(&slots, PR_KIND_GENERATION, 0));
    for (int bit = 0; bit < 64; bit++) CHECK(!pr_slots_find(&slots, PR_KIND_GENERATION, id ^ (uint64_t)1 << bit));
    for (int round = 0; round < 100000; round++) {
        uint64_t invented = test_random(&state);
        if (invented != id) CHECK(!pr_slots_find(&slots, PR_KIND_GENERATION, invented));
        if (invented != id) pr_slots_remove(&slots, invented);
    }
    CHECK(pr_slots_find(&slots, PR_KIND_GENERATION, id) == &objects[0]);
    pr_slots_free(&slots);
}

static void a_reused_place_has_a_new_id(void) {
    struct pr_slots slots = {0};
    uint64_t first, second;
    CHECK_EQUAL(pr_slots_add(&slots, PR_KIND_CONNECTION, &objects[0], &first), 0);
    for (int round = 0; round < 1000; round++) {
        pr_slots_remove(&slots, first);
        pr_slots_remove(&slots, first); /* twice does no harm */
        CHECK_EQUAL(pr_slots_add(&slots, PR_KIND_CONNECTION, &objects[1], &second), 0);
        CHECK(first != second);
        CHECK(!pr_slots_find(&slots, PR_KIND_CONNECTION, first));
        first = second;
    }
    CHECK_EQUAL(slots.used, 1);
    CHECK_EQUAL(slots.capacity, 64);
    pr_slots_free(&slots);
}

static int compare(const void *a, const void *b) {
    uint64_t first = *(const uint64_t *)a, second = *(const uint64_t *)b;
    return first < second ? -1 : first > second;
}

static void growing_keeps_every_id(void) {
    enum { COUNT = 100000 };
    struct pr_slots slots = {0};
    uint32_t cursor = 0;
    size_t seen = 0;
    for (int index = 0; index < COUNT; index++)
        CHECK_EQUAL(pr_slots_add(&slots, PR_KIND_TRANSMISSION, &objects[index], &ids[index]), 0);
    for (int index = 0; index < COUNT; index++)
        CHECK(pr_slots_find(&slots, PR_KIND_TRANSMISSION, ids[index]) == &objects[index]);
    while (pr_slots_next(&slots, PR_KIND_TRANSMISSION, &cursor)) seen++;
    CHECK_EQUAL(seen, COUNT);
    qsort(ids, COUNT, sizeof *ids, compare);
    for (int index = 1; index < COUNT; index++) CHECK(ids[index - 1] != ids[index]);
    CHECK(ids[COUNT - 1] < (uint64_t)1 << 52);
    pr_slots_free(&slots);
}

static void a_full_table_refuses_and_recovers(void) {
    enum { MOST = 1 << 20 };
    struct pr_slots slots = {0};
    uint64_t id, last = 0;
    for (int index = 0; index < MOST; index++) CHECK_EQUAL(pr_slots_add(&slots, PR_KIND_TREE, &objects[0], &last), 0);
    CHECK_EQUAL(pr_slots_add(&slots, PR_KIND_TREE, &objects[0], &id), -ENOMEM);
    pr_slots_remove(&slots, last);
    CHECK_EQUAL(pr_slots_add(&slots, PR_KIND_TREE, &objects[1], &id), 0);
    CHECK(pr_slots_find(&slots, PR_KIND_TREE, id) == &objects[1]);
    pr_slots_free(&slots);
}

static void a_walk_survives_changes(void) {
    struct pr_slots slots = {0};
    uint32_t cursor = 0;
    size_t seen = 0;
    for (int index = 0; index < 64; index++)
        CHECK_EQUAL(pr_slots_add(&slots, PR_KIND_TREE, &objects[index], &ids[index]), 0);
    while (pr_slots_next(&slots, PR_KIND_TREE, &cursor)) {
        pr_slots_remove(&slots, ids[seen++]);
        uint64_t id;
        if (seen == 10)
            for (int index = 0; index < 100; index++)
                CHECK_EQUAL(pr_slots_add(&slots, PR_KIND_GENERATION, &objects[index], &id), 0);
    }
    CHECK_EQUAL(seen, 64);
    pr_slots_free(&slots);
}

int main(void) {
    RUN(an_id_finds_its_object_and_no_other_kind);
    RUN(invented_ids_find_nothing);
    RUN(a_reused_place_has_a_new_id);
    RUN(growing_keeps_every_id);
    RUN(a_full_table_refuses_and_recovers);
    RUN(a_walk_survives_changes);
    return 0;
}

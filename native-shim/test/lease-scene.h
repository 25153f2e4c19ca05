/* A relay with one file, and who wants its pages. */
#ifndef LEASE_SCENE_H
#define LEASE_SCENE_H

#include "test.h"

enum { PAGE = 4096, PAGES = 64, SIZE = PAGES * PAGE };

/* `page` numbers below are pages of its file. */
struct scene {
    struct pr_relay *relay;
    struct region region;
};

static inline struct scene scene_open(uint64_t size) {
    struct scene scene = {.relay = relay_start(options_with(1))};
    scene.region = region_create(scene.relay, size);
    return scene;
}

static inline void check_nothing_claimed(struct pr_relay *relay) {
    struct pr_counters counters = counted(relay);
    CHECK_EQUAL(counters.claims, 0);
    CHECK_EQUAL(counters.leases, 0);
    CHECK_EQUAL(counters.waiting_writers, 0);
    CHECK_EQUAL(counters.waiting_readers, 0);
}

static inline void scene_close(struct scene *scene) {
    check_nothing_claimed(scene->relay);
    CHECK(no_event(scene->relay));
    region_close(scene->relay, &scene->region);
    pr_relay_destroy(scene->relay);
}

static inline int try_lease(struct scene *scene, unsigned page, unsigned pages, enum pr_needs needs) {
    uint64_t id;
    int result = pr_lease(scene->relay, scene->region.generation, page * PAGE, pages * PAGE, needs, false, &id);
    if (result == 1) CHECK_EQUAL(pr_lease_end(scene->relay, id, false, NULL), 0);
    return result;
}

static inline uint64_t ask_lease(struct scene *scene, unsigned page, unsigned pages, enum pr_needs needs,
                                 int expected) {
    uint64_t id = 0;
    CHECK_EQUAL(pr_lease(scene->relay, scene->region.generation, page * PAGE, pages * PAGE, needs, true, &id),
                expected);
    return id;
}

static inline uint64_t leased(struct scene *scene, unsigned page, unsigned pages) {
    return ask_lease(scene, page, pages, PR_NEEDS_DONE, 1);
}

static inline uint64_t waiting_lease(struct scene *scene, unsigned page, unsigned pages) {
    return ask_lease(scene, page, pages, PR_NEEDS_DONE, 0);
}

static inline uint64_t ask_place(struct scene *scene, unsigned page, unsigned pages, int expected) {
    uint64_t id = 0;
    struct pr_segment extent = EXTENT(page * PAGE, pages * PAGE);
    CHECK_EQUAL(pr_place(scene->relay, scene->region.generation, &extent, 1, &id), expected);
    return id;
}

/* Of the version that the file has now. */
static inline int hold_at(struct scene *scene, uint64_t place, uint64_t offset, uint64_t length, uint64_t *id) {
    struct pr_segment extent = EXTENT(offset, length);
    uint64_t epoch = 0, version = 0;
    CHECK_EQUAL(pr_generation_set_version(scene->relay, scene->region.generation, &epoch, &version), 0);
    return pr_hold(scene->relay, scene->region.generation, epoch, version, PR_ENGINE_STREAM, place, &extent, 1, id);
}

static inline uint64_t held(struct scene *scene, unsigned page, unsigned pages) {
    uint64_t id;
    CHECK_EQUAL(hold_at(scene, 0, page * PAGE, pages * PAGE, &id), 0);
    return id;
}

/* Whether a reader that asks now may have these bytes. */
static inline int try_hold(struct scene *scene, uint64_t offset, uint64_t length) {
    uint64_t id;
    int result = hold_at(scene, 0, offset, length, &id);
    if (result == 0) CHECK_EQUAL(pr_release(scene->relay, id, PR_OUTCOME_COMPLETE), 0);
    return result;
}

static inline void release(struct scene *scene, uint64_t id) {
    CHECK_EQUAL(pr_release(scene->relay, id, PR_OUTCOME_COMPLETE), 0);
}

static inline void end_lease(struct scene *scene, uint64_t id) {
    CHECK_EQUAL(pr_lease_end(scene->relay, id, false, NULL), 0);
}

static inline void end_place(struct scene *scene, uint64_t id) {
    CHECK_EQUAL(pr_place_end(scene->relay, id), 0);
}

static inline void expect_event(struct pr_relay *relay, enum pr_event_kind kind, uint64_t id, int error) {
    struct pr_event event = next_event(relay);
    CHECK_EQUAL(event.kind, kind);
    CHECK_EQUAL(event.id, id);
    CHECK_EQUAL(event.error, error);
}

static inline void expect_granted(struct scene *scene, uint64_t id) {
    expect_event(scene->relay, PR_EVENT_GRANTED, id, 0);
}

#endif

/* Leases and readers' places: who may have which pages, and in what order. */
#include "lease-lines.h"

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

int main(void) {
    RUN(free_pages_are_leased_at_once);
    RUN(a_lease_without_an_end_covers_all_that_may_come);
    RUN(what_cannot_be_leased_is_refused);
    RUN(pages_count_not_bytes);
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
    return 0;
}

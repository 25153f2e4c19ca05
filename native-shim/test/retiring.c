/* Files that have lost their names: when nothing refers to their pages any more. */
#include "lease-lines.h"

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
    RUN(a_retired_file_is_gone_after_all_that_refers_to_it);
    RUN(a_closed_file_can_be_retired_while_it_is_held);
    RUN(an_idle_file_is_gone_at_once);
    RUN(a_retired_file_is_gone_when_its_last_reader_has_read);
    return 0;
}

/* The responder, of what its answers hold, and for how long. */
#include "scene.h"

/* Done. */

static void answers_are_held_until_the_client_has_read_them(void) {
    enum { COUNT = 12 };
    static const enum pr_engine copy_free[] = {PR_ENGINE_SENDFILE, PR_ENGINE_SPLICE};
    for (int each = 0; each < 2; each++) {
        struct scene scene = scene_open();
        publish(&scene, copy_free[each]);
        int guest = visit_with(&scene, ROOMY);
        for (uint64_t index = 0; index < COUNT; index++) ask_range(guest, 2 * index * PAGE + 7, PAGE);
        wait_until(answers_so_far(&scene) == COUNT, 5000);
        for (uint64_t index = 0; index < COUNT; index++) {
            uint64_t offset = 2 * index * PAGE + 7;
            CHECK_EQUAL(references(scene.relay), COUNT - index);
            read_begin(&scene, guest, (struct begin){.status = 206, .offset = offset, .length = PAGE});
            read_body(guest, offset, PAGE - 1, 0);
            CHECK_EQUAL(references(scene.relay), COUNT - index);
            read_body(guest, offset + PAGE - 1, 1, 0);
            wait_until(references(scene.relay) == COUNT - index - 1, 5000);
        }
        close(guest);
        scene_close(&scene);
    }
}

/* Where a body begins in what was ever sent, whoever has sent what was before it. */
static void positions_are_right_whoever_has_sent_before(void) {
    struct scene scene = scene_open();
    uint64_t random = test_seed();
    int guest = visit_with(&scene, ROOMY);
    struct side side = introduce(&scene, guest);
    for (unsigned round = 0; round < 20; round++) {
        uint64_t offsets[30], lengths[30];
        unsigned count = 1 + (unsigned)test_below(&random, 15);
        uint64_t before = answers_so_far(&scene);
        for (unsigned index = 0; index < count; index++) {
            offsets[index] = test_below(&random, SIZE / 2);
            lengths[index] = 1 + test_below(&random, 9000);
            if (index % 3 == 2) SAY(guest, head_a);
            ask_range(guest, offsets[index], lengths[index]);
        }
        SAY(guest, get_b);
        expect_return(&scene, &side, PR_RETURN_FED, get_b, sizeof get_b - 1);
        CHECK_EQUAL(answers_so_far(&scene), before + count + count / 3);
        CHECK_EQUAL(serve(scene.relay, side.id, &scene.region, PR_ENGINE_SENDFILE, 5, 10, NULL), 1);
        for (unsigned index = 0; index < count; index++) {
            if (index % 3 == 2) read_begin(&scene, guest, (struct begin){.status = 200, .length = SIZE});
            wait_until(references(scene.relay) == count - index + 1, 5000); /* fewer would never become more */
            read_range(&scene, guest, offsets[index], lengths[index]);
        }
        wait_until(references(scene.relay) == 1, 5000);
        read_body(guest, 5, 9, 0);
        CHECK_EQUAL(references(scene.relay), 1);
        read_body(guest, 14, 1, 0);
        wait_until(references(scene.relay) == 0, 5000);
        CHECK_EQUAL(pr_resume(scene.relay, side.id), 0);
    }
    finish(&scene, guest, &side);
}

static void a_client_that_reads_nothing_back_is_looked_at_now_and_then(void) {
    struct scene scene = scene_open();
    int guest = visit(&scene);
    for (unsigned index = 0; index < 200; index++) {
        get(&scene, guest, index * PAGE, 100);
        CHECK(counted(scene.relay).references <= 17);
    }
    close(guest);
    scene_close(&scene);
}

static void an_unaskable_peer_is_sent_copies_only(void) {
    struct pr_options options = options_with(1);
    options.pretence.peers = PR_PEER_UNASKABLE + 1;
    struct scene scene = scene_with(options, patient(), SIZE, 0);
    publish(&scene, PR_ENGINE_SENDFILE);
    int guest = visit(&scene);
    get(&scene, guest, 5, 50000);
    wait_until(counted(scene.relay).sent_bytes[PR_ENGINE_COPY] == 50000, 5000);
    close(guest);
    scene_close(&scene);
}

static void a_slow_reader_is_waited_for_and_its_next_requests_answered(void) {
    EACH_ENGINE(engine) {
        struct scene scene = slow_scene(engine);
        int guest = begin_slow_answer(&scene), beside = visit(&scene);
        ask_range(guest, 77, 1000);
        ask_range(guest, 5, 3 << 20);
        uint64_t used = test_processor_time(&scene.relay->lanes->list[0]);
        stays(no_event(scene.relay), 300);
        CHECK(test_processor_time(&scene.relay->lanes->list[0]) - used < 150000000);
        get(&scene, beside, 3, 100);
        read_rest(guest);
        read_range(&scene, guest, 77, 1000);
        read_range(&scene, guest, 5, 3 << 20);
        close(guest);
        close(beside);
        scene_close(&scene);
    }
}

int main(void) {
    RUN(answers_are_held_until_the_client_has_read_them);
    RUN(positions_are_right_whoever_has_sent_before);
    RUN(a_client_that_reads_nothing_back_is_looked_at_now_and_then);
    RUN(an_unaskable_peer_is_sent_copies_only);
    RUN(a_slow_reader_is_waited_for_and_its_next_requests_answered);
    return 0;
}

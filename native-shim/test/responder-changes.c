/* The responder, of regions that change: nobody is answered by what is not there any more. */
#include "scene.h"

#include <sys/stat.h>

/* The next request is Node's, and what was published is so no more. */
static void expect_changed(const struct scene *scene, int guest, struct side *side) {
    char request[256];
    size_t length = write_range(request, 0, 10);
    uint64_t before = counted(scene->relay).fed[PR_FED_CHANGED];
    say(guest, request, length);
    if (side->id == 0)
        *side = expect_arrival(scene, PR_RETURN_FED, request, length);
    else
        expect_return(scene, side, PR_RETURN_FED, request, length);
    CHECK_EQUAL(counted(scene->relay).fed[PR_FED_CHANGED], before + 1);
    CHECK_EQUAL(counted(scene->relay).published, 0);
    node_answers(scene, side, guest);
}

static void a_region_that_is_closed_is_not_answered(void) {
    struct scene scene = scene_open();
    struct side side = {.id = 0};
    int guest = visit(&scene);
    get(&scene, guest, 0, 10);
    CHECK_EQUAL(pr_generation_close(scene.relay, scene.region.generation), 0);
    expect_changed(&scene, guest, &side);
    scene.region = region_open(scene.relay, scene.region.fd);
    finish(&scene, guest, &side);
}

/* The body that is out goes on: its references keep the closed region. */
static void one_that_is_closed_in_mid_answer_is_sent_to_its_end(void) {
    EACH_ENGINE(engine) {
        struct scene scene = slow_scene(engine);
        struct side side = {.id = 0};
        int guest = begin_slow_answer(&scene);
        CHECK_EQUAL(pr_generation_close(scene.relay, scene.region.generation), 0);
        read_rest(guest);
        expect_changed(&scene, guest, &side);
        scene.region = region_open(scene.relay, scene.region.fd);
        finish(&scene, guest, &side);
    }
}

static void pages_that_a_writer_has_or_waits_for_are_fed(void) {
    char request[256];
    uint64_t lease;
    struct scene scene = scene_open();
    int guest = visit(&scene);
    struct side side = introduce(&scene, guest);
    CHECK_EQUAL(pr_lease(scene.relay, scene.region.generation, PAGE, PAGE, PR_NEEDS_DONE, false, &lease), 1);
    get(&scene, guest, 0, PAGE);
    size_t length = write_range(request, 1, PAGE);
    say(guest, request, length);
    expect_return(&scene, &side, PR_RETURN_FED, request, length);
    node_answers(&scene, &side, guest);
    CHECK_EQUAL(pr_lease_end(scene.relay, lease, false, NULL), 0);
    get(&scene, guest, 1, PAGE);
    check_quiet(&scene);

    uint64_t held = hold(scene.relay, &scene.region, PR_ENGINE_STREAM, 0, 10);
    get(&scene, guest, 0, 10); /* a reference is shared */
    CHECK_EQUAL(pr_lease(scene.relay, scene.region.generation, 0, PAGE, PR_NEEDS_DONE, true, &lease), 0);
    get(&scene, guest, PAGE, 10);
    length = write_range(request, 0, 10);
    say(guest, request, length);
    expect_return(&scene, &side, PR_RETURN_FED, request, length);
    CHECK_EQUAL(counted(scene.relay).fed[PR_FED_WRITER], 2);
    CHECK_EQUAL(counted(scene.relay).published, 1);
    CHECK_EQUAL(pr_lease_end(scene.relay, lease, false, NULL), 0);
    CHECK_EQUAL(pr_release(scene.relay, held, PR_OUTCOME_CANCELLED), 0);
    node_answers(&scene, &side, guest);
    get(&scene, guest, 0, 10);
    finish(&scene, guest, &side);
}

static bool was_pressed(const struct scene *scene) {
    pr_press(scene->relay, 0.05);
    struct pr_event event;
    return pr_events(scene->relay, &event, 1) == 1 && event.kind == PR_EVENT_GRANTED;
}

static void a_waiting_writer_breaks_off_an_answer_and_an_idle_client_that_does_not_read(void) {
    for (int in_mid_answer = 0; in_mid_answer < 2; in_mid_answer++) {
        uint64_t lease;
        struct scene scene = slow_scene(PR_ENGINE_SENDFILE);
        int guest = in_mid_answer ? begin_slow_answer(&scene) : visit(&scene);
        if (!in_mid_answer) ask_range(guest, LARGE - 10, 10);
        if (!in_mid_answer) wait_until(answers_so_far(&scene) == 1, 5000);
        CHECK_EQUAL(pr_lease(scene.relay, scene.region.generation, LARGE - 10, 10, PR_NEEDS_DONE, true, &lease), 0);
        if (in_mid_answer) { /* its last pages were never sent */
            wait_until(was_pressed(&scene), 8000);
            uint64_t sent = counted(scene.relay).sent_bytes[PR_ENGINE_SENDFILE];
            CHECK_EQUAL(read_to_end(guest, 1 << 20, 0, NULL), sent - (1 << 20));
        } else { /* what was sent can still be read */
            for (; counted(scene.relay).broken_off == 0; test_pause()) CHECK(!was_pressed(&scene));
            read_range(&scene, guest, LARGE - 10, 10);
            wait_until(was_pressed(&scene), 8000);
            expect_end(guest);
        }
        CHECK_EQUAL(pr_lease_end(scene.relay, lease, false, NULL), 0);
        close(guest);
        scene_close(&scene);
    }
}

/* A region in a file that has a name. */
struct named {
    struct scene scene;
    struct region memory; /* the scene's own, whose file has none */
    char path[64], second[80];
    int guest;
    struct side side;
};

static struct named named_scene(void) {
    struct named named = {.scene = scene_open(), .path = "/dev/shm/pagerelay-clients-XXXXXX"};
    named.memory = named.scene.region;
    int fd = (int)MUST(mkostemp(named.path, O_CLOEXEC));
    snprintf(named.second, sizeof named.second, "%s-second", named.path);
    file_fill(fd, SIZE, 0);
    named.scene.region = region_open(named.scene.relay, fd);
    strcpy(named.scene.name, named.path);
    publish(&named.scene, PR_ENGINE_SENDFILE);
    named.guest = visit(&named.scene);
    get(&named.scene, named.guest, 0, 10);
    return named;
}

/* It is seen when the lane looks, 20 ms after its last look: until then the answers are what was there. */
static void finish_named(struct named *named) {
    char request[256];
    size_t length = write_range(request, 0, 10);
    for (;;) {
        uint64_t before = answers_so_far(&named->scene);
        say(named->guest, request, length);
        while (answers_so_far(&named->scene) == before && counted(named->scene.relay).fed[PR_FED_CHANGED] == 0)
            test_pause();
        if (counted(named->scene.relay).fed[PR_FED_CHANGED] > 0) break;
        read_range(&named->scene, named->guest, 0, 10);
    }
    named->side = expect_arrival(&named->scene, PR_RETURN_FED, request, length);
    CHECK_EQUAL(counted(named->scene.relay).published, 0);
    node_answers(&named->scene, &named->side, named->guest);
    check_quiet(&named->scene);
    region_close(named->scene.relay, &named->scene.region);
    named->scene.region = named->memory;
    finish(&named->scene, named->guest, &named->side);
}

static void a_file_that_was_replaced_is_not_answered(void) {
    struct named named = named_scene();
    int fd = (int)MUST(open(named.second, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
    file_fill(fd, SIZE, 1);
    close(fd);
    MUST(rename(named.second, named.path));
    finish_named(&named);
    MUST(unlink(named.path));
}

static void nor_is_one_that_was_removed_touched_cut_or_linked(void) {
    struct timespec times[2] = {{.tv_sec = 1}, {.tv_sec = 1}};
    for (int how = 0; how < 4; how++) {
        struct named named = named_scene();
        if (how == 0) MUST(unlink(named.path));
        if (how == 1) MUST(futimens(named.scene.region.fd, times));
        if (how == 2) MUST(ftruncate(named.scene.region.fd, SIZE / 2));
        if (how == 3) MUST(link(named.path, named.second));
        finish_named(&named);
        if (how > 0) MUST(unlink(named.path));
        if (how == 3) MUST(unlink(named.second));
    }
}

int main(void) {
    RUN(a_region_that_is_closed_is_not_answered);
    RUN(one_that_is_closed_in_mid_answer_is_sent_to_its_end);
    RUN(pages_that_a_writer_has_or_waits_for_are_fed);
    RUN(a_waiting_writer_breaks_off_an_answer_and_an_idle_client_that_does_not_read);
    RUN(a_file_that_was_replaced_is_not_answered);
    RUN(nor_is_one_that_was_removed_touched_cut_or_linked);
    return 0;
}

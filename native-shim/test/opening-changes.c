/* Published regions whose files are changed, by this service and by others. */
#include "opening-scene.h"

static void what_is_changed_in_place_is_nodes(void) {
    struct pr_generation_info info;
    uint64_t open, lease, version, generation;
    begin();
    publish_ahead("/regions/a", "a");
    CHECK_EQUAL(pr_generation_open(scene.relay, tree, "a", UINT64_MAX, &open, &info), 0);
    CHECK_EQUAL(pr_lease(scene.relay, open, 0, BYTES, PR_NEEDS_DONE, true, &lease), 1);
    CHECK_EQUAL(pr_lease_begin(scene.relay, lease, 1, &version), 0);
    CHECK_EQUAL(look("/regions/a", &generation), -ESTALE);
    CHECK_EQUAL(pr_lease_end(scene.relay, lease, true, NULL), 0);
    CHECK_EQUAL(look("/regions/a", &generation), -ESTALE);
    let_go(open);
    end();
}

static void what_is_changed_before_node_knows_is_closed(void) {
    struct pr_generation_info info;
    uint64_t open, lease, version, generation;
    begin();
    publish_ahead("/regions/a", "a");
    CHECK_EQUAL(look("/regions/a", &generation), 0);
    CHECK_EQUAL(pr_generation_open(scene.relay, tree, "a", UINT64_MAX, &open, &info), 0);
    CHECK_EQUAL(pr_lease(scene.relay, open, 0, BYTES, PR_NEEDS_DONE, true, &lease), 1);
    CHECK_EQUAL(pr_lease_begin(scene.relay, lease, 1, &version), 0);
    CHECK_EQUAL(pr_lease_end(scene.relay, lease, true, NULL), 0);
    CHECK_EQUAL(take_over(), 0);
    CHECK(!is_open(generation) && is_open(open));
    let_go(open);
    next_is_opened();
    end();
}

/* The version goes with the last opening, and the file may be as it was seen: Node says what it changes. */
static void what_is_changed_is_not_opened(void) {
    uint64_t generation;
    begin();
    publish_ahead("/regions/a", "a");
    publish_ahead("/regions/b", "a");
    pr_changed(scene.relay, text_of("/regions/a"));
    pr_changed(scene.relay, text_of("/regions/none"));
    CHECK_EQUAL(look("/regions/a", &generation), -ENOENT);
    CHECK_EQUAL(look("/regions/b", &generation), 0);
    CHECK_EQUAL(take_over(), generation);
    let_go(generation);
    next_is_opened();
    end();
}

static void change_under_lease(uint64_t generation, uint64_t epoch) {
    uint64_t lease, version;
    CHECK_EQUAL(pr_lease(scene.relay, generation, 0, 10, PR_NEEDS_DONE, true, &lease), 1);
    CHECK_EQUAL(pr_lease_begin(scene.relay, lease, epoch, &version), 0);
    CHECK_EQUAL(pr_lease_end(scene.relay, lease, true, NULL), 0);
}

static bool is_tagged(const char *etag) {
    return pr_text_equal(found.etag, text_of(etag));
}

static void what_is_open_moves_with_the_version_and_is_not_opened_again(void) {
    uint64_t generation, again;
    begin();
    struct pr_publication given = ahead_of("/regions/a", "a");
    given.etag = text_of("\"a.b\"");
    CHECK_EQUAL(pr_publish(scene.relay, &given), 0);
    CHECK_EQUAL(look("/regions/a", &generation), 0);
    CHECK(is_tagged("\"a.b\"") && pr_text_equal(found.last_modified, text_of(date_a)));
    CHECK_EQUAL(take_over(), generation);
    for (unsigned version = 1; version < 20; version++) {
        char etag[32];
        change_under_lease(generation, 7);
        pr_changed(scene.relay, text_of("/regions/a"));
        CHECK_EQUAL(look("/regions/a", &again), 0);
        snprintf(etag, sizeof etag, "\"a.b.7.%u\"", version);
        CHECK(again == generation && is_tagged(etag));
        CHECK(found.epoch == 7 && found.version == version);
    }
    change_under_lease(generation, 8);
    CHECK_EQUAL(look("/regions/a", &again), 0);
    CHECK(is_tagged("\"a.b.8.1\""));
    let_go(generation);
    CHECK_EQUAL(look("/regions/a", &again), -ESTALE); /* its file is as it was seen, and its version is not */
    next_is_opened();
    end();
}

/* Node publishes it at a version that its tag does not end with: nothing can be made of that. */
static void a_tag_of_another_form_is_nodes_from_the_first_change_on(void) {
    struct pr_generation_info info;
    uint64_t open, generation;
    begin();
    CHECK_EQUAL(pr_generation_open(scene.relay, tree, "a", UINT64_MAX, &open, &info), 0);
    change_under_lease(open, 7);
    struct pr_publication given = publication_of(&scene, PR_ENGINE_COPY);
    given = (struct pr_publication){.path = given.path,
                                    .generation = open,
                                    .epoch = 7,
                                    .version = 1,
                                    .tree = tree,
                                    .name = TEXT("a"),
                                    .etag = TEXT("\"a\""),
                                    .engine = PR_ENGINE_COPY,
                                    .large = PR_ENGINE_COPY};
    CHECK_EQUAL(pr_publish(scene.relay, &given), 0);
    CHECK_EQUAL(look(path_a, &generation), 0);
    CHECK(is_tagged("\"a\""));
    change_under_lease(open, 7);
    CHECK_EQUAL(look(path_a, &generation), -ESTALE);
    let_go(open);
    end();
}

/* Another name of the file has a validator of its own, which only Node can tell. */
static void what_is_changed_by_another_name_is_nodes(void) {
    struct pr_generation_info info;
    uint64_t open, other, generation;
    char link_path[128];
    begin();
    snprintf(link_path, sizeof link_path, "%s", path_of("b"));
    MUST(link(path_of("a"), link_path));
    CHECK_EQUAL(pr_generation_open(scene.relay, tree, "a", UINT64_MAX, &open, &info), 0);
    CHECK_EQUAL(pr_generation_open(scene.relay, tree, "b", UINT64_MAX, &other, &info), 0);
    struct pr_publication given = publication_of(&scene, PR_ENGINE_COPY);
    given.generation = open;
    given.tree = tree;
    given.name = text_of("a");
    CHECK_EQUAL(pr_publish(scene.relay, &given), 0);
    CHECK_EQUAL(look(path_a, &generation), 0);
    change_under_lease(other, 7);
    CHECK_EQUAL(look(path_a, &generation), -ESTALE);
    given.epoch = 7;
    given.version = 1;
    CHECK_EQUAL(pr_publish(scene.relay, &given), -ESTALE); /* it is to be opened anew */
    change_under_lease(open, 7);
    CHECK_EQUAL(look(path_a, &generation), -ESTALE); /* it stays behind */
    let_go(open);
    let_go(other);
    end();
}

static void the_time_of_a_change_is_told_unless_it_is_ahead(void) {
    struct pr_generation_info info;
    uint64_t open, generation;
    char date[32];
    begin();
    CHECK_EQUAL(pr_generation_open(scene.relay, tree, "a", UINT64_MAX, &open, &info), 0);
    struct pr_publication given = publication_of(&scene, PR_ENGINE_COPY);
    given.generation = open;
    given.tree = tree;
    given.name = text_of("a");
    CHECK_EQUAL(pr_publish(scene.relay, &given), 0);
    for (int64_t seconds = 0; seconds < 3; seconds++) {
        struct timespec times[2] = {{.tv_nsec = UTIME_NOW}, {.tv_sec = 951782400 + seconds}};
        uint64_t lease, version;
        CHECK_EQUAL(pr_lease(scene.relay, open, 0, 10, PR_NEEDS_DONE, true, &lease), 1);
        CHECK_EQUAL(pr_lease_begin(scene.relay, lease, 7, &version), 0);
        MUST(utimensat(AT_FDCWD, path_of("a"), times, 0));
        CHECK_EQUAL(pr_lease_end(scene.relay, lease, true, NULL), 0);
        CHECK_EQUAL(look(path_a, &generation), 0);
        snprintf(date, sizeof date, "Tue, 29 Feb 2000 00:00:%02d GMT", (int)seconds);
        CHECK(pr_text_equal(found.last_modified, text_of(date)));
    }
    struct timespec ahead[2] = {{.tv_nsec = UTIME_NOW}, {.tv_sec = time(NULL) + 1000}};
    uint64_t lease, version;
    CHECK_EQUAL(pr_lease(scene.relay, open, 0, 10, PR_NEEDS_DONE, true, &lease), 1);
    CHECK_EQUAL(pr_lease_begin(scene.relay, lease, 7, &version), 0);
    MUST(utimensat(AT_FDCWD, path_of("a"), ahead, 0));
    CHECK_EQUAL(pr_lease_end(scene.relay, lease, true, NULL), 0);
    CHECK_EQUAL(look(path_a, &generation), -ESTALE);
    let_go(open);
    end();
}

static void what_is_being_changed_is_not_published(void) {
    struct pr_generation_info info;
    uint64_t open, lease, version, generation;
    begin();
    struct pr_publication given = ahead_of("/regions/a", "a");
    CHECK_EQUAL(pr_generation_open(scene.relay, tree, "a", UINT64_MAX, &open, &info), 0);
    CHECK_EQUAL(pr_lease(scene.relay, open, 0, BYTES, PR_NEEDS_DONE, true, &lease), 1);
    CHECK_EQUAL(pr_lease_begin(scene.relay, lease, 1, &version), 0);
    CHECK_EQUAL(pr_publish(scene.relay, &given), -ESTALE);
    CHECK_EQUAL(pr_lease_end(scene.relay, lease, true, NULL), 0);
    CHECK_EQUAL(pr_publish(scene.relay, &given), -ESTALE);
    given.epoch = 1;
    given.version = version;
    CHECK_EQUAL(pr_publish(scene.relay, &given), 0);
    CHECK_EQUAL(look("/regions/a", &generation), 0);
    CHECK_EQUAL(generation, open);
    let_go(open);
    end();
}

int main(void) {
    RUN(what_is_changed_in_place_is_nodes);
    RUN(what_is_changed_before_node_knows_is_closed);
    RUN(what_is_changed_is_not_opened);
    RUN(what_is_open_moves_with_the_version_and_is_not_opened_again);
    RUN(a_tag_of_another_form_is_nodes_from_the_first_change_on);
    RUN(what_is_changed_by_another_name_is_nodes);
    RUN(the_time_of_a_change_is_told_unless_it_is_ahead);
    RUN(what_is_being_changed_is_not_published);
    pr_faults_enable();
    return 0;
}

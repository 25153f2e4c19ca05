/* Regions that are published before anybody has asked for them, and opened by lanes. */
#include "opening-scene.h"

enum { LOOKERS = 3, MOST_OPENED = 1024, MOST_AHEAD = 100000 };

/* Puts another file in the place of this one. */
static void exchange(const char *name, unsigned revision) {
    char other[128];
    make("other", revision);
    snprintf(other, sizeof other, "%s", path_of("other"));
    MUST(rename(other, path_of(name)));
}

/* Lanes answer once Node has answered for something. */
static void let_lanes_answer(void) {
    struct pr_publication given = publication_of(&scene, PR_ENGINE_COPY);
    given.path = text_of("/regions/scene");
    CHECK_EQUAL(pr_publish(scene.relay, &given), 0);
}

static void a_lane_opens_what_is_asked_for_first(void) {
    begin();
    publish_ahead("/regions/a", "a");
    let_lanes_answer();
    int peer = visit(&scene);
    for (int time = 0; time < 2; time++) {
        ask_range(peer, 100, 50);
        read_begin_of(peer, (struct begin){.status = 206, .offset = 100, .length = 50}, BYTES, scene.keep_alive);
        read_body(peer, 100, 50, 1);
        next_is_opened();
        struct pr_opened opened;
        CHECK_EQUAL(pr_take_opened(scene.relay, &opened), 0);
        CHECK_EQUAL(strcmp(opened.published->is.name.at, "a"), 0);
        CHECK_EQUAL(opened.info.size, BYTES);
        CHECK_EQUAL(opened.info.backing.backing, PR_BACKING_TMPFS);
        pr_opened_give(scene.relay, &opened);
        CHECK_EQUAL(take_over(), 0);
        ask_range(peer, 0, 10);
        read_begin_of(peer, (struct begin){.status = 206, .offset = 0, .length = 10}, BYTES, scene.keep_alive);
        read_body(peer, 0, 10, 1);
        CHECK(no_event(scene.relay));
        let_go(opened.generation); /* and it is opened again */
    }
    close(peer);
    end();
}

static void nothing_is_answered_before_node_has_answered(void) {
    uint64_t generation;
    begin();
    publish_ahead("/regions/a", "a");
    CHECK(scene.relay->http->suspended);
    let_lanes_answer();
    CHECK(!scene.relay->http->suspended);
    pr_suspend(scene.relay);
    publish_ahead("/regions/b", "a");
    CHECK(scene.relay->http->suspended);
    let_lanes_answer();
    pr_withdraw(scene.relay);
    CHECK(scene.relay->http->suspended);
    CHECK_EQUAL(look("/regions/a", &generation), -ENOENT);
    end();
}

static void write_to(const char *name) {
    int fd = (int)MUST(open(path_of(name), O_WRONLY | O_CLOEXEC));
    struct stat before, now;
    MUST(fstat(fd, &before));
    do { /* before Linux 6.13 ctime moves with the clock's tick */
        MUST(pwrite(fd, "x", 1, 0));
        MUST(fstat(fd, &now));
    } while (before.st_ctim.tv_sec == now.st_ctim.tv_sec && before.st_ctim.tv_nsec == now.st_ctim.tv_nsec);
    close(fd);
}

static void cut(const char *name) {
    MUST(truncate(path_of(name), BYTES - 1));
}

static void replace(const char *name) {
    exchange(name, 2);
}

static void remove_it(const char *name) {
    MUST(unlink(path_of(name)));
}

static void put_a_folder_there(const char *name) {
    remove_it(name);
    MUST(mkdir(path_of(name), 0700));
}

static void put_a_fifo_there(const char *name) {
    remove_it(name);
    MUST(mkfifo(path_of(name), 0600));
}

static void lead_out_of_the_tree(const char *name) {
    remove_it(name);
    MUST(symlink("/etc/hostname", path_of(name)));
}

static void a_file_that_is_not_as_it_was_seen_is_nodes(void) {
    static void (*const changes[])(const char *) = {
        write_to, cut, replace, remove_it, put_a_folder_there, put_a_fifo_there, lead_out_of_the_tree};
    for (size_t each = 0; each < sizeof changes / sizeof *changes; each++) {
        uint64_t generation;
        begin();
        publish_ahead("/regions/a", "a");
        changes[each]("a");
        size_t descriptors = test_descriptors();
        CHECK_EQUAL(look("/regions/a", &generation), -ESTALE);
        CHECK_EQUAL(test_descriptors(), descriptors);
        CHECK(no_event(scene.relay));
        CHECK_EQUAL(take_over(), 0);
        end();
    }
}

static void what_is_open_by_its_name_is_not_opened_again(void) {
    struct pr_generation_info info;
    uint64_t open, other, generation;
    begin();
    publish_ahead("/regions/a", "a");
    CHECK_EQUAL(pr_generation_open(scene.relay, tree, "./a", UINT64_MAX, &other, &info), 0);
    CHECK_EQUAL(pr_generation_open(scene.relay, tree, "a", UINT64_MAX, &open, &info), 0);
    CHECK_EQUAL(look("/regions/a", &generation), 0);
    CHECK_EQUAL(generation, open);
    CHECK(no_event(scene.relay));
    let_go(open);
    CHECK_EQUAL(look("/regions/a", &generation), 0);
    CHECK(generation != open && generation != other); /* by which Node would tell another name */
    CHECK_EQUAL(take_over(), generation);
    let_go(generation);
    let_go(other);
    next_is_opened();
    end();
}

static void two_spellings_share_one_opening(void) {
    uint64_t one, other;
    begin();
    publish_ahead("/regions/a", "a");
    publish_ahead("/regions/%61", "a");
    CHECK_EQUAL(look("/regions/a", &one), 0);
    CHECK_EQUAL(look("/regions/%61", &other), 0);
    CHECK_EQUAL(one, other);
    CHECK_EQUAL(take_over(), one);
    CHECK_EQUAL(take_over(), 0);
    let_go(one);
    next_is_opened();
    end();
}

static void what_was_opened_is_closed_with_its_region(void) {
    uint64_t generation;
    begin();
    size_t descriptors = test_descriptors();
    publish_ahead("/regions/a", "a");
    CHECK_EQUAL(look("/regions/a", &generation), 0);
    CHECK(is_open(generation));
    pr_withdraw(scene.relay);
    CHECK(!is_open(generation));
    CHECK_EQUAL(test_descriptors(), descriptors);
    CHECK_EQUAL(take_over(), 0);
    publish_ahead("/regions/a", "a");
    CHECK_EQUAL(look("/regions/a", &generation), 0);
    CHECK_EQUAL(take_over(), generation);
    pr_withdraw(scene.relay);
    CHECK(is_open(generation)); /* Node's */
    let_go(generation);
    next_is_opened();
    next_is_opened();
    end();
}

static void nothing_that_is_open_gives_way(void) {
    struct pr_generation_info info;
    uint64_t open, generation;
    begin();
    CHECK_EQUAL(pr_generation_open(scene.relay, tree, "a", UINT64_MAX, &open, &info), 0);
    struct pr_publication given = ahead_of("/regions/a", "a");
    given.generation = open;
    CHECK_EQUAL(pr_publish(scene.relay, &given), 0);
    publish_ahead("/regions/a", "a");
    CHECK_EQUAL(look("/regions/a", &generation), 0);
    CHECK_EQUAL(generation, open);
    let_go(open);
    CHECK_EQUAL(look("/regions/a", &generation), 0); /* but can be opened from now on */
    CHECK_EQUAL(take_over(), generation);
    CHECK_EQUAL(pr_publish(scene.relay, &given), -ESTALE);
    given.generation = generation;
    CHECK_EQUAL(pr_publish(scene.relay, &given), 0); /* Node has answered for it */
    let_go(generation);
    CHECK_EQUAL(look("/regions/a", &generation), 0);
    CHECK_EQUAL(take_over(), generation);
    given.generation = generation;
    given.etag = text_of("\"b\"");
    CHECK_EQUAL(pr_publish(scene.relay, &given), 0); /* and tells otherwise of it */
    let_go(generation);
    CHECK_EQUAL(look("/regions/a", &generation), -ESTALE);
    next_is_opened();
    next_is_opened();
    end();
}

static void without_descriptors_it_stays_published(void) {
    static const int shortages[] = {EMFILE, ENFILE};
    uint64_t generation;
    begin();
    publish_ahead("/regions/a", "a");
    for (int each = 0; each < 2; each++) {
        pr_fault_set(PR_CALL_OPEN, shortages[each], 0, 1);
        CHECK_EQUAL(look("/regions/a", &generation), -shortages[each]);
    }
    pr_fault_set(PR_CALL_ALLOCATE, ENOMEM, 0, 1);
    CHECK_EQUAL(look("/regions/a", &generation), -ENOMEM);
    CHECK_EQUAL(look("/regions/a", &generation), 0);
    CHECK_EQUAL(take_over(), generation);
    let_go(generation);
    next_is_opened();
    end();
}

static void lanes_open_no_more_than_node_takes_over(void) {
    uint64_t generation;
    char name[32], path[64];
    begin();
    for (unsigned number = 0; number <= MOST_OPENED; number++) {
        snprintf(name, sizeof name, "f%u", number);
        snprintf(path, sizeof path, "/regions/%s", name);
        make(name, 1);
        publish_ahead(path, name);
        CHECK_EQUAL(look(path, &generation), number < MOST_OPENED ? 0 : -EMFILE);
    }
    next_is_opened(); /* once for all */
    CHECK(no_event(scene.relay));
    for (unsigned number = 0; number < MOST_OPENED; number++) {
        generation = take_over();
        CHECK(generation);
        let_go(generation);
    }
    CHECK_EQUAL(take_over(), 0);
    CHECK_EQUAL(look(path, &generation), 0);
    CHECK_EQUAL(take_over(), generation);
    let_go(generation);
    next_is_opened();
    end();
}

static void so_many_are_published_ahead(void) {
    char path[64];
    begin();
    struct pr_publication given = ahead_of(path, "a");
    size_t allocated = pr_allocated_bytes();
    for (unsigned number = 0; number < MOST_AHEAD; number++) {
        snprintf(path, sizeof path, "/regions/%u/a", number);
        given.path = text_of(path);
        CHECK_EQUAL(pr_publish(scene.relay, &given), 0);
    }
    CHECK(pr_allocated_bytes() - allocated < (size_t)MOST_AHEAD * 512);
    snprintf(path, sizeof path, "/regions/one/more/a");
    given.path = text_of(path);
    CHECK_EQUAL(pr_publish(scene.relay, &given), -ENOSPC);
    snprintf(path, sizeof path, "/regions/0/a");
    given.path = text_of(path);
    CHECK_EQUAL(pr_publish(scene.relay, &given), 0);
    let_lanes_answer(); /* what was asked for has room */
    CHECK_EQUAL(counted(scene.relay).published, MOST_AHEAD + 1);
    end();
}

static void what_nobody_could_open_is_refused(void) {
    begin();
    struct pr_publication given = ahead_of("/regions/a", "a");
    given.tree = 0;
    CHECK_EQUAL(pr_publish(scene.relay, &given), -EINVAL);
    given = ahead_of("/regions/a", "a");
    given.file.size = 0;
    CHECK_EQUAL(pr_publish(scene.relay, &given), -EINVAL);
    end();
}

/* Many at once, for ThreadSanitizer: lanes look, hold and let go while Node publishes, withdraws, takes over and
 * closes. */

static atomic_bool over;
static atomic_uint looked, opened_anew;

static void hold_for_a_moment(const struct pr_published *published, uint64_t generation) {
    struct pr_segment extent = {.offset = 0, .length = 10};
    struct pr_transmission *transmission = pr_hold_new(PR_ENGINE_STREAM, &extent, 1);
    CHECK(transmission);
    struct pr_part *lane = &scene.relay->parts[1];
    pr_lock_part(lane);
    int result = pr_hold_take(lane, generation, published->is.epoch, published->is.version, transmission);
    if (result == 0) pr_hold_drop(transmission, pr_now());
    pr_unlock_part(lane);
    if (result < 0) pr_free(transmission);
}

static void *look_again_and_again(void *argument) {
    (void)argument;
    while (!atomic_load(&over)) {
        uint64_t generation;
        bool is_current;
        struct pr_published *published = find("/regions/a", &generation, &is_current);
        if (!published) continue;
        bool was_open = generation != 0;
        if (is_current && pr_published_look(pr_node_part(scene.relay), published, &generation, pr_now()) == 0) {
            atomic_fetch_add(&looked, 1);
            if (!was_open) atomic_fetch_add(&opened_anew, 1);
            hold_for_a_moment(published, generation);
        }
        give(published);
    }
    return NULL;
}

static void take_all(uint64_t *mine) {
    for (uint64_t taken = take_over(); taken; taken = take_over()) {
        if (*mine) let_go(*mine);
        *mine = taken;
    }
}

static void lanes_open_while_node_does_all_it_can(void) {
    pthread_t lookers[LOOKERS];
    uint64_t random = test_seed(), mine = 0;
    begin();
    for (int each = 0; each < LOOKERS; each++) MUST(-pthread_create(&lookers[each], NULL, look_again_and_again, NULL));
    for (uint64_t until = pr_now() + 2000000000u; pr_now() < until;) {
        uint64_t what = test_below(&random, 100);
        struct pr_event event;
        while (pr_events(scene.relay, &event, 1) == 1) CHECK_EQUAL(event.kind, PR_EVENT_OPENED);
        if (what < 5) pr_withdraw(scene.relay);
        if (what >= 5 && what < 10) exchange("a", (unsigned)what);
        if (what >= 10 && what < 50) publish_ahead("/regions/a", "a");
        if (what >= 50 && what < 80) take_all(&mine);
        if (what >= 80 && what < 95 && mine) {
            let_go(mine);
            mine = 0;
        }
        if (what >= 95) test_pause();
    }
    atomic_store(&over, true);
    for (int each = 0; each < LOOKERS; each++) MUST(-pthread_join(lookers[each], NULL));
    take_all(&mine);
    if (mine) let_go(mine);
    struct pr_event event;
    while (pr_events(scene.relay, &event, 1) == 1) continue;
    printf("  %u looks, %u opened\n", atomic_load(&looked), atomic_load(&opened_anew));
    CHECK(atomic_load(&looked) > 100 && atomic_load(&opened_anew) > 10);
    end();
}

int main(void) {
    RUN(a_lane_opens_what_is_asked_for_first);
    RUN(nothing_is_answered_before_node_has_answered);
    RUN(a_file_that_is_not_as_it_was_seen_is_nodes);
    RUN(what_is_open_by_its_name_is_not_opened_again);
    RUN(two_spellings_share_one_opening);
    RUN(what_was_opened_is_closed_with_its_region);
    RUN(nothing_that_is_open_gives_way);
    RUN(lanes_open_no_more_than_node_takes_over);
    RUN(so_many_are_published_ahead);
    RUN(what_nobody_could_open_is_refused);
    RUN(lanes_open_while_node_does_all_it_can);
    pr_faults_enable();
    RUN(without_descriptors_it_stays_published);
    return 0;
}

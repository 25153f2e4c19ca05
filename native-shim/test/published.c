/* The table of published regions, and the hosts and readers that Node has allowed. */
#include "test.h"

#include <unistd.h>

#include "http/known.h"
#include "http/published.h"
#include "http/template.h"

enum { SIZE = 64 << 10, LIMIT = 1 << 17 };

struct scene {
    struct pr_relay *relay;
    struct region region;
};

static struct scene scene_open(void) {
    struct scene scene = {.relay = relay_start(options_with(1))};
    scene.region = region_create(scene.relay, SIZE);
    return scene;
}

static void scene_close(struct scene *scene) {
    region_close(scene->relay, &scene->region);
    pr_relay_destroy(scene->relay);
}

static struct pr_text text_of(const char *string) {
    return (struct pr_text){.at = string, .length = strlen(string)};
}

static struct pr_publication publication(const struct scene *scene, const char *path) {
    return (struct pr_publication){
        .path = text_of(path),
        .generation = scene->region.generation,
        .name = text_of("/proc/self/fd/0"),
        .etag = text_of("\"a\""),
        .fields = text_of("accept-ranges: bytes\r\n"),
        .engine = PR_ENGINE_SENDFILE,
        .large = PR_ENGINE_SPLICE,
    };
}

static void publish(const struct scene *scene, const char *path, const char *etag) {
    struct pr_publication given = publication(scene, path);
    given.etag = text_of(etag);
    CHECK_EQUAL(pr_publish(scene->relay, &given), 0);
}

static struct pr_published *find(const struct scene *scene, const char *path) {
    pr_lock(scene->relay);
    struct pr_published *published = pr_published_find(scene->relay, text_of(path));
    pr_unlock(scene->relay);
    return published;
}

/* An answer of the lane that is under way. */
static void answer_by(const struct scene *scene, struct pr_responder *answer, const char *path) {
    struct pr_lane *lane = &scene->relay->lanes->list[0];
    pr_list_init(&answer->waiting);
    pr_lock_part(lane->poller.part);
    answer->published = pr_published_find(scene->relay, text_of(path));
    pr_list_append(&lane->http->answering, &answer->waiting);
    pr_unlock_part(lane->poller.part);
}

static void end_answer(const struct scene *scene, struct pr_responder *answer) {
    struct pr_lane *lane = &scene->relay->lanes->list[0];
    pr_lock_part(lane->poller.part);
    answer->published = NULL;
    pr_list_remove(&answer->waiting);
    pr_unlock_part(lane->poller.part);
}

static void withdraw(const struct scene *scene, struct pr_published *published) {
    pr_lock(scene->relay);
    pr_published_withdraw(scene->relay, published);
    pr_unlock(scene->relay);
}

static bool is_published(const struct scene *scene, const char *path) {
    return find(scene, path) != NULL;
}

static bool says(struct pr_text text, const char *expected) {
    return pr_text_equal(text, text_of(expected));
}

static void a_region_is_found_by_its_exact_path(void) {
    struct scene scene = scene_open();
    CHECK(!is_published(&scene, "/regions/a"));
    publish(&scene, "/regions/a", "\"1\"");
    static const char *const others[] = {"/regions/", "/regions/A", "/regions/a?", "/regions/%61", "/regions/ab", "a",
                                         ""};
    for (size_t each = 0; each < sizeof others / sizeof *others; each++) CHECK(!is_published(&scene, others[each]));
    CHECK(is_published(&scene, "/regions/a"));
    CHECK_EQUAL(counted(scene.relay).published, 1);
    scene_close(&scene);
}

static void its_strings_are_copies(void) {
    struct scene scene = scene_open();
    char path[] = "/regions/a", etag[] = "\"1\"", date[] = "a date", fields[] = "f\r\n", type[] = "t\r\n",
         others[] = "o\r\n", name[] = "/tmp/a", origin[] = "v\r\n";
    struct pr_publication given = publication(&scene, path);
    given.etag = text_of(etag);
    given.last_modified = text_of(date);
    given.fields = text_of(fields);
    given.content_type = text_of(type);
    given.others = text_of(others);
    given.origin_fields = text_of(origin);
    given.name = text_of(name);
    CHECK_EQUAL(pr_publish(scene.relay, &given), 0);
    char *const all[] = {path, etag, date, fields, type, others, name, origin};
    for (size_t each = 0; each < sizeof all / sizeof *all; each++) memset(all[each], 'x', strlen(all[each]));
    struct pr_published *published = find(&scene, "/regions/a");
    CHECK(published);
    CHECK_EQUAL(published->size, SIZE);
    CHECK(says(published->is.path, "/regions/a") && says(published->is.etag, "\"1\""));
    CHECK(says(published->is.last_modified, "a date") && says(published->template->fields, "f\r\n"));
    CHECK(says(published->template->content_type, "t\r\n") && says(published->template->others, "o\r\n"));
    CHECK(says(published->template->origin_fields, "v\r\n"));
    CHECK(strcmp(published->is.name.at, "/tmp/a") == 0); /* for a system call */
    scene_close(&scene);
}

static void one_of_the_same_path_takes_its_place(void) {
    struct scene scene = scene_open();
    struct pr_responder under_way;
    publish(&scene, "/regions/a", "\"1\"");
    answer_by(&scene, &under_way, "/regions/a");
    publish(&scene, "/regions/a", "\"2\"");
    CHECK_EQUAL(counted(scene.relay).published, 1);
    CHECK(says(find(&scene, "/regions/a")->is.etag, "\"2\""));
    CHECK(says(under_way.published->is.etag, "\"1\"")); /* which goes on by it */
    withdraw(&scene, under_way.published);              /* which is not in the table any more */
    CHECK(is_published(&scene, "/regions/a"));
    end_answer(&scene, &under_way);
    scene_close(&scene);
}

static void one_is_freed_when_no_answer_goes_on_by_it(void) {
    struct scene scene = scene_open();
    struct pr_responder first, second;
    publish(&scene, "/regions/b", "\"1\""); /* the table itself */
    size_t allocated = pr_allocated_bytes();
    publish(&scene, "/regions/a", "\"1\"");
    answer_by(&scene, &first, "/regions/a");
    answer_by(&scene, &second, "/regions/a");
    CHECK(first.published && first.published == second.published);
    withdraw(&scene, first.published);
    withdraw(&scene, first.published);
    CHECK(!is_published(&scene, "/regions/a"));
    CHECK_EQUAL(counted(scene.relay).published, 1);
    end_answer(&scene, &first);
    pr_withdraw(scene.relay); /* the other as well, and looks which are in use */
    CHECK(pr_allocated_bytes() > 0 && says(second.published->is.path, "/regions/a"));
    end_answer(&scene, &second);
    pr_withdraw(scene.relay);
    CHECK(pr_allocated_bytes() < allocated);
    scene_close(&scene);
}

static void what_is_published_anew_again_and_again_does_not_pile_up(void) {
    struct scene scene = scene_open();
    struct pr_responder under_way;
    publish(&scene, "/regions/a", "\"1\"");
    answer_by(&scene, &under_way, "/regions/a");
    size_t allocated = pr_allocated_bytes();
    for (unsigned time = 0; time < 1000; time++) publish(&scene, "/regions/a", "\"2\"");
    CHECK(pr_allocated_bytes() < allocated + (32 << 10));
    CHECK(says(under_way.published->is.etag, "\"1\""));
    end_answer(&scene, &under_way);
    scene_close(&scene);
}

static void all_are_withdrawn_at_once(void) {
    struct scene scene = scene_open();
    struct pr_responder under_way;
    publish(&scene, "/regions/a", "\"1\"");
    publish(&scene, "/regions/b", "\"1\"");
    answer_by(&scene, &under_way, "/regions/a");
    pr_withdraw(scene.relay);
    CHECK_EQUAL(counted(scene.relay).published, 0);
    CHECK(!is_published(&scene, "/regions/a") && !is_published(&scene, "/regions/b"));
    CHECK(says(under_way.published->is.path, "/regions/a"));
    end_answer(&scene, &under_way);
    pr_withdraw(scene.relay);
    publish(&scene, "/regions/a", "\"2\"");
    CHECK(is_published(&scene, "/regions/a"));
    scene_close(&scene);
}

static void number_path(char *into, unsigned number) {
    sprintf(into, "/regions/%u", number);
}

static void thousands_are_found_while_the_table_grows(void) {
    enum { COUNT = 5000 };
    struct scene scene = scene_open();
    char path[64];
    struct pr_published *early = NULL;
    for (unsigned number = 0; number < COUNT; number++) {
        number_path(path, number);
        publish(&scene, path, "\"1\"");
        if (number == 10) early = find(&scene, path);
    }
    CHECK_EQUAL(counted(scene.relay).published, COUNT);
    withdraw(&scene, early); /* it was moved to other buckets since */
    CHECK_EQUAL(counted(scene.relay).published, COUNT - 1);
    for (unsigned number = 0; number < COUNT; number++) {
        number_path(path, number);
        CHECK_EQUAL(is_published(&scene, path), number != 10);
    }
    scene_close(&scene);
}

static void beyond_the_limit_each_new_one_takes_the_place_of_another(void) {
    struct scene scene = scene_open();
    char path[64];
    for (unsigned number = 0; number < LIMIT; number++) {
        number_path(path, number);
        publish(&scene, path, "\"1\"");
    }
    CHECK_EQUAL(counted(scene.relay).published, LIMIT);
    publish(&scene, path, "\"2\""); /* in place of itself */
    CHECK_EQUAL(counted(scene.relay).published, LIMIT);
    for (unsigned more = 0; more < 1000; more++) {
        char other[64];
        sprintf(other, "/regions/more-%u", more);
        publish(&scene, other, "\"1\"");
        CHECK_EQUAL(counted(scene.relay).published, LIMIT);
        CHECK(is_published(&scene, other));
    }
    unsigned left = 0;
    for (unsigned number = 0; number < LIMIT; number++) {
        number_path(path, number);
        left += is_published(&scene, path);
    }
    CHECK(left >= LIMIT - 1000 && left < LIMIT);
    scene_close(&scene);
}

static void what_no_lane_can_send_is_refused(void) {
    struct scene scene = scene_open();
    static char longest[PR_LONGEST_FIELDS + 1];
    memset(longest, 'a', sizeof longest);
    struct pr_publication given = publication(&scene, "/regions/a"), wrong = given;
    static const enum pr_engine others[] = {PR_ENGINE_STREAM, PR_ENGINE_ZEROCOPY};
    for (int each = 0; each < 2; each++) {
        wrong = given, wrong.engine = others[each];
        CHECK_EQUAL(pr_publish(scene.relay, &wrong), -EINVAL);
        wrong = given, wrong.large = others[each];
        CHECK_EQUAL(pr_publish(scene.relay, &wrong), -EINVAL);
    }
    wrong = given, wrong.path.length = 0;
    CHECK_EQUAL(pr_publish(scene.relay, &wrong), -EINVAL);
    wrong = given, wrong.name.length = 0;
    CHECK_EQUAL(pr_publish(scene.relay, &wrong), -EINVAL);
    wrong = given, wrong.etag.length = 0;
    CHECK_EQUAL(pr_publish(scene.relay, &wrong), -EINVAL);
    wrong = given, wrong.fields = (struct pr_text){.at = longest, .length = sizeof longest};
    CHECK_EQUAL(pr_publish(scene.relay, &wrong), -EINVAL);
    wrong.fields.length -= 1 + 2 * wrong.etag.length; /* it stands in the link, too */
    CHECK_EQUAL(pr_publish(scene.relay, &wrong), 0);
    struct pr_publication longer = wrong;
    longer.others = text_of("a");
    CHECK_EQUAL(pr_publish(scene.relay, &longer), -EINVAL);
    wrong.origin_fields = text_of("a");
    CHECK_EQUAL(pr_publish(scene.relay, &wrong), -EINVAL);
    scene_close(&scene);
}

static void texts_that_are_not_there_are_empty(void) {
    struct scene scene = scene_open();
    struct pr_publication given = publication(&scene, "/regions/a");
    given.last_modified = given.fields = given.content_type = given.others = (struct pr_text){0};
    CHECK_EQUAL(pr_publish(scene.relay, &given), 0);
    struct pr_published *published = find(&scene, "/regions/a");
    CHECK_EQUAL(published->is.last_modified.length, 0);
    struct pr_responding plain = {.keep_alive = 5, .head = 5};
    CHECK_EQUAL(pr_respond(scene.relay, &plain), 0);
    scene_close(&scene);
}

static void a_generation_that_is_closed_is_not_published(void) {
    struct scene scene = scene_open();
    struct pr_publication given = publication(&scene, "/regions/a"), other = given;
    other.generation++;
    CHECK_EQUAL(pr_publish(scene.relay, &other), -ESTALE);
    publish(&scene, "/regions/b", "\"1\"");
    struct region again = region_open(scene.relay, scene.region.fd);
    uint64_t held = hold(scene.relay, &scene.region, PR_ENGINE_STREAM, 0, 10);
    CHECK_EQUAL(pr_generation_close(scene.relay, scene.region.generation), 0);
    CHECK_EQUAL(pr_publish(scene.relay, &given), -ESTALE);
    CHECK(is_published(&scene, "/regions/b")); /* a request for it finds out */
    CHECK_EQUAL(pr_release(scene.relay, held, PR_OUTCOME_CANCELLED), 0);
    scene.region = again;
    scene_close(&scene);
}

static void nor_is_an_empty_region(void) {
    struct scene scene = scene_open();
    struct region empty = region_create(scene.relay, 0);
    struct pr_publication given = publication(&scene, "/regions/a");
    given.generation = empty.generation;
    CHECK_EQUAL(pr_publish(scene.relay, &given), -ESTALE);
    region_close(scene.relay, &empty);
    scene_close(&scene);
}

static bool knows_by(const struct scene *scene, bool any_host, const char *host) {
    pr_lock(scene->relay);
    bool known = pr_host_is_known(scene->relay, any_host, text_of(host));
    pr_unlock(scene->relay);
    return known;
}

static bool knows(const struct scene *scene, const char *host) {
    return knows_by(scene, false, host);
}

static bool may_read(const struct scene *scene, const char *authorization) {
    pr_lock(scene->relay);
    bool may = pr_may_read(scene->relay, authorization ? text_of(authorization) : (struct pr_text){0});
    pr_unlock(scene->relay);
    return may;
}

static void hosts_are_known_byte_for_byte(void) {
    struct scene scene = scene_open();
    CHECK(!knows(&scene, "a") && !knows(&scene, ""));
    CHECK_EQUAL(pr_allow_host(scene.relay, false, text_of("a.example:80")), 0);
    CHECK_EQUAL(pr_allow_host(scene.relay, false, text_of("b")), 0);
    CHECK(knows(&scene, "a.example:80") && knows(&scene, "b"));
    CHECK(!knows(&scene, "A.example:80") && !knows(&scene, "a.example") && !knows(&scene, "a.example:8080"));
    CHECK(!knows(&scene, ""));
    CHECK_EQUAL(pr_allow_host(scene.relay, false, text_of("")), 0);
    CHECK(knows(&scene, ""));
    pr_withdraw(scene.relay);
    CHECK(knows(&scene, "b"));
    pr_forget_allowed(scene.relay);
    CHECK(!knows(&scene, "a.example:80") && !knows(&scene, "b") && !knows(&scene, ""));
    scene_close(&scene);
}

static void everybody_may_read_until_it_is_guarded(void) {
    struct scene scene = scene_open();
    struct pr_responding guarded = {.guarded = true, .keep_alive = 5, .head = 5};
    CHECK(may_read(&scene, NULL) && may_read(&scene, "Bearer x"));
    CHECK_EQUAL(pr_allow_reader(scene.relay, text_of("Bearer x")), 0);
    CHECK_EQUAL(pr_respond(scene.relay, &guarded), 0);
    CHECK(may_read(&scene, "Bearer x"));
    CHECK(!may_read(&scene, NULL) && !may_read(&scene, "") && !may_read(&scene, "Bearer y"));
    CHECK(!may_read(&scene, "Bearer ") && !may_read(&scene, "Bearer xx") && !may_read(&scene, "bearer x"));
    CHECK_EQUAL(pr_allow_host(scene.relay, false, text_of("Bearer y")), 0);
    CHECK(!may_read(&scene, "Bearer y")); /* a host is no reader */
    pr_withdraw(scene.relay);
    CHECK(may_read(&scene, "Bearer x"));
    pr_forget_allowed(scene.relay);
    CHECK(!may_read(&scene, "Bearer x")); /* who was revoked */
    scene_close(&scene);
}

static void a_host_is_known_by_the_doors_that_it_was_judged_for(void) {
    struct scene scene = scene_open();
    CHECK_EQUAL(pr_allow_host(scene.relay, false, text_of("a")), 0);
    CHECK_EQUAL(pr_allow_host(scene.relay, true, text_of("b")), 0);
    CHECK(knows_by(&scene, false, "a") && !knows_by(&scene, true, "a"));
    CHECK(knows_by(&scene, true, "b") && !knows_by(&scene, false, "b"));
    pr_forget_allowed(scene.relay);
    CHECK(!knows_by(&scene, false, "a") && !knows_by(&scene, true, "b"));
    scene_close(&scene);
}

/* Whoever asks by ever new hosts may not fill the memory, nor make each request slower. */
static void so_many_are_known_at_most(void) {
    enum { MOST = 1024 };
    struct scene scene = scene_open();
    char host[32];
    for (unsigned number = 0; number < MOST; number++) {
        sprintf(host, "host-%u", number);
        for (int twice = 0; twice < 2; twice++) CHECK_EQUAL(pr_allow_host(scene.relay, false, text_of(host)), 0);
    }
    size_t allocated = pr_allocated_bytes();
    CHECK(knows(&scene, "host-0") && knows(&scene, "host-1023"));
    CHECK_EQUAL(pr_allow_host(scene.relay, false, text_of("one more")), -ENOSPC);
    CHECK(!knows(&scene, "one more") && knows(&scene, "host-0"));
    CHECK_EQUAL(pr_allow_host(scene.relay, false, text_of("host-5")), 0); /* which is known */
    CHECK_EQUAL(pr_allow_reader(scene.relay, text_of("one more")), 0);
    pr_forget_allowed(scene.relay);
    CHECK(pr_allocated_bytes() < allocated);
    CHECK_EQUAL(pr_allow_host(scene.relay, false, text_of("one more")), 0);
    CHECK(knows(&scene, "one more"));
    scene_close(&scene);
}

static void without_memory_nothing_changes(void) {
    struct scene scene = scene_open();
    struct pr_publication given = publication(&scene, "/regions/a");
    for (unsigned place = 0; place < 3; place++) { /* the copy, its template, and the table's buckets */
        pr_fault_set(PR_CALL_ALLOCATE, ENOMEM, place, 1);
        CHECK_EQUAL(pr_publish(scene.relay, &given), -ENOMEM);
        CHECK(!is_published(&scene, "/regions/a"));
    }
    pr_fault_set(PR_CALL_ALLOCATE, ENOMEM, 0, 1);
    CHECK_EQUAL(pr_allow_host(scene.relay, false, text_of("a")), -ENOMEM);
    pr_fault_set(PR_CALL_ALLOCATE, ENOMEM, 0, 1);
    CHECK_EQUAL(pr_allow_reader(scene.relay, text_of("a")), -ENOMEM);
    pr_fault_set(PR_CALL_ALLOCATE, ENOMEM, 0, 1);
    struct pr_responding guarded = {.guarded = true};
    CHECK_EQUAL(pr_respond(scene.relay, &guarded), -ENOMEM);
    CHECK(may_read(&scene, NULL));
    CHECK(!knows(&scene, "a"));
    CHECK_EQUAL(pr_publish(scene.relay, &given), 0);
    CHECK(is_published(&scene, "/regions/a"));
    scene_close(&scene);
}

int main(void) {
    RUN(a_region_is_found_by_its_exact_path);
    RUN(its_strings_are_copies);
    RUN(one_of_the_same_path_takes_its_place);
    RUN(one_is_freed_when_no_answer_goes_on_by_it);
    RUN(what_is_published_anew_again_and_again_does_not_pile_up);
    RUN(all_are_withdrawn_at_once);
    RUN(thousands_are_found_while_the_table_grows);
    RUN(beyond_the_limit_each_new_one_takes_the_place_of_another);
    RUN(what_no_lane_can_send_is_refused);
    RUN(texts_that_are_not_there_are_empty);
    RUN(a_generation_that_is_closed_is_not_published);
    RUN(nor_is_an_empty_region);
    RUN(hosts_are_known_byte_for_byte);
    RUN(everybody_may_read_until_it_is_guarded);
    RUN(a_host_is_known_by_the_doors_that_it_was_judged_for);
    RUN(so_many_are_known_at_most);
    pr_faults_enable();
    RUN(without_memory_nothing_changes);
    return 0;
}

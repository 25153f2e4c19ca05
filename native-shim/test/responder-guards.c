/* The responder, of who may be answered, and at which version. */
#include "scene.h"

/* Guards. */

static void only_hosts_that_node_has_allowed_are_answered(void) {
    static const char *const heads[] = {"GET /regions/a HTTP/1.1\r\nHost: b\r\n\r\n",
                                        "GET /regions/a HTTP/1.1\r\nHost: A\r\n\r\n",
                                        "GET /regions/a HTTP/1.1\r\nHost:\r\n\r\n", "GET /regions/a HTTP/1.1\r\n\r\n",
                                        "GET /regions/a HTTP/1.0\r\nHost: b\r\nConnection: keep-alive\r\n\r\n"};
    struct scene scene = scene_open();
    for (size_t each = 0; each < sizeof heads / sizeof *heads; each++) {
        int guest = visit(&scene);
        get(&scene, guest, 0, 10);
        say(guest, heads[each], strlen(heads[each]));
        struct side side = expect_arrival(&scene, PR_RETURN_FED, heads[each], strlen(heads[each]));
        CHECK_EQUAL(counted(scene.relay).fed[PR_FED_GUARD], each + 1);
        node_answers(&scene, &side, guest);
        get(&scene, guest, 0, 10); /* one that was not allowed takes nobody's away */
        close(guest);
        expect_return(&scene, &side, PR_RETURN_CLOSED, NULL, 0);
        node_closes(&scene, &side);
    }
    CHECK_EQUAL(pr_allow_host(scene.relay, false, text_of("b")), 0);
    int guest = visit(&scene);
    say(guest, heads[0], strlen(heads[0]));
    read_whole(&scene, guest);
    close(guest);
    scene_close(&scene);
}

static void two_users_of_one_connection_are_two_users(void) {
    static const char other[] = "GET /regions/a HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer y\r\n\r\n";
    struct pr_responding guarded = patient();
    guarded.guarded = true;
    struct scene scene = scene_with(options_with(1), guarded, SIZE, 0);
    publish(&scene, PR_ENGINE_SENDFILE);
    CHECK_EQUAL(pr_allow_reader(scene.relay, text_of("Bearer x")), 0);
    int guest = visit(&scene);
    ask(guest, "Authorization: Bearer x\r\nRange: bytes=0-9\r\n");
    read_range(&scene, guest, 0, 10);
    SAY(guest, other);
    struct side side = expect_arrival(&scene, PR_RETURN_FED, other, sizeof other - 1);
    node_answers(&scene, &side, guest);
    SAY(guest, get_a);
    expect_return(&scene, &side, PR_RETURN_FED, get_a, sizeof get_a - 1);
    node_answers(&scene, &side, guest);
    ask(guest, "Authorization: Bearer x\r\nRange: bytes=0-9\r\n");
    read_range(&scene, guest, 0, 10);
    CHECK_EQUAL(counted(scene.relay).fed[PR_FED_GUARD], 2);
    pr_forget_allowed(scene.relay); /* a token is revoked: Node is asked for everybody's */
    CHECK_EQUAL(pr_allow_host(scene.relay, false, text_of("a")), 0);
    char request[256];
    size_t length = write_request(request, "Authorization: Bearer x\r\n");
    say(guest, request, length);
    expect_return(&scene, &side, PR_RETURN_FED, request, length);
    node_closes(&scene, &side);
    close(guest);
    scene_close(&scene);
}

static void what_is_suspended_is_answered_again_when_something_is_published(void) {
    struct scene scene = scene_open();
    int guest = visit(&scene);
    struct side side = introduce(&scene, guest);
    get(&scene, guest, 0, 10);
    pr_suspend(scene.relay);
    SAY(guest, get_a);
    expect_return(&scene, &side, PR_RETURN_FED, get_a, sizeof get_a - 1);
    CHECK_EQUAL(counted(scene.relay).fed[PR_FED_GUARD], 1);
    CHECK_EQUAL(counted(scene.relay).published, 1);
    node_answers(&scene, &side, guest);
    struct pr_publication other = publication_of(&scene, PR_ENGINE_COPY);
    other.path = text_of("/regions/c");
    CHECK_EQUAL(pr_publish(scene.relay, &other), 0);
    get(&scene, guest, 0, 10);
    node_closes(&scene, &side);
    close(guest);
    scene_close(&scene);
}

/* Between judging a request and taking its pages the lane looks at the path: then others move the version. */

static struct pr_sys real;
static struct scene *moved_scene;
static atomic_bool moves;

static void change_last_page(const struct scene *scene) {
    uint64_t lease, version, generation = scene->region.generation;
    CHECK_EQUAL(pr_lease(scene->relay, generation, SIZE - PAGE, PAGE, PR_NEEDS_DONE, true, &lease), 1);
    CHECK_EQUAL(pr_lease_begin(scene->relay, lease, 1, &version), 0);
    CHECK_EQUAL(pr_lease_end(scene->relay, lease, true, NULL), 0);
}

static int moving_statx(int fd, const char *path, int flags, unsigned mask, struct statx *status) {
    if (atomic_exchange(&moves, false)) change_last_page(moved_scene);
    return real.statx(fd, path, flags, mask, status);
}

static int moving_fstatat(int directory, const char *path, struct stat *status, int flags) {
    if (atomic_exchange(&moves, false)) change_last_page(moved_scene);
    return real.fstatat(directory, path, status, flags);
}

static void have_the_path_looked_at(const struct scene *scene) {
    pr_lock(scene->relay);
    pr_published_find(scene->relay, text_of(path_a))->looked_at = 0;
    pr_unlock(scene->relay);
}

static void expect_tag(int peer, const char *etag) {
    char head[1024] = "", line[64];
    for (size_t length = 0; length + 1 < sizeof head && !strstr(head, "\r\n\r\n"); length++)
        CHECK_EQUAL(MUST(recv(peer, head + length, 1, 0)), 1);
    snprintf(line, sizeof line, "\r\netag: %s\r\n", etag);
    if (!strstr(head, line)) FAIL("not %s in %s", etag, head);
}

static void what_is_judged_at_one_version_is_not_answered_at_another(void) {
    struct scene scene = scene_open();
    int guest = visit(&scene);
    struct side side = introduce(&scene, guest);
    get(&scene, guest, 0, 10);
    moved_scene = &scene;
    for (unsigned version = 1; version < 4; version++) {
        char request[256], etag[32];
        size_t length = write_range(request, 0, 10);
        have_the_path_looked_at(&scene);
        atomic_store(&moves, true);
        say(guest, request, length);
        expect_return(&scene, &side, PR_RETURN_FED, request, length);
        CHECK(!atomic_load(&moves));
        CHECK_EQUAL(counted(scene.relay).fed[PR_FED_CHANGED], version);
        CHECK_EQUAL(counted(scene.relay).published, 1); /* it is as good as before */
        node_answers(&scene, &side, guest);
        say(guest, request, length);
        snprintf(etag, sizeof etag, "\"a.1.%u\"", version);
        expect_tag(guest, etag);
        read_body(guest, 0, 10, 0);
    }
    node_closes(&scene, &side);
    close(guest);
    scene_close(&scene);
}

static void a_path_of_one_version_is_published_no_more_once_that_is_overwritten(void) {
    static const char versioned[] = "GET /regions/a?version=a HTTP/1.1\r\nHost: a\r\n\r\n";
    struct scene scene = scene_open();
    struct pr_publication given = publication_of(&scene, PR_ENGINE_SENDFILE);
    given.path = text_of("/regions/a?version=a");
    given.one_version = true;
    CHECK_EQUAL(pr_publish(scene.relay, &given), 0);
    int guest = visit(&scene);
    struct side side = introduce(&scene, guest);
    get(&scene, guest, 0, 10);
    change_last_page(&scene);
    CHECK_EQUAL(counted(scene.relay).published, 2);
    SAY(guest, versioned);
    expect_return(&scene, &side, PR_RETURN_FED, versioned, sizeof versioned - 1);
    CHECK_EQUAL(counted(scene.relay).fed[PR_FED_CHANGED], 1);
    CHECK_EQUAL(counted(scene.relay).published, 1);
    node_closes(&scene, &side);
    close(guest);
    scene_close(&scene);
}

static void pages_beside_a_lease_are_answered_and_those_under_it_are_nodes(void) {
    struct scene scene = scene_open();
    int guest = visit(&scene);
    struct side side = introduce(&scene, guest);
    uint64_t lease, version;
    CHECK_EQUAL(pr_lease(scene.relay, scene.region.generation, PAGE, PAGE, PR_NEEDS_DONE, true, &lease), 1);
    get(&scene, guest, 0, PAGE); /* nothing has begun */
    CHECK_EQUAL(pr_lease_begin(scene.relay, lease, 1, &version), 0);
    char request[256];
    size_t length = write_range(request, PAGE - 1, 2);
    say(guest, request, length);
    expect_return(&scene, &side, PR_RETURN_FED, request, length);
    CHECK_EQUAL(counted(scene.relay).fed[PR_FED_WRITER], 1);
    node_answers(&scene, &side, guest);
    static const uint64_t beside[] = {0, 2 * PAGE, SIZE - PAGE};
    for (size_t each = 0; each < sizeof beside / sizeof *beside; each++) {
        ask_range(guest, beside[each], PAGE);
        expect_tag(guest, "\"a.1.1\"");
        read_body(guest, beside[each], PAGE, 0);
    }
    CHECK_EQUAL(pr_lease_end(scene.relay, lease, true, NULL), 0);
    say(guest, request, length);
    expect_tag(guest, "\"a.1.1\"");
    read_body(guest, PAGE - 1, 2, 0);
    node_closes(&scene, &side);
    close(guest);
    scene_close(&scene);
}

int main(void) {
    real = pr_sys;
    pr_sys.statx = moving_statx;
    pr_sys.fstatat = moving_fstatat;
    RUN(only_hosts_that_node_has_allowed_are_answered);
    RUN(two_users_of_one_connection_are_two_users);
    RUN(what_is_suspended_is_answered_again_when_something_is_published);
    RUN(what_is_judged_at_one_version_is_not_answered_at_another);
    RUN(a_path_of_one_version_is_published_no_more_once_that_is_overwritten);
    RUN(pages_beside_a_lease_are_answered_and_those_under_it_are_nodes);
    return 0;
}

/* Open patterns and doors: what one connection was judged for is answered on others, also on those that lanes accept.
 */
#include "scene.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>

enum { MOST = 512 };

/* A service whose first connection was judged. */
struct place {
    struct scene scene;
    int listener;
    uint64_t door;
    struct sockaddr_in address;
    bool blind; /* who its guests are may be unknown */
};

static struct place place_with(struct pr_options options) {
    struct place place = {.scene = scene_with(options, SIZE, ROOMY)};
    socklen_t length = sizeof place.address;
    place.address = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    place.listener = (int)MUST(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    MUST(bind(place.listener, (struct sockaddr *)&place.address, length));
    MUST(listen(place.listener, 511));
    MUST(getsockname(place.listener, (struct sockaddr *)&place.address, &length));
    CHECK_EQUAL(pr_door_open(place.scene.relay, place.listener, &place.door), 0);
    CHECK_EQUAL(test_watched(place.scene.relay->lanes->list[0].poller.epoll), 2);
    return place;
}

static struct place place_open(void) {
    return place_with(logged(1));
}

static int visit(const struct place *place) {
    int fd = (int)MUST(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    struct timeval patience = {.tv_sec = 20};
    MUST(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience));
    MUST(connect(fd, (const struct sockaddr *)&place->address, sizeof place->address));
    return fd;
}

/* The address that a pattern is for is the door's: the judged connection came by it too. */
static void judge_as(struct place *place, const struct pr_grant *grant) {
    struct scene *scene = &place->scene;
    struct pr_event event;
    uint64_t inside = counted(scene->relay).granted;
    int guest = visit(place);
    SAY(guest, other);
    do event = next_event(scene->relay);
    while (event.kind != PR_EVENT_ARRIVED);
    enum pr_peer_kind kind;
    bool forgotten;
    int ours = pr_connection_take(scene->relay, event.id, &kind, &forgotten);
    CHECK(ours >= 0);
    char unread[MOST];
    CHECK_EQUAL(node_receives(scene->relay, event.id, ours, unread, MOST), sizeof other - 1);
    CHECK_EQUAL(pr_grant(scene->relay, event.id, grant, NULL), 0);
    close(ours);
    CHECK_EQUAL(pr_connection_close(scene->relay, event.id), 0);
    close(guest);
    wait_until(counted(scene->relay).granted <= inside, 5000);
}

static struct pr_grant open_grant(const struct place *place) {
    struct pr_grant grant = grant_for(&place->scene, PR_ENGINE_SENDFILE);
    grant.open = true;
    return grant;
}

static void judge(struct place *place) {
    struct pr_grant grant = open_grant(place);
    judge_as(place, &grant);
}

static void get(const struct place *place, int guest, uint64_t offset, uint64_t length) {
    ask_range(guest, offset, length);
    read_head(guest, offset, length, place->scene.region.size);
    read_body(guest, offset, length, 0);
}

/* Only the judged scene's own connection is left. */
static void wait_empty(const struct place *place) {
    wait_until(counted(place->scene.relay).connections == 1, 5000);
    CHECK_EQUAL(counted(place->scene.relay).granted, 0);
}

static void place_close(struct place *place) {
    struct scene *scene = &place->scene;
    if (place->door) CHECK_EQUAL(pr_door_close(scene->relay, place->door), 0);
    if (place->listener >= 0) close(place->listener);
    wait_empty(place);
    pr_grants_end(scene->relay);
    CHECK_EQUAL(counted(scene->relay).patterns, 0);
    struct pr_event events[64];
    while (pr_events(scene->relay, events, 64) > 0) continue;
    for (int why = 0; why < PR_RETURN_COUNT; why++) scene->returns[why] = counted(scene->relay).returns[why];
    finish(scene);
}

static struct pr_event expect_arrival(struct place *place, uint64_t answers) {
    struct pr_event event = next_but_answers(place->scene.relay);
    CHECK_EQUAL(event.kind, PR_EVENT_ARRIVED);
    CHECK_EQUAL(event.bytes, answers);
    return event;
}

/* Node takes it, and finds exactly this to read. */
static void take(struct place *place, uint64_t connection, const char *text, size_t length) {
    struct pr_relay *relay = place->scene.relay;
    enum pr_peer_kind kind;
    bool forgotten;
    char got[MOST];
    size_t count = pr_unread(relay, connection, got, MOST);
    int ours = pr_connection_take(relay, connection, &kind, &forgotten);
    CHECK(ours >= 0);
    CHECK(!forgotten);
    CHECK(kind == PR_PEER_LOCAL || place->blind);
    for (uint64_t end = pr_now() + 5000000000u; count < length && pr_now() < end;)
        count += node_receives(relay, connection, ours, got + count, MOST - count);
    count += node_receives(relay, connection, ours, got + count, MOST - count);
    CHECK_EQUAL(count, length);
    CHECK(memcmp(got, text, length) == 0);
    CHECK_EQUAL(pr_connection_take(relay, connection, &kind, &forgotten), -EBADF);
    close(ours);
    CHECK_EQUAL(pr_connection_close(relay, connection), 0);
}

/* Open patterns, on connections that Node has accepted. */

static void another_request_that_was_judged_elsewhere_is_answered(void) {
    struct scene scene = scene_open(), second = scene;
    second.pair = pair_open(ROOMY);
    second.connection = adopt(scene.relay, &second.pair);
    struct pr_grant one = grant_for(&scene, PR_ENGINE_SENDFILE), two = one;
    one.open = two.open = true;
    two.request = (struct pr_repeat){whole, sizeof whole - 1, sizeof whole - 1};
    two.head = head_200;
    two.head_length = sizeof head_200 - 1;
    /* Of one address: each pair has a listener of its own, and a pattern is for one address. */
    pr_lock(scene.relay);
    struct pr_connection *a = pr_slots_find(&scene.relay->slots, PR_KIND_CONNECTION, scene.connection);
    struct pr_connection *b = pr_slots_find(&scene.relay->slots, PR_KIND_CONNECTION, second.connection);
    union pr_address real = b->peer.here;
    b->peer.here = a->peer.here;
    pr_unlock(scene.relay);
    give(&scene, &one);
    CHECK_EQUAL(pr_grant(second.relay, second.connection, &two, NULL), 0);
    for (int round = 0; round < 3; round++) {
        expect_answer(&scene, 10, 100);
        SAY(scene.pair.peer, whole);
        read_text(scene.pair.peer, head_200, sizeof head_200 - 1);
        read_body(scene.pair.peer, 0, SIZE, 0);
        SAY(second.pair.peer, whole);
        read_text(second.pair.peer, head_200, sizeof head_200 - 1);
        read_body(second.pair.peer, 0, SIZE, 0);
        expect_answer(&second, 20, 100);
    }
    wait_until(answers_so_far(scene.relay) == 12, 1000);
    CHECK_EQUAL(counted(scene.relay).granted, 2);
    CHECK_EQUAL(counted(scene.relay).open_patterns, 2);
    pr_lock(scene.relay);
    b->peer.here = real;
    pr_unlock(scene.relay);
    pr_grants_end(scene.relay);
    for (int each = 0; each < 2; each++) CHECK_EQUAL(next_but_answers(scene.relay).kind, PR_EVENT_RETURNED);
    scene.returns[PR_RETURN_REVOKED] = 2;
    CHECK_EQUAL(counted(scene.relay).patterns, 0);
    node_close(second.relay, second.connection, &second.pair);
    close_peer(&second.pair);
    finish(&scene);
}

static void one_that_was_granted_alone_answers_nothing_else(void) {
    struct place place = place_open();
    judge(&place);
    grant(&place.scene, PR_ENGINE_SENDFILE);
    CHECK_EQUAL(counted(place.scene.relay).open_patterns, 1);
    SAY(place.scene.pair.peer, other);
    struct pr_event event = next_but_answers(place.scene.relay);
    CHECK_EQUAL(event.kind, PR_EVENT_RETURNED);
    expect_unread(&place.scene, other, sizeof other - 1);
    place_close(&place);
}

/* What accepts on `address` when it was told to use `asked`, once it is a door. */
static void expect_congestion_control(const struct sockaddr *address, socklen_t size, const char *asked,
                                      const char *expected) {
    struct pr_relay *relay = relay_start(options_with(1));
    int listener = (int)MUST(socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
    char name[16] = "";
    socklen_t length = sizeof name;
    uint64_t door;
    MUST(setsockopt(listener, IPPROTO_TCP, TCP_CONGESTION, asked, (socklen_t)strlen(asked)));
    MUST(bind(listener, address, size));
    MUST(listen(listener, 1));
    CHECK_EQUAL(pr_door_open(relay, listener, &door), 0);
    MUST(getsockopt(listener, IPPROTO_TCP, TCP_CONGESTION, name, &length));
    CHECK(strcmp(name, expected) == 0);
    CHECK_EQUAL(pr_door_close(relay, door), 0);
    close(listener);
    pr_relay_destroy(relay);
}

static bool has_congestion_control(const char *name) {
    int fd = (int)MUST(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    bool has = setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, name, (socklen_t)strlen(name)) == 0;
    close(fd);
    return has;
}

static void only_what_stays_in_the_machine_is_not_paced(void) {
    struct sockaddr_in here = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct sockaddr_in any = {.sin_family = AF_INET};
    struct sockaddr_in6 here6 = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    const struct sockaddr *four = (const struct sockaddr *)&here, *six = (const struct sockaddr *)&here6;
    expect_congestion_control(four, sizeof here, "reno", "reno");
    if (has_congestion_control("cubic")) expect_congestion_control(four, sizeof here, "cubic", "cubic");
    if (!has_congestion_control("bbr")) {
        printf("  SKIPPED: only_what_stays_in_the_machine_is_not_paced, this kernel has no bbr\n");
        return;
    }
    expect_congestion_control(four, sizeof here, "bbr", "reno");
    expect_congestion_control((const struct sockaddr *)&any, sizeof any, "bbr", "bbr");
    int probe = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool has_six = probe >= 0 && bind(probe, six, sizeof here6) == 0;
    if (probe >= 0) close(probe);
    if (has_six) expect_congestion_control(six, sizeof here6, "bbr", "reno");
}

static void a_busy_connection_stays_while_its_request_is_judged_again(void) {
    struct place place = place_with(options_with(1)); /* a log would be full */
    struct pr_grant short_lived = open_grant(&place);
    short_lived.seconds = 1;
    judge_as(&place, &short_lived);
    int guest = visit(&place);
    uint64_t end = pr_now() + 2500000000u, judged_at = pr_now(), answers = 0;
    for (; pr_now() < end; answers++) {
        if (pr_now() > judged_at + 200000000u) {
            judge_as(&place, &short_lived);
            judged_at = pr_now();
        }
        get(&place, guest, answers % 1000, 100);
        test_pause();
    }
    CHECK(counted(place.scene.relay).granted == 1);
    wait_until(counted(place.scene.relay).granted == 0, 2000); /* it is idle, and its patience over */
    struct pr_event event = expect_arrival(&place, answers);
    take(&place, event.id, "", 0);
    close(guest);
    place_close(&place);
}

static void patterns_are_forgotten_and_their_end_is_told_once(void) {
    struct place place = place_open();
    uint64_t pattern, forgotten = 0;
    struct pr_grant given = open_grant(&place);
    given.seconds = 0.1;
    CHECK_EQUAL(pr_grant(place.scene.relay, place.scene.connection, &given, &pattern), 0);
    CHECK(pattern > 0);
    CHECK_EQUAL(counted(place.scene.relay).open_patterns, 1);
    wait_until(counted(place.scene.relay).open_patterns == 0, 2000);
    wait_until(counted(place.scene.relay).patterns == 0, 2000);
    struct pr_event event;
    while (pr_events(place.scene.relay, &event, 1) == 1)
        forgotten += event.kind == PR_EVENT_FORGOTTEN && event.id == pattern;
    CHECK_EQUAL(forgotten, 1);
    place_close(&place);
}

static void so_many_are_open_at_most(void) {
    enum { ASKED = 40, KEPT = 16 };
    struct place place = place_open();
    char heads[ASKED][MOST];
    for (int each = 0; each < ASKED; each++) {
        struct pr_grant given = open_grant(&place);
        size_t place_of_range = (size_t)sprintf(heads[each], "GET /regions/%d HTTP/1.1\r\nRange: ", each);
        size_t length = place_of_range + (size_t)sprintf(heads[each] + place_of_range, "\r\n\r\n");
        given.request = (struct pr_repeat){heads[each], length, place_of_range};
        judge_as(&place, &given);
        judge_as(&place, &given); /* in place of the same */
    }
    CHECK_EQUAL(counted(place.scene.relay).open_patterns, KEPT);
    CHECK_EQUAL(counted(place.scene.relay).patterns, KEPT);
    int guest = visit(&place);
    char request[MOST];
    say(guest, request, (size_t)sprintf(request, "GET /regions/%d HTTP/1.1\r\nRange: bytes=3-5\r\n\r\n", ASKED - KEPT));
    read_head(guest, 3, 3, SIZE);
    read_body(guest, 3, 3, 0);
    int length = sprintf(request, "GET /regions/%d HTTP/1.1\r\nRange: bytes=3-5\r\n\r\n", ASKED - KEPT - 1);
    say(guest, request, (size_t)length);
    struct pr_event event = expect_arrival(&place, 1);
    take(&place, event.id, request, (size_t)length);
    close(guest);
    place_close(&place);
}

static void what_has_changed_is_judged_again_for_all(void) {
    struct place place = place_open();
    judge(&place);
    int guest = visit(&place), second = visit(&place);
    get(&place, guest, 0, 10);
    get(&place, second, 0, 10);
    uint64_t lease, version, epoch = 7;
    CHECK_EQUAL(pr_lease(place.scene.relay, place.scene.region.generation, 0, PAGE, PR_NEEDS_NOTHING, false, &lease),
                1);
    CHECK_EQUAL(pr_lease_begin(place.scene.relay, lease, epoch, &version), 0);
    CHECK_EQUAL(pr_lease_end(place.scene.relay, lease, place.scene.region.generation, NULL), 0);
    char request[MOST];
    size_t length = write_range(request, 5, 10);
    say(guest, request, length);
    struct pr_event event = expect_arrival(&place, 1);
    CHECK_EQUAL(counted(place.scene.relay).open_patterns, 0);
    take(&place, event.id, request, length);
    struct pr_grant again = open_grant(&place);
    again.epoch = epoch;
    again.version = version;
    judge_as(&place, &again);
    get(&place, second, 7, 10); /* it has the old one, and never came to Node */
    close(guest);
    close(second);
    if (place.door) CHECK_EQUAL(pr_door_close(place.scene.relay, place.door), 0);
    close(place.listener);
    wait_empty(&place);
    struct pr_event events[64];
    while (pr_events(place.scene.relay, events, 64) > 0) continue;
    pr_grants_end(place.scene.relay);
    scene_close(&place.scene);
}

/* Doors. */

static void a_guest_with_a_known_request_is_answered_and_never_told_of(void) {
    struct place place = place_open();
    judge(&place);
    struct pr_event events[64];
    while (pr_events(place.scene.relay, events, 64) > 0) continue;
    uint64_t looks = counted(place.scene.relay).looks;
    for (unsigned each = 0; each < 100; each++) {
        int guest = visit(&place);
        get(&place, guest, each * 1000, 5000);
        close(guest);
    }
    wait_empty(&place);
    CHECK_EQUAL(answers_so_far(place.scene.relay), 100);
    CHECK_EQUAL(counted(place.scene.relay).accepted_connections, 101);
    CHECK(counted(place.scene.relay).looks >= looks + 100); /* none was let go of unseen */
    CHECK_EQUAL(references(place.scene.relay), 0);
    CHECK(nothing_told(place.scene.relay));
    place_close(&place);
}

static void answers_name_their_peer(void) {
    struct place place = place_open();
    struct pr_answer answers[LOG];
    judge(&place);
    int guest = visit(&place);
    get(&place, guest, 0, 10);
    wait_until(answers_so_far(place.scene.relay) == 1, 1000);
    CHECK_EQUAL(pr_answers(place.scene.relay, answers, LOG), 1);
    char address[PR_ADDRESS_TEXT];
    pr_peer_address(&answers[0].peer, address);
    CHECK(strcmp(address, "127.0.0.1") == 0);
    CHECK(answers[0].pattern > 0);
    close(guest);
    wait_empty(&place);
    place_close(&place);
}

static void a_guest_that_reads_slowly_is_held_for(void) {
    struct place place = place_open();
    judge(&place);
    int guest = visit(&place);
    ask_range(guest, 0, SIZE);
    wait_until(answers_so_far(place.scene.relay) == 1, 5000);
    MUST(shutdown(guest, SHUT_WR));
    stays(references(place.scene.relay) == 1, 300);
    read_head(guest, 0, SIZE, SIZE);
    read_body(guest, 0, SIZE, 0);
    char end;
    CHECK_EQUAL(MUST(recv(guest, &end, 1, 0)), 0);
    wait_empty(&place);
    close(guest);
    place_close(&place);
}

/* Node closes those that arrive. */
static void send_away(const struct place *place) {
    struct pr_event event;
    for (uint64_t end = pr_now() + 5000000000u; counted(place->scene.relay).connections > 1 && pr_now() < end;) {
        if (pr_events(place->scene.relay, &event, 1) == 0)
            test_pause();
        else if (event.kind == PR_EVENT_ARRIVED)
            pr_connection_close(place->scene.relay, event.id);
    }
}

static void a_guest_that_vanishes_in_mid_answer_leaves_nothing(void) {
    struct place place = place_open();
    judge(&place);
    for (int each = 0; each < 20; each++) {
        struct pair pair = {.ours = -1, .peer = visit(&place)};
        ask_range(pair.peer, 0, SIZE);
        if (each % 2) wait_until(references(place.scene.relay) > 0, 5000);
        reset_peer(&pair);
    }
    send_away(&place); /* who it was can't be found out of one that has gone already */
    wait_empty(&place);
    wait_until(references(place.scene.relay) == 0, 5000);
    CHECK_EQUAL(counted(place.scene.relay).quarantined, 0);
    place_close(&place);
}

static const struct {
    const char *name, *text;
} unknown[] = {
    {"another request", "GET /regions/b HTTP/1.1\r\nHost: a\r\n\r\n"},
    {"a piece", "GET /regions/a HTTP/1.1\r\nHost: a\r\nRange: byt"},
    {"one byte", "G"},
    {"no request", "\r\n\r\n"},
    {"two ranges", "GET /regions/a HTTP/1.1\r\nHost: a\r\nRange: bytes=0-1,3-4\r\nAccept: */*\r\n\r\n"},
    {"one outside", "GET /regions/a HTTP/1.1\r\nHost: a\r\nRange: bytes=1048576-\r\nAccept: */*\r\n\r\n"},
};

static void what_a_guest_asks_that_is_not_known_is_nodes_to_the_byte(void) {
    for (size_t at = 0; at < sizeof unknown / sizeof *unknown; at++) {
        struct place place = place_open();
        judge(&place);
        int fresh = visit(&place), later = visit(&place);
        say(fresh, unknown[at].text, strlen(unknown[at].text));
        take(&place, expect_arrival(&place, 0).id, unknown[at].text, strlen(unknown[at].text));
        get(&place, later, 100, 100);
        say(later, unknown[at].text, strlen(unknown[at].text));
        take(&place, expect_arrival(&place, 1).id, unknown[at].text, strlen(unknown[at].text));
        close(fresh);
        close(later);
        place_close(&place);
    }
}

static void without_a_pattern_all_are_nodes_at_once(void) {
    struct place place = place_open();
    int guest = visit(&place);
    struct pr_event event = expect_arrival(&place, 0);
    char request[MOST];
    size_t length = write_range(request, 0, 10);
    say(guest, request, length);
    take(&place, event.id, request, length);
    CHECK_EQUAL(counted(place.scene.relay).grants, 0);
    close(guest);
    place_close(&place);
}

static void a_guest_that_asks_for_nothing_is_nodes_after_a_second(void) {
    struct place place = place_open();
    judge(&place);
    uint64_t began = pr_now(), used = test_processor_time(&place.scene.relay->lanes->list[0]);
    int guest = visit(&place);
    struct pr_event event = expect_arrival(&place, 0);
    CHECK(pr_now() - began > 900000000u);
    CHECK(test_processor_time(&place.scene.relay->lanes->list[0]) - used < 100000000u);
    take(&place, event.id, "", 0);
    close(guest);
    place_close(&place);
}

static void a_guest_that_says_nothing_and_goes_is_nobodys(void) {
    struct place place = place_open();
    judge(&place);
    close(visit(&place));
    struct pair pair = {.ours = -1, .peer = visit(&place)};
    reset_peer(&pair);
    wait_until(counted(place.scene.relay).accepted_connections >= 2, 5000); /* who was reset first is not counted */
    send_away(&place);
    wait_empty(&place);
    place_close(&place);
}

static void a_pattern_is_for_one_address(void) {
    struct place place = place_open(), beside = place;
    socklen_t length = sizeof beside.address;
    judge(&place);
    beside.address.sin_port = 0;
    beside.listener = (int)MUST(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    MUST(bind(beside.listener, (struct sockaddr *)&beside.address, length));
    MUST(listen(beside.listener, 16));
    MUST(getsockname(beside.listener, (struct sockaddr *)&beside.address, &length));
    CHECK_EQUAL(pr_door_open(place.scene.relay, beside.listener, &beside.door), 0);
    int guest = visit(&beside);
    char request[MOST];
    size_t asked = write_range(request, 0, 10);
    say(guest, request, asked);
    take(&place, expect_arrival(&place, 0).id, request, asked);
    close(guest);
    CHECK_EQUAL(pr_door_close(place.scene.relay, beside.door), 0);
    CHECK_EQUAL(pr_door_close(place.scene.relay, beside.door), -EBADF);
    close(beside.listener);
    place_close(&place);
}

static void a_door_that_is_closed_lets_nobody_in(void) {
    struct place place = place_open();
    judge(&place);
    int guest = visit(&place);
    get(&place, guest, 0, 100);
    CHECK_EQUAL(pr_door_close(place.scene.relay, place.door), 0);
    place.door = 0;
    close(place.listener);
    place.listener = -1;
    int late = (int)MUST(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    CHECK_EQUAL(connect(late, (const struct sockaddr *)&place.address, sizeof place.address), -1);
    CHECK_EQUAL(errno, ECONNREFUSED);
    close(late);
    get(&place, guest, 5, 100); /* who is inside stays */
    close(guest);
    wait_empty(&place);
    place_close(&place);
}

static void only_what_listens_for_tcp_is_a_door(void) {
    struct scene scene = scene_open();
    uint64_t door;
    int datagrams = (int)MUST(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    CHECK_EQUAL(pr_door_open(scene.relay, scene.pair.ours, &door), -EINVAL);
    CHECK(pr_door_open(scene.relay, datagrams, &door) < 0);
    CHECK_EQUAL(pr_door_open(scene.relay, scene.region.fd, &door), -ENOTSOCK);
    CHECK_EQUAL(pr_door_open(scene.relay, 99999, &door), -EBADF);
    CHECK_EQUAL(pr_door_close(scene.relay, scene.connection), -EBADF);
    close(datagrams);
    finish(&scene);
}

static void where_descriptors_are_short_guests_are_turned_away(void) {
    struct place place = place_open();
    judge(&place);
    for (int each = 0; each < 5; each++) {
        char byte;
        pr_fault_set(PR_CALL_ACCEPT, EMFILE, 0, 1);
        int guest = visit(&place);
        CHECK_EQUAL(MUST(recv(guest, &byte, 1, 0)), 0);
        close(guest);
        guest = visit(&place);
        get(&place, guest, 0, 100);
        close(guest);
    }
    place_close(&place);
}

static void where_memory_is_short_they_wait_outside(void) {
    struct place place = place_open();
    judge(&place);
    uint64_t used = test_processor_time(&place.scene.relay->lanes->list[0]);
    pr_fault_set(PR_CALL_ACCEPT, ENOMEM, 0, 5);
    int guest = visit(&place);
    get(&place, guest, 0, 100); /* after five looks at the door, one each 100 ms */
    CHECK(test_processor_time(&place.scene.relay->lanes->list[0]) - used < 100000000u);
    pr_fault_set(PR_CALL_ACCEPT, ECONNABORTED, 0, 3);
    int second = visit(&place);
    get(&place, second, 0, 100);
    pr_fault_set(PR_CALL_ACCEPT, 0, 0, 0);
    close(guest);
    close(second);
    place_close(&place);
}

static void every_call_at_the_door_fails_once(void) {
    static const enum pr_call calls[] = {PR_CALL_ALLOCATE, PR_CALL_EPOLL_CTL, PR_CALL_DIAG, PR_CALL_RECV, PR_CALL_DUP};
    for (size_t index = 0; index < sizeof calls / sizeof *calls; index++)
        for (unsigned skip = 0; skip < 4; skip++) {
            struct place place = place_open();
            place.blind = calls[index] == PR_CALL_DIAG;
            judge(&place);
            pr_fault_set(calls[index], ENOMEM, skip, 1);
            int guest = visit(&place);
            char request[MOST], byte;
            size_t length = write_range(request, 0, 10);
            say(guest, request, length);
            struct pr_event event = {.kind = PR_EVENT_FORGOTTEN};
            bool closed = false, answered = false;
            for (uint64_t end = pr_now() + 5000000000u; pr_now() < end && !closed && !answered;) {
                ssize_t got = recv(guest, &byte, 1, MSG_DONTWAIT | MSG_PEEK);
                closed = got == 0 || (got < 0 && errno != EAGAIN);
                answered = got > 0;
                bool told = pr_events(place.scene.relay, &event, 1) == 1;
                if (told && event.kind == PR_EVENT_ARRIVED) break;
            }
            pr_fault_set(calls[index], 0, 0, 0);
            CHECK(closed || answered || event.kind == PR_EVENT_ARRIVED);
            if (event.kind == PR_EVENT_ARRIVED) take(&place, event.id, request, length);
            close(guest);
            wait_empty(&place);
            int next = visit(&place);
            get(&place, next, 50, 100);
            close(next);
            wait_empty(&place);
            place_close(&place);
        }
}

static void a_connection_that_node_can_have_only_one_descriptor_of(void) {
    struct place place = place_open();
    enum pr_peer_kind kind;
    bool forgotten;
    int guest = visit(&place);
    struct pr_event event = expect_arrival(&place, 0);
    pr_fault_set(PR_CALL_DUP, EMFILE, 0, 1);
    int ours = pr_connection_take(place.scene.relay, event.id, &kind, &forgotten);
    pr_fault_set(PR_CALL_DUP, 0, 0, 0);
    CHECK(ours >= 0 && forgotten);
    CHECK_EQUAL(counted(place.scene.relay).connections, 1);
    SAY(guest, other);
    char got[MOST];
    CHECK_EQUAL(MUST(recv(ours, got, sizeof other - 1, MSG_WAITALL)), sizeof other - 1);
    close(ours);
    char byte;
    CHECK_EQUAL(MUST(recv(guest, &byte, 1, 0)), 0); /* that was the only one */
    close(guest);

    /* But for what it was sent and has not read. */
    judge(&place);
    guest = visit(&place);
    ask_range(guest, 0, SIZE / 2);
    wait_until(answers_so_far(place.scene.relay) == 1, 5000);
    SAY(guest, other);
    event = expect_arrival(&place, 1);
    pr_fault_set(PR_CALL_DUP, EMFILE, 0, 1);
    CHECK_EQUAL(pr_connection_take(place.scene.relay, event.id, &kind, &forgotten), -EMFILE);
    pr_fault_set(PR_CALL_DUP, 0, 0, 0);
    CHECK_EQUAL(references(place.scene.relay), 1);
    read_head(guest, 0, SIZE / 2, SIZE);
    read_body(guest, 0, SIZE / 2, 0);
    wait_until(references(place.scene.relay) == 0, 5000);
    close(guest);
    place_close(&place);
}

static void guests_are_spread_over_lanes(void) {
    struct place place = place_with(logged(3));
    judge(&place);
    int guests[30];
    for (int each = 0; each < 30; each++) {
        guests[each] = visit(&place);
        get(&place, guests[each], 0, 100);
    }
    struct pr_lane_info lanes[3];
    pr_lanes(place.scene.relay, lanes, 3);
    for (int each = 0; each < 3; each++) CHECK(lanes[each].connections >= 10);
    for (int each = 0; each < 30; each++) close(guests[each]);
    wait_empty(&place);
    place_close(&place);
}

/* Many guests at once, of every kind, while patterns come and go. */

struct crowd {
    struct place *place;
    uint64_t seed;
    unsigned answered;
    atomic_bool over;
};

static void *come_and_go(void *argument) {
    struct crowd *crowd = argument;
    for (int round = 0; round < 300; round++) {
        int guest = visit(crowd->place);
        uint64_t how = test_below(&crowd->seed, 10), times = 1 + test_below(&crowd->seed, 3);
        struct timeval patience = {.tv_usec = 100000};
        MUST(setsockopt(guest, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience));
        for (; how < 8 && times > 0; times--) {
            uint64_t offset = test_below(&crowd->seed, SIZE - 5000);
            char byte;
            ask_range(guest, offset, 5000);
            if (recv(guest, &byte, 1, MSG_PEEK) <= 0) break; /* Node has it, and closes it */
            read_head(guest, offset, 5000, SIZE);
            read_body(guest, offset, 5000, 0);
            crowd->answered++;
        }
        struct pair pair = {.ours = -1, .peer = guest};
        if (how == 9)
            reset_peer(&pair);
        else
            close(guest);
    }
    crowd->over = true;
    return NULL;
}

static void crowds_come_and_go(void) {
    enum { CROWDS = 4 };
    struct place place = place_with(options_with(2));
    static struct crowd crowds[CROWDS];
    pthread_t threads[CROWDS];
    uint64_t seed = test_seed();
    judge(&place);
    for (int each = 0; each < CROWDS; each++) {
        crowds[each].place = &place;
        crowds[each].seed = seed + (uint64_t)each;
        CHECK_EQUAL(pthread_create(&threads[each], NULL, come_and_go, &crowds[each]), 0);
    }
    for (unsigned round = 0, over = 0; over < CROWDS; round++) {
        struct pr_event event;
        struct pr_grant given = open_grant(&place);
        bool arrived = pr_events(place.scene.relay, &event, 1) == 1 && event.kind == PR_EVENT_ARRIVED;
        if (arrived) {
            enum pr_peer_kind kind;
            bool forgotten;
            int ours = pr_connection_take(place.scene.relay, event.id, &kind, &forgotten);
            CHECK(ours >= 0);
            if (pr_unread(place.scene.relay, event.id, NULL, 0) == 0)
                pr_grant(place.scene.relay, event.id, &given, NULL); /* judged, and its client may ask again */
            close(ours);
            pr_connection_close(place.scene.relay, event.id);
        }
        if (round % 500 == 499) pr_grants_end(place.scene.relay);
        over = 0;
        for (int each = 0; each < CROWDS; each++) over += crowds[each].over;
        if (!arrived) test_pause();
    }
    for (int each = 0; each < CROWDS; each++) pthread_join(threads[each], NULL);
    unsigned answered = 0;
    for (int each = 0; each < CROWDS; each++) answered += crowds[each].answered;
    printf("answered: %u of %llu\n", answered, (unsigned long long)counted(place.scene.relay).accepted_connections);
    CHECK(answered > 0);
    pr_door_close(place.scene.relay, place.door);
    close(place.listener);
    pr_grants_end(place.scene.relay);
    for (uint64_t end = pr_now() + 10000000000u; counted(place.scene.relay).connections > 1 && pr_now() < end;) {
        struct pr_event event;
        while (pr_events(place.scene.relay, &event, 1) == 1)
            if (event.kind == PR_EVENT_ARRIVED) pr_connection_close(place.scene.relay, event.id);
        test_pause();
    }
    wait_until(counted(place.scene.relay).connections == 1, 1000);
    wait_until(references(place.scene.relay) == 0, 5000);
    scene_close(&place.scene);
}

static void destroyed_with_guests_inside(void) {
    struct place place = place_open();
    judge(&place);
    int idle = visit(&place), busy = visit(&place), untold = visit(&place);
    get(&place, idle, 0, 100);
    ask_range(busy, 0, SIZE);
    SAY(untold, other);
    wait_until(answers_so_far(place.scene.relay) >= 1, 1000);
    close(place.listener);
    node_close(place.scene.relay, place.scene.connection, &place.scene.pair);
    close_peer(&place.scene.pair);
    region_close(place.scene.relay, &place.scene.region);
    pr_relay_destroy(place.scene.relay);
    close(idle);
    close(busy);
    close(untold);
}

int main(void) {
    pr_faults_enable();
    RUN(only_what_stays_in_the_machine_is_not_paced);
    RUN(another_request_that_was_judged_elsewhere_is_answered);
    RUN(one_that_was_granted_alone_answers_nothing_else);
    RUN(a_busy_connection_stays_while_its_request_is_judged_again);
    RUN(patterns_are_forgotten_and_their_end_is_told_once);
    RUN(so_many_are_open_at_most);
    RUN(what_has_changed_is_judged_again_for_all);
    RUN(a_guest_with_a_known_request_is_answered_and_never_told_of);
    RUN(answers_name_their_peer);
    RUN(a_guest_that_reads_slowly_is_held_for);
    RUN(a_guest_that_vanishes_in_mid_answer_leaves_nothing);
    RUN(what_a_guest_asks_that_is_not_known_is_nodes_to_the_byte);
    RUN(without_a_pattern_all_are_nodes_at_once);
    RUN(a_guest_that_asks_for_nothing_is_nodes_after_a_second);
    RUN(a_guest_that_says_nothing_and_goes_is_nobodys);
    RUN(a_pattern_is_for_one_address);
    RUN(a_door_that_is_closed_lets_nobody_in);
    RUN(only_what_listens_for_tcp_is_a_door);
    RUN(where_descriptors_are_short_guests_are_turned_away);
    RUN(where_memory_is_short_they_wait_outside);
    RUN(every_call_at_the_door_fails_once);
    RUN(a_connection_that_node_can_have_only_one_descriptor_of);
    RUN(guests_are_spread_over_lanes);
    RUN(crowds_come_and_go);
    RUN(destroyed_with_guests_inside);
    return 0;
}

/* Limits of single clients: connections of an address, and how often it may ask. */
#include "scene.h"

#include "lanes/layer.h"
#include "wire/client.h"
#include "wire/layer.h"
#include "wire/proxied.h"

#define OF_ONE "HTTP/1.1 429 Too Many Requests\r\nretry-after: 1\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"

static struct scene scene_for(unsigned lanes, struct pr_limits here) {
    struct pr_responding responding = patient();
    responding.refusal_of_one = text_of(OF_ONE);
    struct scene scene = scene_with(options_with(lanes), responding, SIZE, 0);
    pr_limit(scene.relay, (struct pr_limits[PR_PLACES]){[PR_HERE] = here});
    publish(&scene, PR_ENGINE_SENDFILE);
    return scene;
}

/* Who counts as whom. */

static struct pr_client_key key_of(const char *text) {
    struct pr_peer peer = {0};
    if (strcmp(text, "unix") == 0)
        peer.there.any.sa_family = AF_UNIX;
    else if (inet_pton(AF_INET, text, &peer.there.four.sin_addr) == 1)
        peer.there.any.sa_family = AF_INET;
    else {
        CHECK_EQUAL(inet_pton(AF_INET6, text, &peer.there.six.sin6_addr), 1);
        peer.there.any.sa_family = AF_INET6;
    }
    return pr_client_key(&peer);
}

static bool are_one(const char *one, const char *other) {
    struct pr_client_key first = key_of(one), second = key_of(other);
    return memcmp(&first, &second, sizeof first) == 0;
}

static void addresses_of_ipv6_count_by_their_network(void) {
    CHECK(are_one("2001:db8:1:2::1", "2001:db8:1:2:ffff::7"));
    CHECK(!are_one("2001:db8:1:2::1", "2001:db8:1:3::1"));
    CHECK(are_one("192.0.2.1", "192.0.2.1"));
    CHECK(!are_one("192.0.2.1", "192.0.2.2"));
    CHECK(!are_one("fe80::1", "fe80::2")); /* neighbours of one link have no network of their own */
    CHECK(are_one("unix", "unix"));
}

static void clients_of_this_machine_are_told_apart_from_others(void) {
    const char *const here[] = {"127.0.0.1", "127.8.9.10", "::1", "unix"};
    for (size_t each = 0; each < sizeof here / sizeof *here; each++) CHECK_EQUAL(key_of(here[each]).place, PR_HERE);
    CHECK_EQUAL(key_of("128.0.0.1").place, PR_ELSEWHERE);
    CHECK_EQUAL(key_of("::2").place, PR_ELSEWHERE);
}

static void a_client_of_ipv4_that_is_mapped_is_the_same_client(void) {
    int listener = (int)MUST(socket(AF_INET6, SOCK_STREAM, 0)), no = 0;
    struct sockaddr_in6 address = {.sin6_family = AF_INET6};
    socklen_t length = sizeof address;
    MUST(setsockopt(listener, IPPROTO_IPV6, IPV6_V6ONLY, &no, sizeof no));
    MUST(bind(listener, (struct sockaddr *)&address, length));
    MUST(listen(listener, 1));
    MUST(getsockname(listener, (struct sockaddr *)&address, &length));
    int client = (int)MUST(socket(AF_INET, SOCK_STREAM, 0));
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = address.sin6_port};
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    MUST(connect(client, (struct sockaddr *)&to, sizeof to));
    struct pr_peer peer;
    int accepted = (int)MUST(pr_peer_accept(listener, &peer));
    struct pr_client_key mapped = pr_client_key(&peer), plain = key_of("127.0.0.1");
    CHECK_EQUAL(memcmp(&mapped, &plain, sizeof plain), 0);
    close(accepted);
    close(client);
    close(listener);
}

/* Connections. */

static void one_connection_too_many_of_an_address_is_refused(void) {
    struct scene scene = scene_for(2, (struct pr_limits){.connections_per_address = 2});
    int guests[4];
    for (int each = 0; each < 2; each++) {
        guests[each] = visit(&scene);
        get(&scene, guests[each], 0, 100);
    }
    for (int each = 2; each < 4; each++) {
        guests[each] = visit(&scene);
        read_text(guests[each], OF_ONE, sizeof OF_ONE - 1);
        expect_end(guests[each]);
        close(guests[each]);
    }
    CHECK_EQUAL(counted(scene.relay).limited[PR_LIMITED_CONNECTIONS_PER_ADDRESS], 2);
    for (int each = 0; each < 2; each++) get(&scene, guests[each], 7, 100); /* idle ones stay */
    close(guests[0]);
    wait_until(counted(scene.relay).connections == 1, 5000);
    guests[0] = visit(&scene);
    get(&scene, guests[0], 0, 100);
    close(guests[0]);
    close(guests[1]);
    wait_empty(&scene);
    CHECK_EQUAL(scene.relay->wire->clients.waiting_count, 0);
    scene_close(&scene);
}

static void where_it_is_given_for_others_alone_this_machine_is_not_limited(void) {
    struct scene scene = scene_for(1, (struct pr_limits){0});
    pr_limit(scene.relay,
             (struct pr_limits[PR_PLACES]){
                 [PR_ELSEWHERE] = {.connections_per_address = 1, .requests_per_second = 1, .request_burst = 1}});
    int guests[3];
    for (int each = 0; each < 3; each++) {
        guests[each] = visit(&scene);
        for (int times = 0; times < 5; times++) get(&scene, guests[each], 0, 100);
    }
    for (int each = 0; each < 3; each++) close(guests[each]);
    scene_close(&scene);
}

static void a_proxy_that_is_trusted_is_no_client(void) {
    struct pr_limits limits = {.connections_per_address = 1, .requests_per_second = 1, .request_burst = 1};
    struct scene scene = scene_for(1, limits);
    CHECK_EQUAL(pr_trust(scene.relay, "127.0.0.0/8", strlen("127.0.0.0/8")), 0);
    int guests[3];
    for (int each = 0; each < 3; each++) {
        guests[each] = visit(&scene);
        for (int times = 0; times < 5; times++) get(&scene, guests[each], 0, 100);
    }
    for (int each = 0; each < 3; each++) close(guests[each]);
    scene_close(&scene);
}

/* Requests. */

static uint64_t limited_so_far(const struct scene *scene) {
    return counted(scene->relay).limited[PR_LIMITED_REQUESTS_PER_SECOND];
}

/* Whether the answer that comes is one to who asks too often. A second may pass on a busy machine: then it is not. */
static bool is_limited(int guest) {
    char status[16];
    CHECK_EQUAL(MUST(recv(guest, status, 12, MSG_WAITALL | MSG_PEEK)), 12);
    return memcmp(status, "HTTP/1.1 429", 12) == 0;
}

/* Asks until it is told that this is too often, and returns how often it was answered before. */
static unsigned ask_until_limited(const struct scene *scene, int guest) {
    for (unsigned answered = 0;; answered++) {
        ask_range(guest, 0, 100);
        if (is_limited(guest)) return answered;
        read_range(scene, guest, 0, 100);
    }
}

/* The date stands between the two. */
static void read_limited(int guest, const char *fields, const char *body) {
    char before[256], behind[512];
    int length = sprintf(before, "HTTP/1.1 429 Too Many Requests\r\nretry-after: 1\r\n%sDate: ", fields);
    read_text(guest, before, (size_t)length);
    CHECK_EQUAL(MUST(recv(guest, behind, 29, MSG_WAITALL)), 29);
    length = sprintf(behind, "\r\nConnection: keep-alive\r\nKeep-Alive: timeout=72\r\n\r\n%s", body);
    read_text(guest, behind, (size_t)length);
}

static const char document[] =
    "{\"type\":\"urn:pagerelay:problem:too-many-requests\",\"title\":\"This client asks more often than it "
    "may.\",\"status\":429,\"code\":\"too-many-requests\"}";

/* How many a client may ask in some time, a second more for rounding. */
static uint64_t most_since(uint64_t then, const struct pr_limits *limits) {
    return limits->request_burst + limits->requests_per_second * ((pr_now() - then) / 1000000000u + 1);
}

static void who_asks_too_often_is_told_so_and_keeps_its_connection(void) {
    struct pr_limits limits = {.requests_per_second = 1, .request_burst = 5};
    struct scene scene = scene_for(1, limits);
    int guest = visit(&scene);
    uint64_t then = pr_now();
    unsigned answered = ask_until_limited(&scene, guest);
    CHECK(answered >= 5 && answered <= most_since(then, &limits));
    read_limited(guest, "content-length: 0\r\n", "");
    CHECK_EQUAL(limited_so_far(&scene), 1);
    /* It may again in a second. */
    for (ask_range(guest, 3, 100); is_limited(guest); ask_range(guest, 3, 100)) {
        read_limited(guest, "content-length: 0\r\n", "");
        test_pause();
    }
    read_range(&scene, guest, 3, 100);
    close(guest);
    scene_close(&scene);
}

static uint64_t answers_of(const struct scene *scene, enum pr_answered kind) {
    return counted(scene->relay).answers[kind];
}

static void who_wants_no_range_gets_a_document(void) {
    struct scene scene = scene_for(1, (struct pr_limits){.requests_per_second = 1, .request_burst = 1});
    char fields[128];
    sprintf(fields, "content-type: application/problem+json\r\ncontent-length: %zu\r\n", sizeof document - 1);
    int guest = visit(&scene);
    for (SAY(guest, get_a); !is_limited(guest); SAY(guest, get_a)) read_whole(&scene, guest);
    read_limited(guest, fields, document);
    for (SAY(guest, head_a); !is_limited(guest); SAY(guest, head_a))
        read_begin(&scene, guest, (struct begin){.status = 200, .length = SIZE});
    read_limited(guest, fields, "");
    wait_until(answers_of(&scene, PR_ANSWERED_LIMITED) == 1, 5000); /* behind its bytes */
    wait_until(answers_of(&scene, PR_ANSWERED_HEAD_LIMITED) == 1, 5000);
    close(guest);
    scene_close(&scene);
}

static void all_connections_and_lanes_share_what_an_address_may(void) {
    enum { LANES = 3, GUESTS = 6 };
    struct pr_limits limits = {.requests_per_second = 1, .request_burst = 60};
    struct scene scene = scene_for(LANES, limits);
    int guests[GUESTS];
    unsigned answered = 0;
    uint64_t then = pr_now();
    for (int each = 0; each < GUESTS; each++) guests[each] = visit(&scene);
    for (int each = 0; each < GUESTS; each++) answered += ask_until_limited(&scene, guests[each]);
    /* What a lane has in advance is left out of the bucket, for the others to have no more than the burst. */
    CHECK(answered >= limits.request_burst * 3 / 4);
    CHECK(answered <= most_since(then, &limits));
    for (int each = 0; each < GUESTS; each++) close(guests[each]);
    scene_close(&scene);
}

static void what_a_lane_has_not_spent_goes_back_with_its_last_connection(void) {
    struct pr_limits limits = {.requests_per_second = 1, .request_burst = 40};
    struct scene scene = scene_for(1, limits);
    unsigned answered = 0;
    for (int each = 0; each < 20; each++) {
        int guest = visit(&scene);
        get(&scene, guest, 0, 100); /* its lane takes a batch of ten */
        close(guest);
        wait_until(counted(scene.relay).connections == 0, 5000);
        answered++;
    }
    int guest = visit(&scene);
    answered += ask_until_limited(&scene, guest);
    CHECK(answered >= 30);
    close(guest);
    scene_close(&scene);
}

static void node_counts_what_it_reads_itself(void) {
    static const char posts[] = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx";
    struct pr_limits limits = {.requests_per_second = 1, .request_burst = 4};
    struct scene scene = scene_for(1, limits);
    uint64_t then = pr_now();
    int guest = visit(&scene), answered = 0;
    SAY(guest, posts);
    struct side side = expect_arrival(&scene, PR_RETURN_HANDED, posts, sizeof posts - 1);
    while (pr_client_ask(scene.relay, side.id) == 1) answered++;
    CHECK(answered >= 4 && (uint64_t)answered <= most_since(then, &limits));
    CHECK_EQUAL(pr_client_ask(scene.relay, 12345), -EBADF);
    close(side.ours);
    CHECK_EQUAL(pr_connection_close(scene.relay, side.id), 0);
    close(guest);
    scene_close(&scene);
}

static void a_request_that_node_gets_with_its_connection_counts_there_alone(void) {
    static const char last[] = "GET /regions/b HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    struct pr_limits limits = {.requests_per_second = 1, .request_burst = 3};
    struct scene scene = scene_for(1, limits);
    int guest = visit(&scene), answered = 0;
    SAY(guest, last);
    struct side side = expect_arrival(&scene, PR_RETURN_HANDED, last, sizeof last - 1);
    while (pr_client_ask(scene.relay, side.id) == 1) answered++;
    CHECK(answered >= 2); /* of three, one may be with the lane, which has taken it back */
    close(side.ours);
    CHECK_EQUAL(pr_connection_close(scene.relay, side.id), 0);
    close(guest);
    scene_close(&scene);
}

/* The table. */

static void however_many_addresses_come_few_are_remembered(void) {
    enum { ADDRESSES = 40000 };
    struct scene scene = scene_for(1, (struct pr_limits){0});
    struct pr_relay *relay = scene.relay;
    pr_limit(relay, (struct pr_limits[PR_PLACES]){[PR_ELSEWHERE] = {.requests_per_second = 1, .request_burst = 3600}});
    struct pr_connection connection = {.relay = relay, .poller = &relay->lanes->list[0].poller};
    size_t allocated = pr_allocated_bytes(), most = 0;
    connection.peer.there.six = (struct sockaddr_in6){.sin6_family = AF_INET6};
    for (uint32_t each = 0; each < ADDRESSES; each++) {
        memcpy(&connection.peer.there.six.sin6_addr.s6_addr[4], &each, sizeof each); /* of one /32 */
        pr_lock(relay);
        pr_client_join(&connection);
        pr_unlock(relay);
        for (int times = 0; times < 60; times++) CHECK(pr_client_may_ask(&connection)); /* full again in a minute */
        pr_lock(relay);
        pr_client_leave(&connection);
        pr_unlock(relay);
        if (pr_allocated_bytes() - allocated > most) most = pr_allocated_bytes() - allocated;
    }
    CHECK_EQUAL(relay->wire->clients.waiting_count, 1 << 14);
    CHECK(most < 3 << 20);
    scene_close(&scene);
}

int main(void) {
    RUN(addresses_of_ipv6_count_by_their_network);
    RUN(clients_of_this_machine_are_told_apart_from_others);
    RUN(a_client_of_ipv4_that_is_mapped_is_the_same_client);
    RUN(one_connection_too_many_of_an_address_is_refused);
    RUN(where_it_is_given_for_others_alone_this_machine_is_not_limited);
    RUN(a_proxy_that_is_trusted_is_no_client);
    RUN(who_asks_too_often_is_told_so_and_keeps_its_connection);
    RUN(who_wants_no_range_gets_a_document);
    RUN(all_connections_and_lanes_share_what_an_address_may);
    RUN(what_a_lane_has_not_spent_goes_back_with_its_last_connection);
    RUN(node_counts_what_it_reads_itself);
    RUN(a_request_that_node_gets_with_its_connection_counts_there_alone);
    RUN(however_many_addresses_come_few_are_remembered);
    return 0;
}

/*
 * Many at once. Clients in threads ask lanes for ranges of a region that is overwritten under leases all the time,
 * while it is published, withdrawn, and Node answers, resumes and closes: each answer is one snapshot, of the version
 * that its entity-tag names, and not older than the request. Under ThreadSanitizer.
 */
#include "scene.h"

enum { SHARED = 64 << 10, VISITORS = 4, PILE = 16, SIDES = 256 };

/* What was there when a visitor asked, at the least. Each write is one version, and its bytes are those of a revision.
 */
static atomic_uint written;
static atomic_bool over;

struct visitor {
    pthread_t thread;
    const struct scene *scene;
    uint64_t random, by_lanes, by_node, visits;
};

static bool receive(int peer, void *into, size_t length) {
    return recv(peer, into, length, MSG_WAITALL) == (ssize_t)length;
}

static bool is_revision(const unsigned char *body, uint64_t offset, size_t length, unsigned revision) {
    static _Thread_local unsigned char expected[SHARED];
    content(offset, length, revision, expected);
    return memcmp(body, expected, length) == 0;
}

/* By its entity-tag. */
static unsigned revision_of(const char *head) {
    static const char first[] = "\r\netag: \"a\"\r\n";
    unsigned revision = 0;
    const char *etag = strstr(head, "\r\netag: ");
    if (strncmp(etag, first, sizeof first - 1) != 0) CHECK_EQUAL(sscanf(etag, "\r\netag: \"a.1.%u\"", &revision), 1);
    return revision;
}

/* Until the empty line. */
static bool receive_head(int peer, char *into, size_t capacity) {
    for (size_t length = 0; length + 1 < capacity; length++) {
        if (recv(peer, into + length, 1, 0) != 1) return false;
        into[length + 1] = '\0';
        if (length >= 3 && memcmp(into + length - 3, "\r\n\r\n", 4) == 0) return true;
    }
    FAIL("no end of a head: %s", into);
}

static bool receive_answer(struct visitor *visitor, int peer, uint64_t offset, uint64_t length, unsigned oldest) {
    static _Thread_local unsigned char body[SHARED];
    char head[1024], range[128];
    if (!receive_head(peer, head, sizeof head)) return false;
    if (strncmp(head, of_node, strlen("HTTP/1.1 200")) == 0) {
        visitor->by_node++;
        return receive(peer, body, 7) && memcmp(body, "of Node", 7) == 0;
    }
    sprintf(range, "content-length: %llu\r\ncontent-range: bytes %llu-%llu/%d\r\n", (unsigned long long)length,
            (unsigned long long)offset, (unsigned long long)(offset + length - 1), SHARED);
    if (!strstr(head, range)) FAIL("not %s in %s", range, head);
    if (!receive(peer, body, (size_t)length)) return false;
    unsigned revision = revision_of(head);
    CHECK(revision >= oldest);
    if (!is_revision(body, offset, (size_t)length, revision))
        FAIL("%llu bytes at %llu are not of version %u", (unsigned long long)length, (unsigned long long)offset,
             revision);
    visitor->by_lanes++;
    return true;
}

/* One pile of requests, in one write or two. */
static bool ask_pile(struct visitor *visitor, int peer) {
    char requests[PILE * 256];
    uint64_t offsets[PILE], lengths[PILE];
    size_t length = 0;
    unsigned count = 1 + (unsigned)test_below(&visitor->random, PILE), oldest = atomic_load(&written);
    if (test_below(&visitor->random, 2)) count = 1;
    for (unsigned index = 0; index < count; index++) {
        offsets[index] = test_below(&visitor->random, SHARED);
        lengths[index] = 1 + test_below(&visitor->random, SHARED - offsets[index]);
        length += write_range(requests + length, offsets[index], lengths[index]);
    }
    size_t first = test_below(&visitor->random, 4) ? length : test_below(&visitor->random, length);
    if (first > 0 && send(peer, requests, first, MSG_NOSIGNAL) < 0) return false;
    if (first < length && test_below(&visitor->random, 2)) test_pause();
    if (first < length && send(peer, requests + first, length - first, MSG_NOSIGNAL) < 0) return false;
    if (test_below(&visitor->random, 100) == 0) return false;
    for (unsigned index = 0; index < count; index++)
        if (!receive_answer(visitor, peer, offsets[index], lengths[index], oldest)) return false;
    return test_below(&visitor->random, 40) > 0;
}

static void *visit_again_and_again(void *argument) {
    struct visitor *visitor = argument;
    while (!atomic_load(&over)) {
        int peer = visit_with(visitor->scene, ROOMY);
        struct timeval brief = {.tv_sec = 2};
        MUST(setsockopt(peer, SOL_SOCKET, SO_RCVTIMEO, &brief, sizeof brief));
        while (!atomic_load(&over) && ask_pile(visitor, peer)) continue;
        if (test_below(&visitor->random, 4) == 0) shutdown(peer, SHUT_WR);
        if (test_below(&visitor->random, 2))
            reset(peer);
        else
            close(peer);
        visitor->visits++;
    }
    return NULL;
}

/* Node's part. */

struct house {
    struct scene scene;
    struct side sides[SIDES];
    uint64_t random, epoch, version, lease, writes, fed, resumed;
};

static struct side *place_of(struct house *house, uint64_t id) {
    for (unsigned each = 0; each < SIDES; each++)
        if (house->sides[each].id == id) return &house->sides[each];
    return NULL;
}

static void show_out(struct house *house, struct side *side) {
    node_closes(&house->scene, side);
    side->id = 0;
}

static void publish_again(struct house *house) {
    struct pr_publication given = publication_of(&house->scene, (enum pr_engine)test_below(&house->random, 3));
    char etag[32];
    snprintf(etag, sizeof etag, house->version ? "\"a.1.%llu\"" : etag_a, (unsigned long long)house->version);
    given.etag = text_of(etag);
    given.epoch = house->epoch;
    given.version = house->version;
    given.copy_below = test_below(&house->random, 3) * 4096;
    given.copy_first_below = test_below(&house->random, 3) * 4096;
    CHECK_EQUAL(pr_publish(house->scene.relay, &given), 0);
    CHECK_EQUAL(pr_allow_host(house->scene.relay, false, text_of("a")), 0);
}

static void answer(struct house *house, struct side *side, enum pr_return how) {
    char bytes[1024];
    size_t count = node_reads(&house->scene, side, bytes, sizeof bytes, how != PR_RETURN_FED);
    house->fed++;
    bool whole = how == PR_RETURN_FED && count >= 4 && memcmp(bytes + count - 4, "\r\n\r\n", 4) == 0;
    /* One whose client has gone meanwhile is handed over, with all that came of it. */
    if (how == PR_RETURN_FED && !whole) CHECK(pr_resume(house->scene.relay, side->id) < 0);
    if (!whole || test_below(&house->random, 50) == 0) {
        show_out(house, side);
        return;
    }
    if (test_below(&house->random, 2)) publish_again(house);
    send(side->ours, of_node, sizeof of_node - 1, MSG_NOSIGNAL);
    if (pr_resume(house->scene.relay, side->id) < 0)
        show_out(house, side); /* its client has gone */
    else
        house->resumed++;
}

static void arrive(struct house *house, const struct pr_event *event) {
    enum pr_peer_kind kind;
    bool forgotten;
    int ours = pr_connection_take(house->scene.relay, event->id, &kind, &forgotten);
    struct side *side = place_of(house, 0);
    CHECK(ours >= 0 && !forgotten && side);
    *side = (struct side){.id = event->id, .ours = ours};
    answer(house, side, (enum pr_return)event->bytes);
}

static void write_all(struct house *house) {
    CHECK_EQUAL(pr_lease_begin(house->scene.relay, house->lease, 1, &house->version), 0);
    house->epoch = 1;
    unsigned revision = atomic_load(&written) + 1;
    CHECK_EQUAL(house->version, revision);
    region_write(&house->scene.region, 0, SHARED, revision);
    CHECK_EQUAL(pr_lease_end(house->scene.relay, house->lease, true, NULL), 0);
    atomic_store(&written, revision);
    house->lease = 0;
    house->writes++;
}

static void hear(struct house *house, const struct pr_event *event) {
    struct side *side = event->id != 0 ? place_of(house, event->id) : NULL;
    if (event->kind == PR_EVENT_ARRIVED) arrive(house, event);
    if (event->kind == PR_EVENT_RETURNED && side) {
        if (event->bytes == PR_RETURN_CLOSED)
            show_out(house, side);
        else
            answer(house, side, (enum pr_return)event->bytes);
    }
    if (event->kind != PR_EVENT_GRANTED || event->id != house->lease) return;
    if (event->error == 0) write_all(house);
    house->lease = 0;
}

static void want_to_write(struct house *house) {
    if (house->lease != 0) return;
    int result =
        pr_lease(house->scene.relay, house->scene.region.generation, 0, SHARED, PR_NEEDS_DONE, true, &house->lease);
    if (result == 1) write_all(house);
    if (result < 0) house->lease = 0;
}

static void hear_all(struct house *house) {
    struct pr_event event;
    while (pr_events(house->scene.relay, &event, 1) == 1) hear(house, &event);
}

static void keep_house(struct house *house) {
    hear_all(house);
    uint64_t what = test_below(&house->random, 1000);
    if (what < 3) pr_withdraw(house->scene.relay);
    if (what == 3) pr_suspend(house->scene.relay);
    if (what == 4) pr_forget_allowed(house->scene.relay);
    if (what >= 5 && what < 20) publish_again(house);
    if (what > 990) want_to_write(house);
    if (what >= 980 && what < 985) { /* whichever it is, and whatever a lane does with it */
        struct side *side = &house->sides[test_below(&house->random, SIDES)];
        if (side->id != 0) show_out(house, side);
    }
    if (house->lease) pr_press(house->scene.relay, 0.2);
    if (what % 8 == 0) test_pause();
}

static void visitors_get_snapshots_whoever_answers(void) {
    static struct house house;
    static struct visitor visitors[VISITORS];
    struct pr_options options = options_with(2);
    options.max_broken_off = 1000;
    house = (struct house){.random = test_seed()};
    house.scene = scene_with(options, patient(), SHARED, 0);
    publish_again(&house);
    for (unsigned each = 0; each < VISITORS; each++) {
        visitors[each] = (struct visitor){.scene = &house.scene, .random = test_random(&house.random)};
        MUST(-pthread_create(&visitors[each].thread, NULL, visit_again_and_again, &visitors[each]));
    }
    for (uint64_t end = pr_now() + 4000000000u; pr_now() < end;) keep_house(&house);
    atomic_store(&over, true);
    uint64_t by_lanes = 0, by_node = 0, visits = 0;
    for (unsigned each = 0; each < VISITORS; each++) {
        while (pthread_tryjoin_np(visitors[each].thread, NULL) == EBUSY) keep_house(&house);
        by_lanes += visitors[each].by_lanes;
        by_node += visitors[each].by_node;
        visits += visitors[each].visits;
    }
    stop_listening(&house.scene);
    if (house.lease) CHECK_EQUAL(pr_lease_end(house.scene.relay, house.lease, false, NULL), 0);
    house.lease = 0; /* it may have been granted just before, as an event tells */
    for (uint64_t end = pr_now() + 10000000000u; counted(house.scene.relay).connections > 0 && pr_now() < end;) {
        hear_all(&house);
        for (unsigned each = 0; each < SIDES; each++)
            if (house.sides[each].id != 0) show_out(&house, &house.sides[each]);
        test_pause();
    }
    CHECK_EQUAL(counted(house.scene.relay).connections, 0);
    CHECK_EQUAL(references(house.scene.relay), counted(house.scene.relay).quarantined);
    printf("  %llu visits, %llu answers of lanes, %llu of Node, %llu fed, %llu resumed, %llu writes\n",
           (unsigned long long)visits, (unsigned long long)by_lanes, (unsigned long long)by_node,
           (unsigned long long)house.fed, (unsigned long long)house.resumed, (unsigned long long)house.writes);
    CHECK(by_lanes > 100 && by_node > 10 && house.resumed > 10 && house.writes > 5);
    region_close(house.scene.relay, &house.scene.region);
    pr_relay_destroy(house.scene.relay);
}

int main(void) {
    RUN(visitors_get_snapshots_whoever_answers);
    return 0;
}

/*
 * Every call that the responder makes fails once, in each state of a connection: the client is answered, by the lane or
 * by Node, or sees its connection end; nothing is left behind, and the next client is served.
 */
#include "scene.h"

enum { PLACES = 5 };

static const struct {
    enum pr_call call;
    int error;
} faults[] = {
    {PR_CALL_ALLOCATE, ENOMEM}, {PR_CALL_EPOLL_CTL, ENOMEM}, {PR_CALL_RECV, ENOMEM},   {PR_CALL_RECV, ECONNRESET},
    {PR_CALL_SEND, ENOBUFS},    {PR_CALL_SEND, ECONNRESET},  {PR_CALL_SENDFILE, EIO},  {PR_CALL_SPLICE, EPIPE},
    {PR_CALL_PIPE, EMFILE},     {PR_CALL_PREAD, EIO},        {PR_CALL_FSTAT, EIO},     {PR_CALL_OPEN, EMFILE},
    {PR_CALL_DIAG, ENOBUFS},    {PR_CALL_ACCEPT, EMFILE},    {PR_CALL_ACCEPT, ENOMEM}, {PR_CALL_ACCEPT, ECONNABORTED},
    {PR_CALL_DUP, EMFILE},      {PR_CALL_SEND, EINTR},       {PR_CALL_RECV, EINTR},
};
enum { FAULTS = sizeof faults / sizeof *faults };

/* Node's part here: whatever comes is answered by itself, and given back, or its connection closed. */

struct node {
    struct side sides[8];
    unsigned count;
    uint64_t heard;
};

static struct side *known(struct node *node, uint64_t id) {
    for (unsigned each = 0; each < node->count; each++)
        if (node->sides[each].id == id) return &node->sides[each];
    return NULL;
}

static void forget(struct node *node, struct side *side) {
    *side = node->sides[--node->count];
}

static void closes(const struct scene *scene, struct node *node, struct side *side) {
    close(side->ours);
    pr_connection_close(scene->relay, side->id);
    forget(node, side);
}

/* Node reads what it was given: a head that is whole is answered. */
static void serves(const struct scene *scene, struct node *node, struct side *side, enum pr_return how) {
    char bytes[1024];
    size_t count = node_reads(scene, side, bytes, sizeof bytes, how != PR_RETURN_FED);
    bool whole = count >= 4 && memcmp(bytes + count - 4, "\r\n\r\n", 4) == 0;
    if (whole) send(side->ours, of_node, sizeof of_node - 1, MSG_NOSIGNAL);
    if (how != PR_RETURN_FED || pr_resume(scene->relay, side->id) < 0) closes(scene, node, side);
}

static void hears(const struct scene *scene, struct node *node) {
    struct pr_event event;
    while (pr_events(scene->relay, &event, 1) == 1) {
        node->heard++;
        enum pr_return how = (enum pr_return)event.bytes;
        if (event.kind == PR_EVENT_ARRIVED) {
            enum pr_peer_kind kind;
            bool forgotten;
            struct side side = {.id = event.id};
            side.ours = pr_connection_take(scene->relay, event.id, &kind, &forgotten);
            if (side.ours >= 0 && forgotten) close(side.ours);
            if (side.ours < 0 || forgotten) continue;
            CHECK(node->count < 8);
            node->sides[node->count++] = side;
            serves(scene, node, &node->sides[node->count - 1], how);
        } else if (event.kind == PR_EVENT_RETURNED) {
            struct side *side = known(node, event.id);
            if (side && how == PR_RETURN_CLOSED)
                closes(scene, node, side);
            else if (side)
                serves(scene, node, side, how);
        }
    }
}

/* A client that asks, and is answered in any way, or closed: false when it was. */
static bool is_served(const struct scene *scene, struct node *node, int guest, const char *request, size_t least) {
    char bytes[65536];
    size_t got = 0;
    if (send(guest, request, strlen(request), MSG_NOSIGNAL) < 0) return false;
    for (uint64_t end = pr_now() + 10000000000u; pr_now() < end; test_pause()) {
        hears(scene, node);
        ssize_t part = recv(guest, bytes, sizeof bytes, MSG_DONTWAIT);
        if (part == 0 || (part < 0 && errno != EAGAIN)) return false;
        if (part < 0) continue;
        bool by_node =
            got == 0 && (size_t)part >= sizeof of_node - 1 && memcmp(bytes, of_node, sizeof of_node - 1) == 0;
        got += (size_t)part;
        if (by_node || got >= least) return true;
    }
    FAIL("\"%s\" was neither answered nor ended after %zu bytes", request, got);
}

static const struct step {
    const char *request;
    size_t least; /* bytes that a lane's answer has at least */
} steps[] = {
    {"GET /regions/a HTTP/1.1\r\nHost: a\r\nRange: bytes=0-99\r\n\r\n", 300},
    {"GET /regions/a HTTP/1.1\r\nHost: a\r\n\r\n", SIZE + 100},
    {"HEAD /regions/a HTTP/1.1\r\nHost: a\r\n\r\n", 150},
    {"GET /regions/a HTTP/1.1\r\nHost: a\r\nIf-None-Match: \"a\"\r\n\r\n", 80},
    {"GET /regions/b HTTP/1.1\r\nHost: a\r\n\r\n", SIZE_MAX},
    {"GET /regions/a HTTP/1.1\r\nHost: a\r\nRange: bytes=5-20000\r\n\r\n", 20200},
};
enum { STEPS = sizeof steps / sizeof *steps };

/* The step fails; those before it, and those of the next client, do not. Returns whether the client saw an end. */
static bool fail_at(enum pr_engine engine, unsigned fault, unsigned place, unsigned at) {
    struct scene scene = scene_open();
    struct node node = {.count = 0};
    publish(&scene, engine);
    int guest = visit_with(&scene, NARROW);
    bool there = true;
    for (unsigned each = 0; each < at; each++)
        CHECK(is_served(&scene, &node, guest, steps[each].request, steps[each].least));
    pr_fault_set(faults[fault].call, faults[fault].error, place, 1);
    there = is_served(&scene, &node, guest, steps[at].request, steps[at].least);
    if (there) there = is_served(&scene, &node, guest, steps[0].request, steps[0].least);
    pr_fault_set(faults[fault].call, 0, 0, 0);
    close(guest);
    for (uint64_t end = pr_now() + 8000000000u; counted(scene.relay).connections > 0 && pr_now() < end; test_pause())
        hears(&scene, &node);
    CHECK_EQUAL(counted(scene.relay).connections, 0);
    while (node.count > 0) closes(&scene, &node, &node.sides[0]);
    publish(&scene, engine);
    int next = visit(&scene);
    get(&scene, next, 5, 100);
    close(next);
    scene_close(&scene);
    return !there;
}

static void every_call_fails_once_in_every_state(void) {
    for (unsigned fault = 0; fault < FAULTS; fault++) {
        unsigned ended = 0, tried = 0;
        for (unsigned at = 0; at < STEPS; at++)
            for (unsigned place = 0; place < PLACES; place++, tried++)
                ended += fail_at((enum pr_engine)(tried % 3), fault, place, at);
        printf("  %s, %s: %u of %u clients saw an end\n", pr_call_name(faults[fault].call),
               strerror(faults[fault].error), ended, tried);
    }
}

/* A socket that takes half of a response, when there is no memory to keep the rest: Node may not answer once more. */

static struct pr_sys routed;
static atomic_bool halves;

static ssize_t half_send(int fd, const void *bytes, size_t length, int flags) {
    if (!atomic_exchange(&halves, false)) return routed.send(fd, bytes, length, flags);
    pr_fault_set(PR_CALL_ALLOCATE, ENOMEM, 0, 1);
    return routed.send(fd, bytes, length / 2, flags);
}

static void what_was_begun_is_not_answered_again_when_memory_is_short(void) {
    struct scene scene = scene_open();
    for (int is_known = 0; is_known < 2; is_known++) {
        char bytes[512];
        int guest = visit(&scene);
        struct side side = {.id = 0};
        if (is_known) side = introduce(&scene, guest);
        atomic_store(&halves, true);
        SAY(guest, head_a);
        if (is_known) expect_return(&scene, &side, PR_RETURN_CLOSED, NULL, 0);
        if (is_known) node_closes(&scene, &side);
        ssize_t count = recv(guest, bytes, sizeof bytes, MSG_WAITALL);
        CHECK(count > 0);
        CHECK(!memmem(bytes, (size_t)count, "\r\n\r\n", 4)); /* it was not finished by anybody */
        CHECK(no_event(scene.relay));
        close(guest);
    }
    scene_close(&scene);
}

int main(void) {
    pr_faults_enable();
    routed = pr_sys;
    pr_sys.send = half_send;
    RUN(what_was_begun_is_not_answered_again_when_memory_is_short);
    RUN(every_call_fails_once_in_every_state);
    return 0;
}

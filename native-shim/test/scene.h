/* What tests of the responder share: a relay that listens, a published region, its clients, and Node's part. */
#ifndef PR_SCENE_H
#define PR_SCENE_H

#include "test.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "http/answer.h"
#include "http/handover.h"
#include "http/known.h"
#include "http/published.h"
#include "http/responder.h"

enum { PAGE = 4096, SIZE = 1 << 20, LARGE = 24 << 20, LISTENED = 2, MOST_BYTES = 4096 };

static const char path_a[] = "/regions/a", etag_a[] = "\"a\"", link_a[] = "link: <?version=a>; rel=\"bookmark\"\r\n",
                  date_a[] = "Sun, 06 Nov 1994 08:49:37 GMT";
static const char fields_a[] = "x-all: 1\r\n", type_a[] = "content-type: a/b\r\n", others_a[] = "x-own: 1\r\n";
static const char get_a[] = "GET /regions/a HTTP/1.1\r\nHost: a\r\n\r\n";
static const char get_b[] = "GET /regions/b HTTP/1.1\r\nHost: a\r\n\r\n";
static const char head_a[] = "HEAD /regions/a HTTP/1.1\r\nHost: a\r\n\r\n";
static const char of_node[] = "HTTP/1.1 200 OK\r\ncontent-length: 7\r\n\r\nof Node";

struct scene {
    struct pr_relay *relay;
    struct region region;
    char name[64]; /* of its file */
    int listener;
    uint64_t door;
    union {
        struct sockaddr any;
        struct sockaddr_in four;
        struct sockaddr_un name;
    } address;
    socklen_t address_length;
    unsigned keep_alive;
    struct pr_publication publication;
};

#define TEXT(literal)                                                                                                  \
    { .at = (literal), .length = sizeof(literal) - 1 }

static inline struct pr_text text_of(const char *string) {
    return (struct pr_text){.at = string, .length = strlen(string)};
}

static inline struct pr_publication publication_of(const struct scene *scene, enum pr_engine engine) {
    return (struct pr_publication){
        .path = TEXT(path_a),
        .generation = scene->region.generation,
        .name = text_of(scene->name),
        .etag = TEXT(etag_a),
        .last_modified = TEXT(date_a),
        .fields = TEXT(fields_a),
        .content_type = TEXT(type_a),
        .others = TEXT(others_a),
        .engine = engine,
        .large = engine,
    };
}

static inline void publish(struct scene *scene, enum pr_engine engine) {
    struct pr_publication given = publication_of(scene, engine);
    CHECK_EQUAL(pr_publish(scene->relay, &given), 0);
}

static inline void respond_with(struct scene *scene, struct pr_responding responding) {
    scene->keep_alive = responding.keep_alive;
    CHECK_EQUAL(pr_respond(scene->relay, &responding), 0);
}

static inline int open_plain_door(struct pr_relay *relay, int fd, uint64_t *door) {
    const struct pr_door_options plain = {.node = -1};
    return pr_door_open(relay, fd, &plain, door);
}

/* Any port of TCP, or any name of AF_UNIX. */
static inline void listen_at_all(struct scene *scene, int family, int send_buffer) {
    socklen_t length = family == AF_UNIX ? sizeof(sa_family_t) : sizeof scene->address.four;
    scene->address.four = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    scene->address.any.sa_family = (sa_family_t)family;
    scene->listener = (int)MUST(socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0));
    /* What is accepted inherits it. */
    if (send_buffer > 0) MUST(setsockopt(scene->listener, SOL_SOCKET, SO_SNDBUF, &send_buffer, sizeof send_buffer));
    MUST(bind(scene->listener, &scene->address.any, length));
    MUST(listen(scene->listener, 511));
    scene->address_length = sizeof scene->address;
    MUST(getsockname(scene->listener, &scene->address.any, &scene->address_length));
    CHECK_EQUAL(open_plain_door(scene->relay, scene->listener, &scene->door), 0);
}

static inline struct scene scene_by(int family, struct pr_options options, struct pr_responding responding,
                                    uint64_t size, int send_buffer) {
    struct scene scene = {.relay = relay_start(options)};
    scene.region = region_create(scene.relay, size);
    snprintf(scene.name, sizeof scene.name, "/proc/self/fd/%d", scene.region.fd);
    respond_with(&scene, responding);
    CHECK_EQUAL(pr_allow_host(scene.relay, false, text_of("a")), 0);
    listen_at_all(&scene, family, send_buffer);
    return scene;
}

static inline struct scene scene_with(struct pr_options options, struct pr_responding responding, uint64_t size,
                                      int send_buffer) {
    return scene_by(AF_INET, options, responding, size, send_buffer);
}

static inline struct pr_responding patient(void) {
    return (struct pr_responding){.keep_alive = 72, .head = 60};
}

/* One lane, and a region that it answers for by references. */
static inline struct scene scene_open(void) {
    struct scene scene = scene_with(options_with(1), patient(), SIZE, 0);
    publish(&scene, PR_ENGINE_SENDFILE);
    return scene;
}

static inline void check_quiet(const struct scene *scene) {
    wait_until(references(scene->relay) == 0, 5000);
    struct pr_counters counters = counted(scene->relay);
    CHECK_EQUAL(counters.held_bytes, 0);
    CHECK_EQUAL(counters.quarantined, 0);
    CHECK_EQUAL(counters.broken_off, 0);
}

static inline void wait_empty(const struct scene *scene) {
    wait_until(counted(scene->relay).connections == 0, 8000);
    CHECK_EQUAL(counted(scene->relay).reading, 0);
    check_quiet(scene);
}

static inline void stop_listening(struct scene *scene) {
    if (scene->listener < 0) return;
    CHECK_EQUAL(pr_door_close(scene->relay, scene->door), 0);
    close(scene->listener);
    scene->listener = -1;
}

static inline void scene_close(struct scene *scene) {
    stop_listening(scene);
    wait_empty(scene);
    wait_until(test_watched(scene->relay->lanes->list[0].poller.epoll) == 1, 5000); /* closed behind the lock */
    region_close(scene->relay, &scene->region);
    pr_relay_destroy(scene->relay);
}

/* Clients. */

static inline int visit_with(const struct scene *scene, int receive_buffer) {
    int fd = (int)MUST(socket(scene->address.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
    struct timeval patience = {.tv_sec = 20};
    MUST(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience));
    if (receive_buffer > 0) MUST(setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof receive_buffer));
    MUST(connect(fd, &scene->address.any, scene->address_length));
    return fd;
}

static inline int visit(const struct scene *scene) {
    return visit_with(scene, 0);
}

static inline void reset(int fd) {
    struct pair pair = {.ours = -1, .peer = fd};
    reset_peer(&pair);
}

static inline void say(int peer, const char *text, size_t length) {
    CHECK_EQUAL(MUST(send(peer, text, length, MSG_NOSIGNAL)), length);
}

#define SAY(peer, text) say(peer, text, sizeof(text) - 1)

static inline size_t write_request(char *into, const char *lines) {
    return (size_t)sprintf(into, "GET %s HTTP/1.1\r\nHost: a\r\n%s\r\n", path_a, lines);
}

static inline void ask(int peer, const char *lines) {
    char request[1024];
    say(peer, request, write_request(request, lines));
}

static inline size_t write_range(char *into, uint64_t offset, uint64_t length) {
    char line[64];
    sprintf(line, "Range: bytes=%llu-%llu\r\n", (unsigned long long)offset, (unsigned long long)(offset + length - 1));
    return write_request(into, line);
}

static inline void ask_range(int peer, uint64_t offset, uint64_t length) {
    char request[256];
    say(peer, request, write_range(request, offset, length));
}

static inline void expect_end(int peer) {
    char byte;
    CHECK_EQUAL(MUST(recv(peer, &byte, 1, 0)), 0);
}

static inline void read_text(int peer, const char *text, size_t length) {
    char got[MOST_BYTES];
    CHECK(length <= sizeof got);
    ssize_t count = recv(peer, got, length, MSG_WAITALL);
    if (count != (ssize_t)length || memcmp(got, text, length) != 0)
        FAIL("got \"%.*s\", not \"%.*s\"", (int)(count > 0 ? count : 0), got, (int)length, text);
}

/* How a response begins. */
struct begin {
    unsigned status;
    uint64_t offset, length;
    bool closes;
};

/* The head to the byte, but for what the date is. */
static inline void read_begin_of(int peer, struct begin begin, uint64_t size, unsigned keep_alive) {
    static const char *const lines[] = {"206 Partial Content", "200 OK", "304 Not Modified"};
    enum { DATE = 29 };
    char before[512], behind[128], date[DATE];
    const char *line = lines[begin.status == 206 ? 0 : begin.status == 200 ? 1 : 2];
    int length =
        sprintf(before, "HTTP/1.1 %s\r\netag: %s\r\nlast-modified: %s\r\n%s%s", line, etag_a, date_a, link_a, fields_a);
    if (begin.status != 304)
        length += sprintf(before + length, "%scontent-length: %llu\r\n", type_a, (unsigned long long)begin.length);
    if (begin.status == 206)
        length += sprintf(before + length, "content-range: bytes %llu-%llu/%llu\r\n", (unsigned long long)begin.offset,
                          (unsigned long long)(begin.offset + begin.length - 1), (unsigned long long)size);
    if (begin.status != 304) length += sprintf(before + length, "%s", others_a);
    length += sprintf(before + length, "Date: ");
    read_text(peer, before, (size_t)length);
    CHECK_EQUAL(MUST(recv(peer, date, DATE, MSG_WAITALL)), DATE);
    CHECK(memcmp(date + DATE - 4, " GMT", 4) == 0);
    length = begin.closes ? sprintf(behind, "\r\nConnection: close\r\n\r\n")
                          : sprintf(behind, "\r\nConnection: keep-alive\r\nKeep-Alive: timeout=%u\r\n\r\n", keep_alive);
    read_text(peer, behind, (size_t)length);
}

static inline void read_begin(const struct scene *scene, int peer, struct begin begin) {
    read_begin_of(peer, begin, scene->region.size, scene->keep_alive);
}

static inline void read_range(const struct scene *scene, int peer, uint64_t offset, uint64_t length) {
    read_begin(scene, peer, (struct begin){.status = 206, .offset = offset, .length = length});
    read_body(peer, offset, length, 0);
}

static inline void read_whole(const struct scene *scene, int peer) {
    read_begin(scene, peer, (struct begin){.status = 200, .length = scene->region.size});
    read_body(peer, 0, scene->region.size, 0);
}

static inline void get(const struct scene *scene, int peer, uint64_t offset, uint64_t length) {
    ask_range(peer, offset, length);
    read_range(scene, peer, offset, length);
}

static inline uint64_t answers_so_far(const struct scene *scene) {
    struct pr_counters counters = counted(scene->relay);
    uint64_t sum = 0;
    for (int kind = 0; kind < PR_ANSWERED_COUNT; kind++) sum += counters.answers[kind];
    return sum;
}

/* Node's part. */

struct side {
    uint64_t id;
    int ours;
};

/* What Node reads of it now: first what the lane has read, then the socket. */
static inline size_t node_reads(const struct scene *scene, const struct side *side, char *into, size_t capacity,
                                bool socket) {
    size_t length = pr_unread(scene->relay, side->id, into, capacity);
    CHECK(length <= capacity);
    ssize_t part = socket ? recv(side->ours, into + length, capacity - length, MSG_DONTWAIT) : 0;
    return part > 0 ? length + (size_t)part : length;
}

/* That, and nothing else. */
static inline void expect_read(const struct scene *scene, const struct side *side, const char *text, size_t length,
                               bool socket) {
    char *got = malloc(length + 64);
    size_t count = node_reads(scene, side, got, length + 64, socket);
    for (uint64_t end = pr_now() + 5000000000u; socket && count < length && pr_now() < end; test_pause())
        count += node_reads(scene, side, got + count, length + 64 - count, true);
    if (count != length || memcmp(got, text, length) != 0)
        FAIL("Node reads \"%.*s\", not \"%.*s\"", (int)count, got, (int)length, text);
    free(got);
}

static inline void take(const struct scene *scene, struct side *side) {
    enum pr_peer_kind kind;
    bool forgotten;
    side->ours = pr_connection_take(scene->relay, side->id, &kind, &forgotten);
    if (side->ours < 0) FAIL("take: %s", strerror(-side->ours));
    CHECK(!forgotten);
    CHECK_EQUAL(pr_connection_take(scene->relay, side->id, &kind, &forgotten), -EBADF);
}

/* A connection comes to Node for the first time, with exactly this to read. */
static inline struct side expect_arrival(const struct scene *scene, enum pr_return how, const char *text,
                                         size_t length) {
    struct pr_event event = next_event(scene->relay);
    CHECK_EQUAL(event.kind, PR_EVENT_ARRIVED);
    CHECK_EQUAL(event.bytes, how);
    struct side side = {.id = event.id};
    take(scene, &side);
    expect_read(scene, &side, text, length, how != PR_RETURN_FED);
    return side;
}

static inline void expect_return(const struct scene *scene, const struct side *side, enum pr_return how,
                                 const char *text, size_t length) {
    struct pr_event event = next_event(scene->relay);
    CHECK_EQUAL(event.kind, PR_EVENT_RETURNED);
    CHECK_EQUAL(event.id, side->id);
    CHECK_EQUAL(event.bytes, how);
    if (how != PR_RETURN_CLOSED) expect_read(scene, side, text, length, how != PR_RETURN_FED);
}

/* What Node was fed is answered, and the client has it; the lane reads on. */
static inline void node_answers(const struct scene *scene, const struct side *side, int peer) {
    SAY(side->ours, of_node);
    read_text(peer, of_node, sizeof of_node - 1);
    CHECK_EQUAL(pr_resume(scene->relay, side->id), 0);
}

static inline void node_closes(const struct scene *scene, struct side *side) {
    close(side->ours);
    CHECK_EQUAL(pr_connection_close(scene->relay, side->id), 0);
}

/* A connection that Node knows, and a lane reads. */
static inline struct side introduce(const struct scene *scene, int peer) {
    SAY(peer, get_b);
    struct side side = expect_arrival(scene, PR_RETURN_FED, get_b, sizeof get_b - 1);
    node_answers(scene, &side, peer);
    return side;
}

/* Of one that lanes answer nothing on any more. */
static inline void check_is_nodes(const struct scene *scene, struct side *side, int peer) {
    CHECK_EQUAL(pr_resume(scene->relay, side->id), -EBUSY);
    SAY(side->ours, of_node);
    read_text(peer, of_node, sizeof of_node - 1);
    node_closes(scene, side);
    close(peer);
}

/* Its client goes, and Node where it knows of that. */
static inline void finish(struct scene *scene, int guest, struct side *side) {
    close(guest);
    if (side->id != 0) expect_return(scene, side, PR_RETURN_CLOSED, NULL, 0);
    if (side->id != 0) node_closes(scene, side);
    scene_close(scene);
}

/* Slow readers. */

static inline struct scene slow_scene(enum pr_engine engine) {
    struct scene scene = scene_with(options_with(1), patient(), LARGE, 0);
    publish(&scene, engine);
    return scene;
}

/* A body that the sockets' buffers can't hold. */
static inline int begin_slow_answer(const struct scene *scene) {
    int guest = visit_with(scene, NARROW);
    SAY(guest, get_a);
    wait_until(counted(scene->relay).by_state[PR_SENDING] == 1, 5000);
    read_begin(scene, guest, (struct begin){.status = 200, .length = LARGE});
    read_body(guest, 0, 1 << 20, 0);
    return guest;
}

static inline void read_rest(int guest) {
    read_body(guest, 1 << 20, LARGE - (1 << 20), 0);
}

#endif

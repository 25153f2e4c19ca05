/* What tests of express share: one connection that can be granted, requests on it, and what comes back. */
#ifndef PR_SCENE_H
#define PR_SCENE_H

#include "test.h"

#include <fcntl.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { PAGE = 4096, SIZE = 1 << 20, LARGE = 24 << 20, WINDOW = 16 << 10, LOG = 256 };

static const char before[] = "GET /regions/a HTTP/1.1\r\nHost: a\r\nRange: ";
static const char after[] = "\r\nAccept: */*\r\n\r\n";
static const char ranged[] = "GET /regions/a HTTP/1.1\r\nHost: a\r\nRange: \r\nAccept: */*\r\n\r\n";
static const char whole[] = "GET /regions/a HTTP/1.1\r\nHost: a\r\n\r\n";
static const char other[] = "GET /regions/b HTTP/1.1\r\nHost: a\r\n\r\n";
static const char head_206[] = "HTTP/1.1 206 Partial Content\r\netag: \"a\"\r\n";
static const char head_200[] = "HTTP/1.1 200 OK\r\ncontent-length: 1048576\r\n\r\n";

struct scene {
    struct pr_relay *relay;
    struct region region;
    struct pair pair;
    uint64_t connection;
    uint64_t returns[PR_RETURN_COUNT]; /* so far */
};

static inline struct pr_options logged(unsigned lanes) {
    struct pr_options options = options_with(lanes);
    options.log_answers = LOG;
    return options;
}

static inline struct scene scene_with(struct pr_options options, uint64_t size, int receive_buffer) {
    struct scene scene = {.relay = relay_start(options)};
    scene.region = region_create(scene.relay, size);
    scene.pair = pair_open(receive_buffer);
    scene.connection = adopt(scene.relay, &scene.pair);
    return scene;
}

static inline struct scene scene_open(void) {
    return scene_with(logged(1), SIZE, ROOMY);
}

/* For so many answers that a log would be full. */
static inline struct scene scene_unlogged(void) {
    return scene_with(options_with(1), SIZE, ROOMY);
}

static inline size_t begun(struct pr_relay *relay) {
    pr_lock(relay);
    size_t count = relay->http->answers.begun;
    pr_unlock(relay);
    return count;
}

static inline void check_idle(struct scene *scene) {
    wait_until(references(scene->relay) == 0, 5000);
    struct pr_counters counters = counted(scene->relay);
    CHECK_EQUAL(counters.granted, 0);
    CHECK_EQUAL(counters.held_bytes, 0);
    CHECK_EQUAL(counters.quarantined, 0);
    CHECK_EQUAL(begun(scene->relay), 0);
}

static inline void scene_close(struct scene *scene) {
    struct pr_answer answers[LOG];
    if (scene->pair.ours >= 0) node_close(scene->relay, scene->connection, &scene->pair);
    close_peer(&scene->pair);
    wait_until(counted(scene->relay).connections == 0, 5000);
    check_idle(scene);
    struct pr_counters counters = counted(scene->relay);
    uint64_t returns = 0;
    for (int why = 0; why < PR_RETURN_COUNT; why++) returns += counters.returns[why];
    CHECK_EQUAL(returns, counters.grants);
    CHECK_EQUAL(counters.broken_off, 0);
    wait_until(test_watched(scene->relay->lanes->list[0].poller.epoll) == 1, 5000); /* closed behind the lock */
    pr_answers(scene->relay, answers, LOG);
    region_close(scene->relay, &scene->region);
    pr_relay_destroy(scene->relay);
}

/* Granting, asking, answers. */

static inline struct pr_grant grant_for(const struct scene *scene, enum pr_engine engine) {
    return (struct pr_grant){
        .generation = scene->region.generation,
        .engine = engine,
        .request = {ranged, sizeof ranged - 1, sizeof before - 1},
        .head = head_206,
        .head_length = sizeof head_206 - 1,
        .seconds = 60,
        .most = 1000000,
    };
}

static inline void give(struct scene *scene, const struct pr_grant *grant) {
    uint64_t granted = counted(scene->relay).granted;
    CHECK_EQUAL(pr_grant(scene->relay, scene->connection, grant, NULL), 0);
    CHECK(counted(scene->relay).granted <= granted + 1);
}

static inline void grant(struct scene *scene, enum pr_engine engine) {
    struct pr_grant given = grant_for(scene, engine);
    give(scene, &given);
}

static inline void say(int peer, const char *text, size_t length) {
    CHECK_EQUAL(MUST(send(peer, text, length, MSG_NOSIGNAL)), length);
}

#define SAY(peer, text) say(peer, text, sizeof(text) - 1)

static inline size_t write_request(char *into, const char *value) {
    return (size_t)sprintf(into, "%s%s%s", before, value, after);
}

static inline void ask(int peer, const char *value) {
    char request[256];
    say(peer, request, write_request(request, value));
}

static inline size_t write_range(char *into, uint64_t offset, uint64_t length) {
    char value[64];
    sprintf(value, "bytes=%llu-%llu", (unsigned long long)offset, (unsigned long long)(offset + length - 1));
    return write_request(into, value);
}

static inline void ask_range(int peer, uint64_t offset, uint64_t length) {
    char request[256];
    say(peer, request, write_range(request, offset, length));
}

static inline void read_text(int peer, const char *text, size_t length) {
    char got[512];
    CHECK(length <= sizeof got);
    ssize_t count = recv(peer, got, length, MSG_WAITALL);
    if (count != (ssize_t)length || memcmp(got, text, length) != 0)
        FAIL("got \"%.*s\", not \"%.*s\"", (int)(count > 0 ? count : 0), got, (int)length, text);
}

static inline void read_head(int peer, uint64_t offset, uint64_t length, uint64_t size) {
    char head[512];
    int count = sprintf(head, "%scontent-length: %llu\r\ncontent-range: bytes %llu-%llu/%llu\r\n\r\n", head_206,
                        (unsigned long long)length, (unsigned long long)offset,
                        (unsigned long long)(offset + length - 1), (unsigned long long)size);
    read_text(peer, head, (size_t)count);
}

static inline void read_answer(struct scene *scene, uint64_t offset, uint64_t length) {
    read_head(scene->pair.peer, offset, length, scene->region.size);
    read_body(scene->pair.peer, offset, length, 0);
}

static inline void expect_answer(struct scene *scene, uint64_t offset, uint64_t length) {
    ask_range(scene->pair.peer, offset, length);
    read_answer(scene, offset, length);
}

static inline uint64_t answers_so_far(struct pr_relay *relay) {
    struct pr_counters counters = counted(relay);
    return counters.answers_ranged + counters.answers_whole;
}

/* Coming back. */

static inline struct pr_event next_but_answers(struct pr_relay *relay) {
    struct pr_event event;
    do event = next_event(relay);
    while (event.kind == PR_EVENT_ANSWERS || event.kind == PR_EVENT_FORGOTTEN);
    return event;
}

/* But for patterns that are forgotten. */
static inline bool nothing_told(struct pr_relay *relay) {
    struct pr_event event;
    while (pr_events(relay, &event, 1) == 1)
        if (event.kind != PR_EVENT_FORGOTTEN) return false;
    return true;
}

static inline struct pr_event expect_event(struct scene *scene, enum pr_return why, uint64_t answers) {
    struct pr_event event = next_but_answers(scene->relay);
    CHECK_EQUAL(event.kind, PR_EVENT_RETURNED);
    CHECK_EQUAL(event.id, scene->connection);
    CHECK_EQUAL(event.bytes, answers);
    for (int each = 0; each < PR_RETURN_COUNT; each++) {
        scene->returns[each] += each == (int)why;
        if (counted(scene->relay).returns[each] != scene->returns[each])
            FAIL("returned for reason %d %llu times, not %llu", each,
                 (unsigned long long)counted(scene->relay).returns[each], (unsigned long long)scene->returns[each]);
    }
    return event;
}

/* Whole: Node can read on where the last answer ended. */
static inline void expect_returned(struct scene *scene, enum pr_return why, uint64_t answers) {
    CHECK_EQUAL(expect_event(scene, why, answers).error, 0);
    CHECK_EQUAL(counted(scene->relay).granted, 0);
}

static inline void expect_broken(struct scene *scene, uint64_t answers, int error) {
    struct pr_event event = expect_event(scene, PR_RETURN_BROKEN, answers);
    bool reset = error == ECONNRESET && event.error == EPIPE;
    if (!reset) CHECK_EQUAL(event.error, error);
}

static inline int unread_bytes(int fd) {
    int count;
    MUST(ioctl(fd, FIONREAD, &count));
    return count;
}

/* What Node reads: first what the lane has read and not answered, then the socket. */
static inline size_t node_receives(struct pr_relay *relay, uint64_t connection, int ours, char *into, size_t capacity) {
    size_t length = pr_unread(relay, connection, into, capacity);
    CHECK(length <= capacity);
    ssize_t part = recv(ours, into + length, capacity - length, MSG_DONTWAIT);
    return part > 0 ? length + (size_t)part : length;
}

/* That, and nothing else. */
static inline void expect_unread(struct scene *scene, const char *text, size_t length) {
    char *got = malloc(length + 1);
    size_t count = 0;
    for (uint64_t end = pr_now() + 5000000000u; count < length && pr_now() < end;)
        count += node_receives(scene->relay, scene->connection, scene->pair.ours, got + count, length + 1 - count);
    count += node_receives(scene->relay, scene->connection, scene->pair.ours, got + count, length + 1 - count);
    CHECK_EQUAL(count, length);
    CHECK(memcmp(got, text, length) == 0);
    free(got);
}

/* Node answers the next request itself, and grants again. */
static inline void check_works(struct scene *scene) {
    int result = serve(scene->relay, scene->connection, &scene->region, PR_ENGINE_SENDFILE, 100, 1000, NULL);
    CHECK_EQUAL(result, 1);
    read_body(scene->pair.peer, 100, 1000, 0);
    grant(scene, PR_ENGINE_SENDFILE);
    expect_answer(scene, 200, 2000);
    SAY(scene->pair.peer, other);
    expect_returned(scene, PR_RETURN_REQUEST, 1);
    expect_unread(scene, other, sizeof other - 1);
    check_idle(scene);
}

static inline void finish(struct scene *scene) {
    check_works(scene);
    scene_close(scene);
}

#endif

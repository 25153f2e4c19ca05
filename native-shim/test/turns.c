/*
 * Turns: a lane listens again when each of its connections has sent so much, so that nobody waits for one that reads as
 * fast as it is sent to. What each turn sends is counted below the core, in its table of system calls.
 */
#include "scene.h"

/* As in lanes/lane.c: of a turn, and what an answer costs at least. */
enum { TURN = 256 << 10, LEAST = 4 << 10, HEADS = 4 << 10 };

enum { DESCRIPTORS = 1024, GREEDY = 3, GUESTS = 4, GETS = 25, PILED = 200 };

/* By the lane alone, between two of its looks at epoll: what each socket has taken, and in how many calls. */
static uint64_t taken[DESCRIPTORS], calls[DESCRIPTORS];
static atomic_uint_fast64_t most_taken, most_calls;

static void count(int fd, ssize_t sent) {
    CHECK(fd < DESCRIPTORS);
    if (sent <= 0) return;
    taken[fd] += (uint64_t)sent;
    calls[fd]++;
    if (taken[fd] > most_taken) most_taken = taken[fd];
    if (calls[fd] > most_calls) most_calls = calls[fd];
}

static ssize_t counted_send(int fd, const void *bytes, size_t length, int flags) {
    ssize_t sent = pr_sys_real.send(fd, bytes, length, flags);
    count(fd, sent);
    return sent;
}

static ssize_t counted_sendfile(int fd, int from, off_t *offset, size_t length) {
    ssize_t sent = pr_sys_real.sendfile(fd, from, offset, length);
    count(fd, sent);
    return sent;
}

/* From a pipe into a socket, not from a file into the pipe. */
static ssize_t counted_splice(int from, loff_t *offset, int fd, loff_t *offset_there, size_t length, unsigned flags) {
    ssize_t sent = pr_sys_real.splice(from, offset, fd, offset_there, length, flags);
    if (!offset) count(fd, sent);
    return sent;
}

static int round_ends(int epoll, struct epoll_event *events, int most, int milliseconds) {
    memset(taken, 0, sizeof taken);
    memset(calls, 0, sizeof calls);
    return pr_sys_real.epoll_wait(epoll, events, most, milliseconds);
}

/* One lane, whose sockets take a turn at once. */
static struct scene counted_scene(enum pr_engine engine) {
    most_taken = most_calls = 0;
    struct scene scene = scene_with(options_with(1), patient(), LARGE, 4 << 20);
    publish(&scene, engine);
    return scene;
}

static atomic_bool over;

/* Asks for far more than there is time for, and reads all that comes. */
static void *be_greedy(void *argument) {
    static _Thread_local char bytes[TURN];
    int fd = visit(argument);
    for (int each = 0; each < 200; each++) SAY(fd, get_a);
    while (!over) MUST(recv(fd, bytes, sizeof bytes, 0));
    reset(fd);
    return NULL;
}

static void who_reads_fast_keeps_nobody_waiting(void) {
    EACH_ENGINE(engine) {
        pthread_t greedy[GREEDY];
        struct scene scene = counted_scene(engine);
        over = false;
        for (int each = 0; each < GREEDY; each++)
            CHECK_EQUAL(pthread_create(&greedy[each], NULL, be_greedy, &scene), 0);
        wait_until(counted(scene.relay).by_state[PR_SENDING] == GREEDY, 5000);
        for (int each = 0; each < GUESTS; each++) {
            int guest = visit(&scene);
            for (uint64_t place = 0; place < GETS; place++) get(&scene, guest, place * PAGE + 5, 3000);
            close(guest);
        }
        over = true;
        for (int each = 0; each < GREEDY; each++) pthread_join(greedy[each], NULL);
        scene_close(&scene);
        CHECK(most_taken >= TURN / 2);
        CHECK(most_taken <= TURN + HEADS);
    }
}

static void a_pile_of_small_requests_is_answered_in_turns(void) {
    struct scene scene = counted_scene(PR_ENGINE_COPY);
    char requests[PILED * 128];
    size_t length = 0;
    for (uint64_t place = 0; place < PILED; place++) length += write_range(requests + length, place, 1);
    int guest = visit(&scene);
    say(guest, requests, length);
    for (uint64_t place = 0; place < PILED; place++) read_range(&scene, guest, place, 1);
    CHECK_EQUAL(most_calls, TURN / LEAST);
    close(guest);
    scene_close(&scene);
}

int main(void) {
    pr_sys.send = counted_send;
    pr_sys.sendfile = counted_sendfile;
    pr_sys.splice = counted_splice;
    pr_sys.epoll_wait = round_ends;
    RUN(who_reads_fast_keeps_nobody_waiting);
    RUN(a_pile_of_small_requests_is_answered_in_turns);
    return 0;
}

/*
 * What every test here stands on: checks, waiting, TCP pairs, self-describing regions, and a look at what a test has
 * left behind. A failed check ends the test at once.
 */
#ifndef PR_TEST_H
#define PR_TEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <errno.h>

#include "base/clock.h"
#include "base/events.h"
#include "base/nudge.h"
#include "base/shared.h"
#include "base/sys.h"
#include "http/layer.h"
#include "http/window.h"
#include "lanes/door.h"
#include "lanes/lane.h"
#include "lanes/layer.h"
#include "lanes/press.h"
#include "pages/claim.h"
#include "pages/generation.h"
#include "pages/layer.h"
#include "pages/mapping.h"
#include "pages/tree.h"
#include "relay.h"
#include "testing/faults.h"
#include "wire/connection.h"
#include "wire/done.h"
#include "wire/hold.h"
#include "wire/layer.h"
#include "wire/references.h"

#define EXTENT(from, bytes)                                                                                            \
    { .offset = (from), .length = (bytes) }

/* Checks. */

_Noreturn void test_failed(const char *file, int line, const char *format, ...) __attribute__((format(printf, 3, 4)));
_Noreturn void test_skip(const char *why);
void test_equal(const char *file, int line, const char *what, long long actual, long long expected);

#define FAIL(...)        test_failed(__FILE__, __LINE__, __VA_ARGS__)
#define CHECK(condition) ((condition) ? (void)0 : FAIL("%s", #condition))
#define CHECK_EQUAL(actual, expected)                                                                                  \
    test_equal(__FILE__, __LINE__, #actual " is " #expected, (long long)(actual), (long long)(expected))
/* A system call of the test itself. */
#define MUST(call) test_must(__FILE__, __LINE__, #call, (long)(call))
long test_must(const char *file, int line, const char *what, long result);

/* Waiting: the only sleep there is. */

void test_pause(void);
#define wait_until(condition, milliseconds)                                                                            \
    do {                                                                                                               \
        uint64_t wait_end = pr_now() + (uint64_t)(milliseconds)*1000000u;                                              \
        while (!(condition)) {                                                                                         \
            if (pr_now() > wait_end) FAIL("not in %d ms: %s", (int)(milliseconds), #condition);                        \
            test_pause();                                                                                              \
        }                                                                                                              \
    } while (0)
/* Watches that the condition holds all the time. */
#define stays(condition, milliseconds)                                                                                 \
    for (uint64_t stay_end = pr_now() + (uint64_t)(milliseconds)*1000000u; pr_now() < stay_end; test_pause())          \
    CHECK(condition)

/* Runs one test function, and checks that descriptors, mappings and memory are back at their starting numbers. */
void test_run(const char *name, void (*function)(void));
#define RUN(function) test_run(#function, function)
size_t test_descriptors(void);
size_t test_mappings(void);
/* How many descriptors an epoll watches. */
size_t test_watched(int epoll);
/* Nanoseconds that a lane has used. */
uint64_t test_processor_time(const struct pr_lane *lane);

/* Numbers that a failure can be repeated with: the seed comes from SEED, or the clock, and is printed. */
uint64_t test_seed(void);
uint64_t test_random(uint64_t *state);
uint64_t test_below(uint64_t *state, uint64_t limit);

/* Regions: every 8 bytes tell their place and their revision. */

struct region {
    int fd; /* a memfd, writable */
    uint64_t size, page;
    uint64_t generation;
};

void content(uint64_t offset, size_t length, unsigned revision, unsigned char *into);
struct region region_create(struct pr_relay *relay, uint64_t size);
struct region region_open(struct pr_relay *relay, int fd);
void region_write(const struct region *region, uint64_t offset, uint64_t length, unsigned revision);
void region_close(struct pr_relay *relay, struct region *region);

/* Files without a name, with content as that of regions, compared with what they should be byte by byte. */
int file_on_tmpfs(void);
int file_on_disk(void); /* where /tmp is */
uint64_t file_size(int fd);
void file_fill(int fd, uint64_t size, unsigned revision);
void file_check(int fd, const unsigned char *expected, uint64_t size);
void file_check_zeros(int fd, uint64_t from, uint64_t to);

/* Connections: `ours` is the accepted end, as Node would have it; `peer` is the client's. */

struct pair {
    int ours, peer;
};

enum { ROOMY = 4 << 20, NARROW = 32 << 10 }; /* the peer's receive buffer */

struct pair pair_open(int receive_buffer);
/* A peer whose socket is one of MPTCP; false where this kernel or its settings have none. */
bool pair_open_mptcp(struct pair *pair);
void pair_close(struct pair *pair);
void reset_peer(struct pair *pair);
void close_peer(struct pair *pair);
int tcp_state(int fd);
/* All that was sent has been acknowledged. */
void wait_acknowledged(int ours);

/* The peer's reading: every byte is compared. */
void read_body(int peer, uint64_t offset, uint64_t length, unsigned revision);
/* Reads to the end; returns the number of bytes, all of which must be right. `reset` tells how it ended. */
uint64_t read_to_end(int peer, uint64_t offset, unsigned revision, bool *reset);

/* Who is at the other end; as pr_peer_addresses. */
int classify(struct pr_prober *prober, int fd, struct pr_peer *peer);

/* Relays. */

struct pr_options options_with(unsigned lanes);
struct pr_relay *relay_start(struct pr_options options);
uint64_t adopt(struct pr_relay *relay, const struct pair *pair);
uint64_t hold(struct pr_relay *relay, const struct region *region, enum pr_engine engine, uint64_t offset,
              uint64_t length);
/* Holds and sends. */
int serve(struct pr_relay *relay, uint64_t connection, const struct region *region, enum pr_engine engine,
          uint64_t offset, uint64_t length, uint64_t *transmission);
struct pr_event next_event(struct pr_relay *relay);
bool no_event(struct pr_relay *relay);
size_t references(struct pr_relay *relay);
struct pr_reference_info only_reference(struct pr_relay *relay);
struct pr_counters counted(struct pr_relay *relay);
/* Node closes: its descriptor first, then it tells the core. */
void node_close(struct pr_relay *relay, uint64_t connection, struct pair *pair);

#define EACH_ENGINE(engine) for (enum pr_engine engine = PR_ENGINE_SENDFILE; engine <= PR_ENGINE_COPY; engine++)

/* What a file takes of its file system, in blocks of 512 bytes. */
uint64_t blocks_of(int fd);
/* Reads so many bytes of a socket, each of which must be 0. */
void expect_zeros(int fd, size_t length);

#endif

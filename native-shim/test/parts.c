/*
 * Several lanes and writers at once. Threads that act as lanes take references, each under its own lock, and read the
 * pages through plain loads; others write to them under leases by plain stores, and regions are published and
 * withdrawn. Under ThreadSanitizer: a writer that does not visit a lane, or a reader that takes its reference behind
 * the back of a writer, is a race between the two.
 */
#include "test.h"

#include <pthread.h>
#include <stdatomic.h>
#include <sys/mman.h>

enum { LANES = 4, PAGES = 16, PAGE = 4096, WORDS = PAGE / sizeof(uint64_t), SIZE = PAGES * PAGE, TURNS = 1000 };

static struct pr_relay *relay;
static struct region region;
static uint64_t *memory;
static atomic_bool over;

static struct pr_text text_of(const char *string) {
    return (struct pr_text){.at = string, .length = strlen(string)};
}

/* Readers. */

struct lane_thread {
    pthread_t thread;
    struct pr_part *part;
    uint64_t random;
    atomic_uint taken, refused, answers;
};

static void check_page(const uint64_t *page) {
    for (unsigned word = 1; word < WORDS; word++)
        if (page[word] != page[0])
            FAIL("a page is of %llu and %llu", (unsigned long long)page[0], (unsigned long long)page[word]);
}

static void read_held(const struct pr_segment *extent) {
    const uint64_t *first = memory + extent->offset / sizeof *memory;
    uint64_t before = *first;
    for (uint64_t at = 0; at < extent->length; at += PAGE) check_page(first + at / sizeof *first);
    CHECK_EQUAL(*first, before);
}

static int take_current(struct pr_part *part, struct pr_transmission *transmission) {
    const struct pr_generation *generation = pr_slots_find(&relay->slots, PR_KIND_GENERATION, region.generation);
    const struct pr_inode *inode = generation->inode;
    return pr_hold_take(part, region.generation, inode->epoch, inode->version, transmission);
}

static void take_read_and_drop(struct lane_thread *lane) {
    uint64_t first = test_below(&lane->random, PAGES), count = 1 + test_below(&lane->random, PAGES - first);
    struct pr_segment extent = {.offset = first * PAGE, .length = count * PAGE};
    struct pr_transmission *transmission = pr_hold_new(PR_ENGINE_SENDFILE, &extent, 1);
    pr_lock_part(lane->part);
    int result = take_current(lane->part, transmission);
    pr_unlock_part(lane->part);
    if (result < 0) {
        CHECK_EQUAL(result, -EAGAIN);
        lane->refused++;
        pr_free(transmission);
        return;
    }
    lane->taken++;
    read_held(&extent);
    pr_lock_part(lane->part);
    pr_hold_drop(transmission, pr_now());
    pr_unlock_part(lane->part);
}

/* As a lane does it: found, and read without the lock. */
static void answer(struct lane_thread *lane) {
    struct pr_lane_http *http = relay->lanes->list[lane->part->index - 1].http;
    struct pr_responder responder = {0};
    pr_list_init(&responder.waiting);
    pr_lock_part(lane->part);
    responder.published = pr_published_find(relay, text_of("/regions/a"));
    pr_list_append(&http->answering, &responder.waiting);
    pr_unlock_part(lane->part);
    if (responder.published) {
        lane->answers++;
        CHECK(pr_text_equal(responder.published->is.etag, text_of("\"a\"")));
    }
    pr_lock_part(lane->part);
    responder.published = NULL;
    pr_list_remove(&responder.waiting);
    pr_unlock_part(lane->part);
}

static void *run_reader(void *argument) {
    struct lane_thread *lane = argument;
    while (!over) {
        take_read_and_drop(lane);
        answer(lane);
    }
    return NULL;
}

/* Writers. */

struct writer {
    pthread_t thread;
    uint64_t random, epoch, writes;
    bool waits;
};

static void await_grant(uint64_t lease) {
    struct pr_event event = next_event(relay);
    CHECK_EQUAL(event.kind, PR_EVENT_GRANTED);
    CHECK_EQUAL(event.id, lease);
}

static void write_once(struct writer *writer) {
    uint64_t first = test_below(&writer->random, PAGES), count = 1 + test_below(&writer->random, PAGES - first);
    uint64_t lease, version, value = test_random(&writer->random);
    int result = pr_lease(relay, region.generation, first * PAGE, count * PAGE, PR_NEEDS_DONE, writer->waits, &lease);
    if (result < 0) {
        CHECK(!writer->waits && result == -EAGAIN);
        return;
    }
    if (result == 0) await_grant(lease);
    CHECK_EQUAL(pr_lease_begin(relay, lease, writer->epoch, &version), 0);
    for (uint64_t word = first * WORDS; word < (first + count) * WORDS; word++) memory[word] = value;
    CHECK_EQUAL(pr_lease_end(relay, lease, 0, NULL), 0);
    writer->writes++;
}

static void *run_writer(void *argument) {
    struct writer *writer = argument;
    while (!over) write_once(writer);
    return NULL;
}

static void publish_or_withdraw(uint64_t *random) {
    struct pr_publication given = {
        .path = text_of("/regions/a"),
        .generation = region.generation,
        .name = text_of("/dev/null"),
        .etag = text_of("\"a\""),
        .engine = PR_ENGINE_SENDFILE,
        .large = PR_ENGINE_SENDFILE,
    };
    if (test_below(random, 4) == 0)
        pr_withdraw(relay);
    else
        CHECK_EQUAL(pr_publish(relay, &given), 0);
}

/* On a busy machine some begin late. */
static bool all_took_part(struct lane_thread *lanes) {
    for (unsigned index = 0; index < LANES; index++)
        if (lanes[index].taken == 0 || lanes[index].answers == 0) return false;
    return true;
}

static void no_writer_changes_what_a_lane_holds(void) {
    struct lane_thread lanes[LANES];
    uint64_t seed = test_seed();
    relay = relay_start(options_with(LANES));
    region = region_create(relay, SIZE);
    memory = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, region.fd, 0);
    CHECK(memory != MAP_FAILED);
    memset(memory, 0, SIZE);
    over = false;
    struct writer waits = {.random = seed, .epoch = 1, .waits = true}, tries = {.random = seed + 1, .epoch = 1};
    for (unsigned index = 0; index < LANES; index++) {
        lanes[index] = (struct lane_thread){.part = &relay->parts[index + 1], .random = seed + 2 + index};
        CHECK_EQUAL(pthread_create(&lanes[index].thread, NULL, run_reader, &lanes[index]), 0);
    }
    CHECK_EQUAL(pthread_create(&tries.thread, NULL, run_writer, &tries), 0);
    while (waits.writes < TURNS || !all_took_part(lanes)) {
        write_once(&waits);
        publish_or_withdraw(&waits.random);
    }
    over = true;
    pthread_join(tries.thread, NULL);
    for (unsigned index = 0; index < LANES; index++) {
        pthread_join(lanes[index].thread, NULL);
        printf("  lane %u: %u taken, %u refused, %u found\n", index, lanes[index].taken, lanes[index].refused,
               lanes[index].answers);
    }
    struct pr_counters counters = counted(relay);
    CHECK_EQUAL(counters.references, 0);
    CHECK_EQUAL(counters.held_pages, 0);
    CHECK_EQUAL(counters.leases, 0);
    munmap(memory, SIZE);
    region_close(relay, &region);
    pr_relay_destroy(relay);
}

int main(void) {
    RUN(no_writer_changes_what_a_lane_holds);
    return 0;
}

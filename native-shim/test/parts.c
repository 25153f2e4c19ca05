/*
 * Several lanes and writers at once. Threads that act as lanes take references, each under its own lock, and read the
 * pages through plain loads; others write to them under leases by plain stores, and a region is published and
 * withdrawn. Under ThreadSanitizer: a writer that does not visit a lane, or a reader that takes its reference behind
 * the back of a writer, is a race between the two. Each page holds the version of its last change: so whoever answers
 * by the entity-tag of a version must find neither a later one in any page, nor an earlier one where that was changed
 * since.
 */
#include "test.h"

#include <pthread.h>
#include <stdatomic.h>
#include <sys/mman.h>

#include "http/opening.h"

enum { LANES = 4, PAGES = 16, PAGE = 4096, WORDS = PAGE / sizeof(uint64_t), SIZE = PAGES * PAGE, TURNS = 1000 };

static struct pr_relay *relay;
static struct region region;
static uint64_t *memory;
static atomic_bool over;

/* The pages that were changed with each of the last versions. */
enum { LOGGED = 64, BITS = 16 };
_Static_assert((int)PAGES <= (int)BITS, "one bit for each");
static atomic_uint_fast64_t changes[LOGGED]; /* the version, and behind it a bit for each page */

static void log_change(uint64_t version, uint64_t first, uint64_t count) {
    atomic_store(&changes[version % LOGGED], version << BITS | ((UINT64_C(1) << count) - 1) << first);
}

static bool was_changed(uint64_t version, uint64_t page) {
    uint64_t logged = atomic_load(&changes[version % LOGGED]);
    return logged >> BITS == version && (logged >> page & 1) == 1;
}

static struct pr_text text_of(const char *string) {
    return (struct pr_text){.at = string, .length = strlen(string)};
}

/* Readers. */

struct lane_thread {
    pthread_t thread;
    struct pr_part *part;
    uint64_t random;
    atomic_uint taken, refused, answers, moved;
};

static void check_page(const uint64_t *page) {
    for (unsigned word = 1; word < WORDS; word++)
        if (page[word] != page[0])
            FAIL("a page is of %llu and %llu", (unsigned long long)page[0], (unsigned long long)page[word]);
}

/* `version`: which the pages are read as. */
static void read_held(const struct pr_segment *extent, uint64_t version) {
    const uint64_t *first = memory + extent->offset / sizeof *memory;
    uint64_t before = *first;
    for (uint64_t at = 0; at < extent->length; at += PAGE) {
        const uint64_t *page = first + at / sizeof *first;
        check_page(page);
        if (*page > version)
            FAIL("a page of version %llu is read as %llu", (unsigned long long)*page, (unsigned long long)version);
        uint64_t later = *page + LOGGED < version ? version - LOGGED : *page;
        while (++later <= version)
            if (was_changed(later, (extent->offset + at) / PAGE))
                FAIL("a page of version %llu was changed in %llu", (unsigned long long)*page,
                     (unsigned long long)later);
    }
    CHECK_EQUAL(*first, before);
}

static struct pr_segment some_pages(uint64_t *random) {
    uint64_t first = test_below(random, PAGES), count = 1 + test_below(random, PAGES - first);
    return (struct pr_segment){.offset = first * PAGE, .length = count * PAGE};
}

static void read_and_drop(struct lane_thread *lane, struct pr_transmission *transmission,
                          const struct pr_segment *extent, uint64_t version) {
    lane->taken++;
    read_held(extent, version);
    pr_lock_part(lane->part);
    pr_hold_drop(transmission, pr_now());
    pr_unlock_part(lane->part);
}

static void take_read_and_drop(struct lane_thread *lane) {
    struct pr_segment extent = some_pages(&lane->random);
    struct pr_transmission *transmission = pr_hold_new(PR_ENGINE_SENDFILE, &extent, 1);
    pr_lock_part(lane->part);
    const struct pr_generation *generation = pr_slots_find(&relay->slots, PR_KIND_GENERATION, region.generation);
    uint64_t version = generation->inode->version;
    int result = pr_hold_take(lane->part, region.generation, generation->inode->epoch, version, transmission);
    pr_unlock_part(lane->part);
    if (result == 0) {
        read_and_drop(lane, transmission, &extent, version);
        return;
    }
    CHECK_EQUAL(result, -EAGAIN);
    lane->refused++;
    pr_free(transmission);
}

static void check_tag(struct pr_text etag, uint64_t version) {
    char expected[64];
    snprintf(expected, sizeof expected, version ? "\"a.1.%llu\"" : "\"a\"", (unsigned long long)version);
    CHECK(pr_text_equal(etag, text_of(expected)));
}

/* Between the two the version may move. */
static void take_as_judged(struct lane_thread *lane, uint64_t generation, const struct pr_validators *judged) {
    struct pr_segment extent = some_pages(&lane->random);
    struct pr_transmission *transmission = pr_hold_new(PR_ENGINE_SENDFILE, &extent, 1);
    pr_lock_part(lane->part);
    int result = pr_hold_take(lane->part, generation, judged->epoch, judged->version, transmission);
    pr_unlock_part(lane->part);
    if (result == 0) {
        read_and_drop(lane, transmission, &extent, judged->version);
        return;
    }
    CHECK(result == -EAGAIN || result == -ESTALE);
    if (result == -ESTALE) lane->moved++;
    pr_free(transmission);
}

/* As a lane does it: found and judged under its lock, read without it, and its pages taken under it again. */
static void answer(struct lane_thread *lane) {
    struct pr_lane_http *http = relay->lanes->list[lane->part->index - 1].http;
    struct pr_responder responder = {0};
    struct pr_validators judged;
    memset(&judged, 0, sizeof judged);
    pr_list_init(&responder.waiting);
    pr_lock_part(lane->part);
    struct pr_published *published = responder.published = pr_published_find(relay, text_of("/regions/a"));
    bool is_current = published && pr_published_is_current(relay, published, &responder.generation, &judged);
    pr_list_append(&http->answering, &responder.waiting);
    pr_unlock_part(lane->part);
    CHECK(is_current || !published); /* it moves with the version */
    if (is_current) {
        lane->answers++;
        check_tag(judged.etag, judged.version);
        take_as_judged(lane, responder.generation, &judged);
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
    uint64_t lease, version;
    int result = pr_lease(relay, region.generation, first * PAGE, count * PAGE, PR_NEEDS_DONE, writer->waits, &lease);
    if (result < 0) {
        CHECK(!writer->waits && result == -EAGAIN);
        return;
    }
    if (result == 0) await_grant(lease);
    CHECK_EQUAL(pr_lease_begin(relay, lease, writer->epoch, &version), 0);
    for (uint64_t word = first * WORDS; word < (first + count) * WORDS; word++) memory[word] = version;
    log_change(version, first, count);
    CHECK_EQUAL(pr_lease_end(relay, lease, false, NULL), 0);
    writer->writes++;
}

static void *run_writer(void *argument) {
    struct writer *writer = argument;
    while (!over) write_once(writer);
    return NULL;
}

/* At the version that the file is at; unless that moves meanwhile. */
static void publish_or_withdraw(uint64_t *random) {
    char etag[64];
    uint64_t what = test_below(random, 32);
    if (what == 0) pr_withdraw(relay);
    if (what == 0 || what > 4) return;
    pr_lock_part(pr_node_part(relay));
    const struct pr_generation *generation = pr_slots_find(&relay->slots, PR_KIND_GENERATION, region.generation);
    uint64_t epoch = generation->inode->epoch, version = generation->inode->version;
    pr_unlock_part(pr_node_part(relay));
    snprintf(etag, sizeof etag, version ? "\"a.1.%llu\"" : "\"a\"", (unsigned long long)version);
    struct pr_publication given = {
        .path = text_of("/regions/a"),
        .generation = region.generation,
        .epoch = epoch,
        .version = version,
        .name = text_of("/dev/null"),
        .etag = text_of(etag),
        .engine = PR_ENGINE_SENDFILE,
        .large = PR_ENGINE_SENDFILE,
    };
    int result = pr_publish(relay, &given);
    CHECK(result == 0 || result == -ESTALE);
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
    for (unsigned at = 0; at < LOGGED; at++) changes[at] = 0;
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
        printf("  lane %u: %u taken, %u refused, %u found, %u of them moved\n", index, lanes[index].taken,
               lanes[index].refused, lanes[index].answers, lanes[index].moved);
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

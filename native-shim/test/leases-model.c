/*
 * Random readers and writers of one file in four threads. Beside the core stands a naive truth: for each page, who has
 * it. Nobody may ever have a page together with a writer, nobody may overtake, and nobody may be forgotten.
 *
 * The contract gives a relay to one thread. These calls only do work under its lock, so they can be made from several,
 * which interleaves them more wildly than any service would; but for pr_press, which has a prober to itself.
 */
#include "test.h"

#include <pthread.h>

enum { PAGE = 4096, PAGES = 64, SIZE = PAGES * PAGE, MOST_EXTENTS = 3, THREADS = 4, JOBS = 6, IDS = 4096 };
enum { EPOCH = 1, ROUNDS = 100, ROUND = 30 /* ms */, PATIENCE = 20000 /* ms */ };

enum stage { FREE, READER_WAITS, READER_READY, READS, WRITER_WAITS, WRITES };

/* What one reader or writer is about. */
struct job {
    enum stage stage;
    uint64_t id;            /* of the claim, or of the transmission */
    uint64_t pages, marked; /* one bit each */
    enum pr_needs needs;
    struct pr_segment extents[MOST_EXTENTS];
    size_t count;
    uint64_t total, sent;
    struct turn *turn;
};

/* Who stands in the queue, as far as events have told. Under the truth's lock, and only where turns are checked. */
struct turn {
    bool waits, writer;
    uint64_t id, pages, serial;
};

struct worker {
    pthread_t thread;
    uint64_t random;
    bool presses;
    struct job jobs[JOBS];
    uint64_t reads, writes, waits, refusals;
};

/* The truth. */

static struct pr_relay *relay;
static struct region region;
static struct worker workers[THREADS];
static bool turns_are_checked;
static atomic_ullong version;
static atomic_bool stop, all_ended;
static atomic_int readers[PAGES], writers[PAGES], changers[PAGES]; /* writers that no reader may be with */

static pthread_mutex_t truth = PTHREAD_MUTEX_INITIALIZER;
static uint64_t next_serial;
static struct turn turns[THREADS * JOBS];
static uint64_t granted[IDS]; /* by the index in the id: the last one that an event told of */

static pthread_mutex_t bell = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t rung = PTHREAD_COND_INITIALIZER;
static bool rings;

/* Who has a page: marked after it was granted, unmarked before it is given back, so never while it isn't so. */

static void mark_reader(struct job *job) {
    for (unsigned page = 0; page < PAGES; page++) {
        if (!(job->pages >> page & 1)) continue;
        readers[page]++;
        if (changers[page] > 0) FAIL("page %u is read while it is changed", page);
    }
    job->marked = job->pages;
}

static void unmark_reader(struct job *job, uint64_t pages) {
    for (unsigned page = 0; page < PAGES; page++)
        if (job->marked & pages & (uint64_t)1 << page) readers[page]--;
    job->marked &= ~pages;
}

static void mark_writer(struct job *job) {
    bool changes = job->needs != PR_NEEDS_NOTHING;
    for (unsigned page = 0; page < PAGES; page++) {
        if (!(job->pages >> page & 1)) continue;
        if (changes) changers[page]++;
        if (writers[page]++ > 0) FAIL("page %u has two writers", page);
        if (changes && readers[page] > 0) FAIL("page %u is changed while it is read", page);
    }
    job->marked = job->pages;
}

static void unmark_writer(struct job *job) {
    for (unsigned page = 0; page < PAGES; page++) {
        if (!(job->marked >> page & 1)) continue;
        if (job->needs != PR_NEEDS_NOTHING) changers[page]--;
        writers[page]--;
    }
    job->marked = 0;
}

/* Turns. All under the truth's lock. */

/* Grants are told in their order: who is told of, or got in at once, has not overtaken who still isn't told of. */
static void check_turn(const struct turn *turn) {
    for (unsigned index = 0; index < THREADS * JOBS; index++) {
        const struct turn *other = &turns[index];
        bool in_the_way = (other->writer || turn->writer) && (other->pages & turn->pages);
        if (other->waits && in_the_way && other->serial < turn->serial)
            FAIL("%llu was overtaken by %llu", (unsigned long long)other->serial, (unsigned long long)turn->serial);
    }
}

static void granted_by_event(uint64_t id) {
    uint64_t place = id & ((1 << 20) - 1);
    CHECK(place < IDS);
    granted[place] = id;
    for (unsigned index = 0; index < THREADS * JOBS; index++) {
        if (!turns[index].waits || turns[index].id != id) continue; /* given up meanwhile */
        check_turn(&turns[index]);
        turns[index].waits = false;
    }
}

static void take_events(void) {
    struct pr_event event;
    while (pr_events(relay, &event, 1) == 1) {
        CHECK(event.kind == PR_EVENT_GRANTED || event.kind == PR_EVENT_UNWANTED);
        CHECK_EQUAL(event.error, 0);
        if (event.kind == PR_EVENT_GRANTED) granted_by_event(event.id);
    }
}

/* Where turns are checked, only one asks at a time, and what was granted before is known before the next asks. */
static struct turn before_asking(const struct job *job, bool writer) {
    if (!turns_are_checked) return (struct turn){0};
    pthread_mutex_lock(&truth);
    return (struct turn){.writer = writer, .pages = job->pages, .serial = next_serial++};
}

static void after_asking(struct job *job, struct turn turn, bool got_in, bool waits) {
    if (!turns_are_checked) return;
    turn.waits = waits;
    turn.id = job->id;
    *job->turn = turn;
    take_events();
    if (got_in) check_turn(&turn);
    pthread_mutex_unlock(&truth);
}

static bool is_granted(const struct job *job) {
    pthread_mutex_lock(&truth);
    bool is = granted[job->id & ((1 << 20) - 1)] == job->id;
    pthread_mutex_unlock(&truth);
    return is;
}

static void give_up(struct job *job) {
    pthread_mutex_lock(&truth);
    job->turn->waits = false;
    pthread_mutex_unlock(&truth);
}

/* The dispatcher: events are taken when the core has told that there are some, and never looked for otherwise. */

static void ring(void *context) {
    (void)context;
    pthread_mutex_lock(&bell);
    rings = true;
    pthread_cond_signal(&rung);
    pthread_mutex_unlock(&bell);
}

static void *dispatch(void *argument) {
    (void)argument;
    while (!all_ended) {
        pthread_mutex_lock(&bell);
        while (!rings) pthread_cond_wait(&rung, &bell);
        rings = false;
        pthread_mutex_unlock(&bell);
        pthread_mutex_lock(&truth);
        take_events();
        pthread_mutex_unlock(&truth);
    }
    return NULL;
}

/* Readers. */

static uint64_t pages_between(uint64_t offset, uint64_t end) {
    uint64_t pages = 0;
    for (uint64_t page = offset / PAGE; page * PAGE < end; page++) pages |= (uint64_t)1 << page;
    return pages;
}

/* Piece by piece, each inside one page: those of which not all was copied yet. */
static uint64_t pages_left(const struct job *job, uint64_t sent) {
    uint64_t pages = 0, position = 0;
    for (size_t index = 0; index < job->count; index++) {
        uint64_t at = job->extents[index].offset, end = at + job->extents[index].length;
        while (at < end) {
            uint64_t page_end = (at / PAGE + 1) * PAGE, to = page_end < end ? page_end : end;
            position += to - at;
            if (position > sent) pages |= pages_between(at, to);
            at = to;
        }
    }
    return pages;
}

static void plan_reading(struct worker *worker, struct job *job) {
    *job = (struct job){.turn = job->turn, .count = 1 + test_below(&worker->random, MOST_EXTENTS)};
    for (size_t index = 0; index < job->count; index++) {
        struct pr_segment *extent = &job->extents[index];
        extent->offset = test_below(&worker->random, SIZE);
        uint64_t most = test_below(&worker->random, 3) ? 4 * PAGE : 20 * PAGE, left = SIZE - extent->offset;
        extent->length = 1 + test_below(&worker->random, left < most ? left : most);
        job->total += extent->length;
    }
    job->pages = pages_left(job, 0);
}

static int take_reference(struct worker *worker, struct job *job, uint64_t place) {
    uint64_t id;
    int result =
        pr_hold(relay, region.generation, EPOCH, version, PR_ENGINE_STREAM, place, job->extents, job->count, &id);
    if (result < 0) return result;
    job->id = id;
    job->stage = READS;
    mark_reader(job);
    worker->reads++;
    return 0;
}

static void take_place(struct worker *worker, struct job *job) {
    struct turn turn = before_asking(job, false);
    int result = pr_place(relay, region.generation, job->extents, job->count, &job->id);
    after_asking(job, turn, result == 1, result == 0);
    CHECK(result >= 0);
    job->stage = result == 1 ? READER_READY : READER_WAITS;
    worker->waits += result == 0;
}

static void begin_reading(struct worker *worker, struct job *job) {
    plan_reading(worker, job);
    struct turn turn = before_asking(job, false);
    int result = take_reference(worker, job, 0);
    after_asking(job, turn, result == 0, false);
    CHECK(result == 0 || result == -EAGAIN || result == -ESTALE);
    worker->refusals += result == -EAGAIN;
    if (result == -EAGAIN) take_place(worker, job);
}

static void give_place_up(struct job *job) {
    give_up(job);
    CHECK_EQUAL(pr_place_end(relay, job->id), 0);
    job->stage = FREE;
}

static void use_place(struct worker *worker, struct job *job) {
    if (test_below(&worker->random, 10) == 0) {
        give_place_up(job);
        return;
    }
    int result = take_reference(worker, job, job->id);
    CHECK(result == 0 || result == -ESTALE); /* -ESTALE keeps the place */
}

static void read_on(struct worker *worker, struct job *job) {
    uint64_t bytes = test_below(&worker->random, job->total - job->sent + 1);
    if (stop || bytes == job->total - job->sent || test_below(&worker->random, 8) == 0) {
        unmark_reader(job, ~(uint64_t)0);
        CHECK_EQUAL(pr_release(relay, job->id, PR_OUTCOME_COMPLETE), 0);
        job->stage = FREE;
        return;
    }
    job->sent += bytes;
    unmark_reader(job, ~pages_left(job, job->sent));
    CHECK_EQUAL(pr_advance(relay, job->id, bytes), 0);
}

/* Writers. */

static void begin_writing(struct worker *worker, struct job *job) {
    bool wait = test_below(&worker->random, 4) > 0;
    uint64_t offset = test_below(&worker->random, SIZE), left = SIZE - offset;
    uint64_t length = 1 + test_below(&worker->random, left < 8 * PAGE ? left : 8 * PAGE);
    *job = (struct job){.turn = job->turn, .pages = pages_between(offset, offset + length)};
    job->needs = (enum pr_needs)test_below(&worker->random, 3);
    struct turn turn = before_asking(job, true);
    int result = pr_lease(relay, region.generation, offset, length, job->needs, wait, &job->id);
    after_asking(job, turn, result == 1, result == 0);
    CHECK(result == 1 || result == (wait ? 0 : -EAGAIN));
    worker->refusals += result < 0;
    worker->waits += result == 0;
    if (result == 0) job->stage = WRITER_WAITS;
    if (result != 1) return;
    job->stage = WRITES;
    mark_writer(job);
}

static void move_version(struct job *job) {
    uint64_t mine;
    CHECK_EQUAL(pr_lease_begin(relay, job->id, EPOCH, &mine), 0);
    unsigned long long known = version;
    while (known < mine && !atomic_compare_exchange_weak(&version, &known, mine)) {
    }
}

static void end_writing(struct worker *worker, struct job *job) {
    unmark_writer(job);
    CHECK_EQUAL(pr_lease_end(relay, job->id, false, NULL), 0);
    job->stage = FREE;
    worker->writes++;
}

static void give_lease_up(struct job *job) {
    give_up(job);
    CHECK_EQUAL(pr_lease_end(relay, job->id, false, NULL), 0);
    job->stage = FREE;
}

/* Each thread has several jobs and goes on with any of them: so none keeps what another of its own waits for. */

static void begin(struct worker *worker, struct job *job) {
    if (stop) return;
    if (test_below(&worker->random, 3) > 0)
        begin_reading(worker, job);
    else
        begin_writing(worker, job);
}

static void go_on(struct worker *worker, struct job *job) {
    bool tired = !stop && test_below(&worker->random, 200) == 0;
    switch (job->stage) {
    case FREE: begin(worker, job); return;
    case READER_WAITS:
        if (is_granted(job))
            job->stage = READER_READY;
        else if (tired)
            give_place_up(job);
        return;
    case READER_READY: use_place(worker, job); return;
    case READS: read_on(worker, job); return;
    case WRITER_WAITS:
        if (is_granted(job)) {
            job->stage = WRITES;
            mark_writer(job);
        } else if (tired) {
            give_lease_up(job);
        }
        return;
    case WRITES:
        if (test_below(&worker->random, 3) == 0)
            move_version(job);
        else
            end_writing(worker, job);
    }
}

static bool is_idle(const struct worker *worker) {
    for (unsigned index = 0; index < JOBS; index++)
        if (worker->jobs[index].stage != FREE) return false;
    return true;
}

static void *work(void *argument) {
    struct worker *worker = argument;
    uint64_t last = UINT64_MAX;
    while (!stop || !is_idle(worker)) {
        go_on(worker, &worker->jobs[test_below(&worker->random, JOBS)]);
        if (worker->presses && test_below(&worker->random, 500) == 0) pr_press(relay, 0);
        if (stop && last == UINT64_MAX) last = pr_now() + PATIENCE * (uint64_t)1000000;
        if (stop && pr_now() > last) FAIL("somebody waits for what everybody has given back");
    }
    return NULL;
}

/* Runs. */

static void start(void) {
    struct pr_options options = options_with(1);
    options.notify = ring;
    relay = relay_start(options);
    region = region_create(relay, SIZE);
    uint64_t epoch = EPOCH, first = 1;
    CHECK_EQUAL(pr_generation_set_version(relay, region.generation, &epoch, &first), 0);
    version = 1;
    stop = all_ended = false;
    memset(granted, 0, sizeof granted);
    memset(turns, 0, sizeof turns);
    memset(workers, 0, sizeof workers);
    for (unsigned index = 0; index < THREADS * JOBS; index++)
        workers[index / JOBS].jobs[index % JOBS].turn = &turns[index];
}

static void check_all_is_given_back(void) {
    struct pr_counters counters = counted(relay);
    CHECK_EQUAL(counters.claims, 0);
    CHECK_EQUAL(counters.leases, 0);
    CHECK_EQUAL(counters.waiting_writers, 0);
    CHECK_EQUAL(counters.waiting_readers, 0);
    CHECK_EQUAL(counters.references, 0);
    CHECK_EQUAL(counters.held_bytes, 0);
    for (unsigned page = 0; page < PAGES; page++) CHECK(!readers[page] && !writers[page] && !changers[page]);
}

static void tell_what_happened(void) {
    uint64_t reads = 0, writes = 0, waits = 0, refusals = 0;
    for (unsigned index = 0; index < THREADS; index++) {
        reads += workers[index].reads;
        writes += workers[index].writes;
        waits += workers[index].waits;
        refusals += workers[index].refusals;
    }
    printf("    %llu readings, %llu leases, %llu waited, %llu refused\n", (unsigned long long)reads,
           (unsigned long long)writes, (unsigned long long)waits, (unsigned long long)refusals);
    CHECK(reads > 100 && writes > 100 && waits > 100 && refusals > 100);
}

/* Ends when nobody wants anything more, and everybody has got it: one who was forgotten would wait for ever. */
static void run_round(void) {
    stop = false;
    for (unsigned index = 0; index < THREADS; index++)
        MUST(-pthread_create(&workers[index].thread, NULL, work, &workers[index]));
    uint64_t end = pr_now() + ROUND * (uint64_t)1000000;
    while (pr_now() < end) test_pause();
    stop = true;
    for (unsigned index = 0; index < THREADS; index++) pthread_join(workers[index].thread, NULL);
    check_all_is_given_back();
}

static void run_all(void) {
    pthread_t dispatcher;
    uint64_t seed = test_seed();
    start();
    MUST(-pthread_create(&dispatcher, NULL, dispatch, NULL));
    for (unsigned index = 0; index < THREADS; index++) workers[index].random = seed + index;
    workers[0].presses = true;
    for (unsigned round = 0; round < ROUNDS; round++) run_round();
    all_ended = true;
    ring(NULL);
    pthread_join(dispatcher, NULL);
    tell_what_happened();
    region_close(relay, &region);
    pr_relay_destroy(relay);
}

static void nobody_shares_with_a_writer_and_nobody_is_forgotten(void) {
    turns_are_checked = false;
    run_all();
}

static void nobody_overtakes(void) {
    turns_are_checked = true;
    run_all();
}

int main(void) {
    RUN(nobody_shares_with_a_writer_and_nobody_is_forgotten);
    RUN(nobody_overtakes);
    return 0;
}

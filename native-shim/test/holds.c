/* The hold table against a naive model that knows each page of each body. */
#include "test.h"

#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

enum { SIZE = 1 << 20, PAGE = 4096, MOST_EXTENTS = 5 };

static void a_moved_generation_is_stale(void) {
    struct pr_relay *relay = relay_start(options_with(1));
    struct region region = region_create(relay, SIZE);
    struct pr_segment extent = EXTENT(0, 10);
    uint64_t id;
    CHECK_EQUAL(pr_hold(relay, region.generation, 1, 0, PR_ENGINE_COPY, 0, &extent, 1, &id), -ESTALE);
    CHECK_EQUAL(pr_hold(relay, region.generation, 0, 1, PR_ENGINE_COPY, 0, &extent, 1, &id), -ESTALE);
    CHECK_EQUAL(pr_hold(relay, region.generation + 1, 0, 0, PR_ENGINE_COPY, 0, &extent, 1, &id), -EBADF);
    id = hold(relay, &region, PR_ENGINE_COPY, 0, 10);
    CHECK_EQUAL(pr_generation_close(relay, region.generation), 0);
    CHECK_EQUAL(pr_hold(relay, region.generation, 0, 0, PR_ENGINE_COPY, 0, &extent, 1, &id), -ESTALE);
    CHECK(pr_generation_descriptor(relay, region.generation) >= 0);
    CHECK_EQUAL(pr_release(relay, id, PR_OUTCOME_COMPLETE), 0);
    CHECK_EQUAL(pr_generation_descriptor(relay, region.generation), -EBADF);
    close(region.fd);
    pr_relay_destroy(relay);
}

static void extents_outside_are_refused(void) {
    static const struct pr_segment wrong[] = {
        EXTENT(0, 0),
        EXTENT(SIZE, 1),
        EXTENT(SIZE - 1, 2),
        EXTENT(0, SIZE + 1),
        EXTENT(SIZE + 1, 1),
        EXTENT(SIZE, 0),
        EXTENT(UINT64_MAX, 1),
        EXTENT(1, UINT64_MAX),
        EXTENT(UINT64_MAX, UINT64_MAX),
        EXTENT(SIZE / 2, UINT64_MAX - SIZE / 2 + 1),
        EXTENT(UINT64_MAX - 5, 10),
    };
    struct pr_relay *relay = relay_start(options_with(1));
    struct region region = region_create(relay, SIZE), empty = region_create(relay, 0);
    uint64_t id;
    for (size_t index = 0; index < sizeof wrong / sizeof *wrong; index++) {
        struct pr_segment extents[] = {EXTENT(0, SIZE), wrong[index]};
        CHECK_EQUAL(pr_hold(relay, region.generation, 0, 0, PR_ENGINE_SPLICE, 0, &wrong[index], 1, &id), -ERANGE);
        CHECK_EQUAL(pr_hold(relay, region.generation, 0, 0, PR_ENGINE_SPLICE, 0, extents, 2, &id), -ERANGE);
        CHECK_EQUAL(pr_hold(relay, empty.generation, 0, 0, PR_ENGINE_COPY, 0, &wrong[index], 1, &id), -ERANGE);
    }
    CHECK_EQUAL(pr_hold(relay, region.generation, 0, 0, PR_ENGINE_COPY, 0, wrong, 0, &id), -ERANGE);
    CHECK_EQUAL(references(relay), 0);
    CHECK_EQUAL(counted(relay).references, 0);
    region_close(relay, &empty);
    region_close(relay, &region);
    pr_relay_destroy(relay);
}

static void the_portable_engine_gives_back_as_it_copies(void) {
    struct pr_relay *relay = relay_start(options_with(1));
    struct region region = region_create(relay, SIZE);
    uint64_t id = hold(relay, &region, PR_ENGINE_STREAM, 100, 3 * PAGE);
    CHECK_EQUAL(pr_advance(relay, id, PAGE), 0);
    CHECK_EQUAL(only_reference(relay).first, PAGE);
    CHECK_EQUAL(only_reference(relay).last, 100 + 3 * PAGE - 1);
    CHECK_EQUAL(pr_advance(relay, id, 2 * PAGE + 1), -ERANGE);
    CHECK_EQUAL(pr_advance(relay, id, 2 * PAGE), 0);
    CHECK_EQUAL(counted(relay).held_bytes, 0);
    CHECK_EQUAL(pr_advance(relay, id, 1), -ERANGE);
    CHECK_EQUAL(pr_release(relay, id, PR_OUTCOME_COMPLETE), 0);
    CHECK_EQUAL(pr_advance(relay, id, 0), -EBADF);
    CHECK_EQUAL(counted(relay).sent_bytes[PR_ENGINE_STREAM], 3 * PAGE);
    CHECK_EQUAL(counted(relay).transmissions[PR_ENGINE_STREAM][PR_OUTCOME_COMPLETE], 1);
    region_close(relay, &region);
    pr_relay_destroy(relay);
}

/* The model. */

enum { HOLDS = 64 };

struct model {
    uint64_t id, total, sent, done, released;
    struct pr_segment extents[MOST_EXTENTS];
    size_t count;
    bool quarantined;
};

static struct model models[HOLDS];
static size_t live;
static uint64_t random_state;

/* Page by page: a piece of a body inside one page is given back when all of it is done. */
static uint64_t naive_released(const struct model *model) {
    uint64_t position = 0;
    for (size_t index = 0; index < model->count; index++) {
        uint64_t at = model->extents[index].offset, end = at + model->extents[index].length;
        while (at < end) {
            uint64_t page_end = (at / PAGE + 1) * PAGE, piece = (page_end < end ? page_end : end) - at;
            if (position + piece > model->total) piece = model->total - position;
            if (piece == 0 || position + piece > model->done) return position;
            position += piece;
            at += piece;
        }
    }
    return position;
}

static void take_one(struct pr_relay *relay, const struct region *region) {
    struct model *model = &models[live];
    *model = (struct model){.count = 1 + test_below(&random_state, MOST_EXTENTS)};
    for (size_t index = 0; index < model->count; index++) {
        struct pr_segment *extent = &model->extents[index];
        extent->offset = test_below(&random_state, SIZE);
        uint64_t most = test_below(&random_state, 3) == 0 ? 10 : 6 * PAGE, left = SIZE - extent->offset;
        extent->length = 1 + test_below(&random_state, left < most ? left : most);
        model->total += extent->length;
    }
    CHECK_EQUAL(pr_hold(relay, region->generation, 0, 0, PR_ENGINE_STREAM, 0, model->extents, model->count, &model->id),
                0);
    live++;
}

static struct pr_transmission *held(struct pr_relay *relay, const struct model *model) {
    struct pr_transmission *transmission = pr_slots_find(&relay->wire->held, PR_KIND_TRANSMISSION, model->id);
    CHECK(transmission);
    return transmission;
}

/* Under the lock. */
static void change_one(struct pr_relay *relay, struct model *model) {
    struct pr_transmission *transmission = held(relay, model);
    uint64_t more;
    if (model->quarantined) return;
    switch (test_below(&random_state, 8)) {
    default:
        more = test_below(&random_state, model->total - model->sent + 1);
        pr_hold_sent(transmission, more, false);
        model->sent += more;
        return;
    case 3:
    case 4:
    case 5:
        model->done += test_below(&random_state, model->sent - model->done + 1);
        pr_reference_shrink(&transmission->reference, model->done);
        if (naive_released(model) > model->released) model->released = naive_released(model);
        return;
    case 6:
        pr_reference_cut(&transmission->reference);
        model->total = model->sent;
        return;
    case 7:
        if (test_below(&random_state, 4) > 0) return;
        pr_hold_quarantine(transmission);
        model->quarantined = true;
    }
}

static void drop_one(struct pr_relay *relay, size_t index) {
    if (models[index].quarantined || test_below(&random_state, 2) == 0) {
        pr_lock(relay);
        pr_hold_drop(held(relay, &models[index]), pr_now());
        pr_unlock(relay);
    } else {
        CHECK_EQUAL(pr_release(relay, models[index].id, PR_OUTCOME_COMPLETE), 0);
    }
    models[index] = models[--live];
}

static void compare(struct pr_relay *relay) {
    uint64_t bytes = 0, quarantined = 0, quarantined_bytes = 0;
    for (size_t index = 0; index < live; index++) {
        uint64_t left = models[index].total - models[index].released;
        CHECK_EQUAL(held(relay, &models[index])->reference.released, models[index].released);
        bytes += left;
        quarantined += models[index].quarantined;
        if (models[index].quarantined) quarantined_bytes += left;
    }
    struct pr_counters counters = counted(relay);
    CHECK_EQUAL(counters.references, live);
    CHECK_EQUAL(counters.held_bytes, bytes);
    CHECK_EQUAL(counters.quarantined, quarantined);
    CHECK_EQUAL(counters.quarantined_bytes, quarantined_bytes);
}

static void the_table_equals_a_naive_model(void) {
    enum { STEPS = 20000 };
    struct pr_relay *relay = relay_start(options_with(1));
    struct region region = region_create(relay, SIZE);
    random_state = test_seed();
    for (int step = 0; step < STEPS; step++) {
        uint64_t dice = test_below(&random_state, 10);
        if (live == 0 || (dice < 2 && live < HOLDS)) {
            take_one(relay, &region);
        } else if (dice == 2) {
            drop_one(relay, test_below(&random_state, live));
        } else {
            pr_lock(relay);
            change_one(relay, &models[test_below(&random_state, live)]);
            pr_unlock(relay);
        }
        compare(relay);
    }
    while (live > 0) drop_one(relay, 0);
    compare(relay);
    CHECK_EQUAL(references(relay), 0);
    region_close(relay, &region);
    pr_relay_destroy(relay);
}

static void what_is_told_is_what_is_held(void) {
    struct pr_segment extents[] = {EXTENT(5 * PAGE, 2 * PAGE), EXTENT(100, PAGE), EXTENT(9 * PAGE + 7, 10)};
    struct pr_relay *relay = relay_start(options_with(1));
    struct region region = region_create(relay, SIZE);
    uint64_t id;
    CHECK_EQUAL(pr_hold(relay, region.generation, 0, 0, PR_ENGINE_STREAM, 0, extents, 3, &id), 0);
    struct pr_reference_info info = only_reference(relay);
    CHECK_EQUAL(info.first, 100);
    CHECK_EQUAL(info.last, 9 * PAGE + 16);
    CHECK_EQUAL(info.bytes, 3 * PAGE + 10);
    CHECK_EQUAL(info.generation, region.generation);
    CHECK_EQUAL(info.engine, PR_ENGINE_STREAM);
    CHECK_EQUAL(info.peer[0], 0);
    CHECK_EQUAL(pr_advance(relay, id, 3 * PAGE), 0);
    info = only_reference(relay);
    CHECK_EQUAL(info.first, 9 * PAGE + 7);
    CHECK_EQUAL(info.last, 9 * PAGE + 16);
    CHECK_EQUAL(info.bytes, 10);
    struct pr_page page;
    CHECK_EQUAL(pr_references(relay, region.generation + 1, 0, &info, 1, &page), 0);
    CHECK_EQUAL(page.count, 0);
    CHECK_EQUAL(pr_release(relay, id, PR_OUTCOME_COMPLETE), 0);
    region_close(relay, &region);
    pr_relay_destroy(relay);
}

/* Every page has the lowest ids behind the last one, whatever size and whatever comes and goes between pages. */
static void pages_have_each_reference_once_in_the_order_of_ids(void) {
    enum { COUNT = 9000 };
    static uint64_t ids[COUNT];
    static struct pr_reference_info infos[COUNT];
    struct pr_relay *relay = relay_start(options_with(1));
    struct region regions[] = {region_create(relay, SIZE), region_create(relay, SIZE)};
    for (unsigned round = 0; round < 2; round++) /* the second fills places anew, with higher ids */
        for (size_t index = 0; index < COUNT; index++) {
            if (round == 1 && index % 3 == 0) continue;
            if (round == 1) CHECK_EQUAL(pr_release(relay, ids[index], PR_OUTCOME_COMPLETE), 0);
            ids[index] = hold(relay, &regions[index % 2], PR_ENGINE_STREAM, 0, 10);
        }
    for (size_t capacity = 1; capacity <= COUNT; capacity = capacity * 7 + 2) {
        struct pr_page page = {0};
        uint64_t last = 0;
        size_t count = 0;
        if (capacity == 1) page.next = ids[COUNT - 1]; /* one by one from there on */
        uint64_t from = last = page.next;
        do {
            CHECK_EQUAL(pr_references(relay, 0, page.next, infos, capacity, &page), 0);
            CHECK(page.count <= capacity);
            for (size_t index = 0; index < page.count; index++, last = infos[index - 1].id)
                CHECK(infos[index].id > last);
            CHECK(page.next == 0 || page.next == last);
            count += page.count;
        } while (page.next);
        size_t expected = 0;
        for (size_t index = 0; index < COUNT; index++) expected += ids[index] > from;
        CHECK_EQUAL(count, expected);
    }
    struct pr_page page;
    CHECK_EQUAL(pr_references(relay, regions[1].generation, 0, infos, COUNT, &page), 0);
    CHECK_EQUAL(page.count, COUNT / 2);
    CHECK_EQUAL(page.next, 0);
    for (size_t index = 0; index < page.count; index++) CHECK_EQUAL(infos[index].generation, regions[1].generation);
    for (size_t index = 0; index < COUNT; index++) pr_release(relay, ids[index], PR_OUTCOME_COMPLETE);
    for (size_t index = 0; index < 2; index++) region_close(relay, &regions[index]);
    pr_relay_destroy(relay);
}

/* In a process of its own, which ends by it; what it says is in `said`. */
static void break_an_invariant(struct pr_relay *relay, uint64_t id, char *said, size_t size) {
    int ends[2], status;
    MUST(pipe(ends));
    pid_t child = (pid_t)MUST(fork());
    if (child == 0) {
        setrlimit(RLIMIT_CORE, &(struct rlimit){0});
        dup2(ends[1], STDERR_FILENO);
        struct pr_transmission *transmission = pr_slots_find(&relay->wire->held, PR_KIND_TRANSMISSION, id);
        pr_reference_sent(&transmission->reference, transmission->reference.total + 1);
        _exit(0);
    }
    close(ends[1]);
    ssize_t length = MUST(read(ends[0], said, size - 1));
    said[length] = '\0';
    close(ends[0]);
    MUST(waitpid(child, &status, 0));
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
}

static void a_process_whose_bookkeeping_is_wrong_ends_and_says_why(void) {
    struct pr_relay *relay = relay_start(options_with(1));
    struct region region = region_create(relay, 64 << 10);
    uint64_t id = hold(relay, &region, PR_ENGINE_COPY, 0, 100);
    char said[256];
    break_an_invariant(relay, id, said, sizeof said);
    CHECK(strstr(said, "reference->sent <= reference->total"));
    CHECK_EQUAL(pr_release(relay, id, PR_OUTCOME_CANCELLED), 0);
    region_close(relay, &region);
    pr_relay_destroy(relay);
}

int main(void) {
    RUN(pages_have_each_reference_once_in_the_order_of_ids);
    RUN(a_moved_generation_is_stale);
    RUN(extents_outside_are_refused);
    RUN(the_portable_engine_gives_back_as_it_copies);
    RUN(the_table_equals_a_naive_model);
    RUN(what_is_told_is_what_is_held);
    RUN(a_process_whose_bookkeeping_is_wrong_ends_and_says_why);
    return 0;
}

/* The ledger of zero-copy sends against a model that knows every one, with notices merged, reordered, doubled,
 * wrapping. */
#include "test.h"

#include "wire/ledger.h"

enum { ROUNDS = 200, STEPS = 2000 };

struct model {
    struct pr_ledger ledger;
    uint64_t base, next; /* the oldest send that the model keeps; the number to come */
    bool ended[1 << 16];
    uint64_t positions[1 << 16];
    uint32_t lengths[1 << 16];
    uint64_t position, copied_bytes;
};

static struct model model;
static uint64_t random_state;

static bool *ended(uint64_t number) {
    return &model.ended[number % (1 << 16)];
}

/* The kernel copied some of them, by their numbers: a notice tells of sends of one kind. */
static bool is_copied(uint64_t number) {
    return number / 7 % 2 == 1;
}

static void begin_at(uint64_t first) {
    memset(&model, 0, sizeof model);
    model.ledger.base = model.ledger.next = model.base = model.next = first;
}

static void send_one(void) {
    if (pr_ledger_full(&model.ledger)) return;
    uint64_t before = model.position;
    pr_ledger_push(&model.ledger, before);
    uint32_t length = test_below(&random_state, 5) > 0 ? (uint32_t)(1 + test_below(&random_state, 100000)) : 0;
    bool at_once = length > 0 && test_below(&random_state, 8) == 0; /* its end is told before it has returned */
    uint32_t number = (uint32_t)model.next;
    if (at_once) CHECK_EQUAL(pr_ledger_end(&model.ledger, number, number, is_copied(model.next)), 1);
    model.position += length;
    pr_ledger_correct(&model.ledger, model.position, length);
    if (length == 0) return;
    *ended(model.next) = at_once;
    model.lengths[model.next % (1 << 16)] = length;
    if (at_once && is_copied(model.next)) model.copied_bytes += length;
    model.positions[model.next % (1 << 16)] = model.position;
    model.next++;
    while (model.base < model.next && *ended(model.base)) model.base++;
}

/* A run of sends in flight that have not ended, as one notice: what the kernel merges. */
static void end_some(void) {
    if (model.base == model.next) return;
    uint64_t first = model.base + test_below(&random_state, model.next - model.base), last = first;
    while (last + 1 < model.next && !*ended(last + 1) && is_copied(last + 1) == is_copied(first) &&
           test_below(&random_state, 4) > 0)
        last++;
    uint32_t fresh = 0;
    for (uint64_t number = first; number <= last; number++) {
        if (*ended(number)) continue;
        fresh++;
        *ended(number) = true;
        if (is_copied(number)) model.copied_bytes += model.lengths[number % (1 << 16)];
    }
    CHECK_EQUAL(pr_ledger_end(&model.ledger, (uint32_t)first, (uint32_t)last, is_copied(first)), fresh);
    while (model.base < model.next && *ended(model.base)) model.base++;
}

static void check(void) {
    CHECK_EQUAL(model.ledger.base, model.base);
    CHECK_EQUAL(model.ledger.next, model.next);
    CHECK_EQUAL(pr_ledger_empty(&model.ledger), model.base == model.next);
    CHECK_EQUAL(model.ledger.copied_bytes, model.copied_bytes);
    if (model.next > 0 && model.base > 0 && model.base < model.next &&
        model.positions[(model.base - 1) % (1 << 16)] > 0)
        CHECK_EQUAL(model.ledger.position, model.positions[(model.base - 1) % (1 << 16)]);
}

static void any_order_of_notices_ends_each_send_once(void) {
    static const uint64_t starts[] = {
        0, UINT32_MAX - 100, UINT32_MAX, (uint64_t)UINT32_MAX + 1, ((uint64_t)1 << 40) - 3, ((uint64_t)7 << 32) - 400};
    for (unsigned round = 0; round < ROUNDS; round++) {
        begin_at(starts[round % (sizeof starts / sizeof *starts)]);
        for (unsigned step = 0; step < STEPS; step++) {
            if (test_below(&random_state, 2))
                send_one();
            else
                end_some();
            check();
        }
    }
}

static void notices_of_nothing_in_flight_change_nothing(void) {
    begin_at(UINT32_MAX - 1);
    for (unsigned sends = 0; sends < 4; sends++) {
        pr_ledger_push(&model.ledger, sends);
        pr_ledger_correct(&model.ledger, sends, 1);
    }
    CHECK_EQUAL(pr_ledger_end(&model.ledger, 2, 1000, false), 0);
    CHECK_EQUAL(pr_ledger_end(&model.ledger, 0, UINT32_MAX, false), 0);
    CHECK_EQUAL(pr_ledger_end(&model.ledger, 5, 4, false), 0);
    CHECK_EQUAL(pr_ledger_end(&model.ledger, UINT32_MAX - 10, UINT32_MAX - 2, false), 0);
    CHECK_EQUAL(pr_ledger_end(&model.ledger, UINT32_MAX, 0, false), 2); /* over the wrap */
    CHECK_EQUAL(model.ledger.base, UINT32_MAX - 1);
    CHECK_EQUAL(pr_ledger_end(&model.ledger, UINT32_MAX - 1, UINT32_MAX - 1, false), 1);
    CHECK_EQUAL(model.ledger.base, (uint64_t)UINT32_MAX + 2);
    CHECK_EQUAL(pr_ledger_end(&model.ledger, UINT32_MAX - 1, 1, false), 1);
    CHECK(pr_ledger_empty(&model.ledger));
}

static void a_full_ledger_has_room_when_its_first_send_ends(void) {
    begin_at(UINT32_MAX - 5);
    while (!pr_ledger_full(&model.ledger)) pr_ledger_push(&model.ledger, 1);
    CHECK_EQUAL(model.ledger.next - model.ledger.base, PR_LEDGER_WINDOW);
    CHECK_EQUAL(pr_ledger_end(&model.ledger, 3, 3, false), 1);
    CHECK(pr_ledger_full(&model.ledger));
    CHECK_EQUAL(pr_ledger_end(&model.ledger, UINT32_MAX - 5, UINT32_MAX - 5, false), 1);
    CHECK(!pr_ledger_full(&model.ledger));
}

int main(void) {
    random_state = test_seed();
    RUN(any_order_of_notices_ends_each_send_once);
    RUN(notices_of_nothing_in_flight_change_nothing);
    RUN(a_full_ledger_has_room_when_its_first_send_ends);
    return 0;
}

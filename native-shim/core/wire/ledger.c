#include "wire/ledger.h"

#include "base/assert.h"

void pr_ledger_push(struct pr_ledger *ledger, uint64_t position) {
    pr_assert(!pr_ledger_full(ledger));
    uint64_t place = ledger->next % PR_LEDGER_WINDOW;
    ledger->positions[place] = position;
    ledger->lengths[place] = 0;
    ledger->ended[place] = ledger->copied[place] = false;
    ledger->next++;
}

static void count_bytes(struct pr_ledger *ledger, bool copied, uint32_t length) {
    if (copied)
        ledger->copied_bytes += length;
    else
        ledger->uncopied_bytes += length;
}

void pr_ledger_correct(struct pr_ledger *ledger, uint64_t position, uint32_t length) {
    if (length == 0) {
        pr_assert(!pr_ledger_empty(ledger));
        ledger->next--;
        return;
    }
    uint64_t place = (ledger->next - 1) % PR_LEDGER_WINDOW;
    ledger->positions[place] = position;
    ledger->lengths[place] = length;
    /* Its end may have been told already. */
    if (ledger->ended[place]) count_bytes(ledger, ledger->copied[place], length);
    if (ledger->base == ledger->next) ledger->position = position;
}

/* The number among those in flight that ends in these 32 bits; `next` when none does. */
static uint64_t widen(const struct pr_ledger *ledger, uint32_t number) {
    uint64_t ahead = (uint32_t)(number - (uint32_t)ledger->base);
    return ahead < ledger->next - ledger->base ? ledger->base + ahead : ledger->next;
}

static void move_base(struct pr_ledger *ledger) {
    while (ledger->base < ledger->next && ledger->ended[ledger->base % PR_LEDGER_WINDOW]) {
        ledger->position = ledger->positions[ledger->base % PR_LEDGER_WINDOW];
        ledger->base++;
    }
}

uint32_t pr_ledger_end(struct pr_ledger *ledger, uint32_t first, uint32_t last, bool copied) {
    uint32_t ended = 0, count = last - first; /* of 2^32 numbers, less one: no loop by `<=` over a range that wraps */
    if (count >= PR_LEDGER_WINDOW) return 0;  /* no such range was ever in flight */
    for (uint32_t step = 0; step <= count; step++) {
        uint64_t number = widen(ledger, first + step);
        if (number == ledger->next || ledger->ended[number % PR_LEDGER_WINDOW]) continue;
        uint64_t place = number % PR_LEDGER_WINDOW;
        ledger->ended[place] = true;
        ledger->copied[place] = copied;
        count_bytes(ledger, copied, ledger->lengths[place]);
        ended++;
    }
    move_base(ledger);
    return ended;
}

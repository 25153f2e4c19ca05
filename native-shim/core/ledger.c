#include "ledger.h"

void pr_ledger_push(struct pr_ledger *ledger, uint64_t position) {
    uint64_t place = ledger->next % PR_LEDGER_WINDOW;
    ledger->positions[place] = position;
    ledger->ended[place] = false;
    ledger->next++;
}

void pr_ledger_correct(struct pr_ledger *ledger, uint64_t position, bool numbered) {
    if (numbered)
        ledger->positions[(ledger->next - 1) % PR_LEDGER_WINDOW] = position;
    else
        ledger->next--;
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

uint32_t pr_ledger_end(struct pr_ledger *ledger, uint32_t first, uint32_t last) {
    uint32_t ended = 0, count = last - first; /* of 2^32 numbers, less one: no loop by `<=` over a range that wraps */
    if (count >= PR_LEDGER_WINDOW) return 0;  /* no such range was ever in flight */
    for (uint32_t step = 0; step <= count; step++) {
        uint64_t number = widen(ledger, first + step);
        if (number == ledger->next || ledger->ended[number % PR_LEDGER_WINDOW]) continue;
        ledger->ended[number % PR_LEDGER_WINDOW] = true;
        ended++;
    }
    move_base(ledger);
    return ended;
}

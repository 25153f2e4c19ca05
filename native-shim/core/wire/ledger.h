/*
 * Which MSG_ZEROCOPY sends of a socket the kernel still has pages of. It numbers the successful ones from 0, in 32 bits
 * that wrap, and tells of their ends by ranges of numbers, merged, and in any order.
 */
#ifndef PR_LEDGER_H
#define PR_LEDGER_H

#include <stdbool.h>
#include <stdint.h>

/* So many sends at most are in flight: with more, the socket counts as full. */
enum { PR_LEDGER_WINDOW = 512 };

struct pr_ledger {
    uint64_t base, next;                  /* all before `base` have ended; `next` is the number to come */
    uint64_t positions[PR_LEDGER_WINDOW]; /* what the caller has counted up to the end of each send */
    uint32_t lengths[PR_LEDGER_WINDOW];   /* 0 before it has returned */
    bool ended[PR_LEDGER_WINDOW], copied[PR_LEDGER_WINDOW];
    uint64_t position; /* of the last send before `base` */
    /* Of all sends that the kernel copied, and of the others; the caller may take them away. */
    uint64_t copied_bytes, uncopied_bytes;
};

static inline bool pr_ledger_full(const struct pr_ledger *ledger) {
    return ledger->next - ledger->base == PR_LEDGER_WINDOW;
}

static inline bool pr_ledger_empty(const struct pr_ledger *ledger) {
    return ledger->next == ledger->base;
}

/* Before a send, for its end can be told at once. The ledger must not be full. */
void pr_ledger_push(struct pr_ledger *ledger, uint64_t position);
/* That send took so many bytes; if none, the kernel did not number it. */
void pr_ledger_correct(struct pr_ledger *ledger, uint64_t position, uint32_t length);
/*
 * The sends from `first` to `last`, inclusive, in the kernel's 32 bits, have ended, copied by the kernel or not:
 * returns how many of them were new.
 */
uint32_t pr_ledger_end(struct pr_ledger *ledger, uint32_t first, uint32_t last, bool copied);

#endif

#include "base/allowance.h"

static uint64_t batch_of_part(uint64_t most, unsigned parts) {
    return most / (16 * parts);
}

static bool take_from_all(struct pr_allowance *allowance, uint64_t most, uint64_t amount) {
    uint_fast64_t seen = atomic_load_explicit(&allowance->taken, memory_order_relaxed);
    do
        if (seen > most || amount > most - seen) return false;
    while (!atomic_compare_exchange_weak(&allowance->taken, &seen, seen + amount));
    return true;
}

bool pr_share_take(struct pr_share *share, struct pr_allowance *allowance, uint64_t most, unsigned parts,
                   uint64_t amount) {
    if (share->spare < amount) {
        uint64_t missing = amount - share->spare, batch = batch_of_part(most, parts);
        bool more = take_from_all(allowance, most, missing + batch);
        if (!more && !take_from_all(allowance, most, missing)) return false;
        share->spare += more ? missing + batch : missing;
    }
    share->spare -= amount;
    return true;
}

void pr_share_give(struct pr_share *share, struct pr_allowance *allowance, uint64_t most, unsigned parts,
                   uint64_t amount) {
    uint64_t batch = batch_of_part(most, parts);
    share->spare += amount;
    if (share->spare <= 2 * batch) return;
    atomic_fetch_sub(&allowance->taken, share->spare - batch);
    share->spare = batch;
}

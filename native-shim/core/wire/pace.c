#include "wire/pace.h"

#include "base/clock.h"
#include "wire/connection.h"

/* All wait as long, so that they are in the order in which they end; the bytes of half a wait are worth a packet. */
#define WAIT (PR_BURST / 4)

/* What leaves at once, where the rate allows for it: fewer bytes cost as much. */
enum { LEAST_BYTES_AT_ONCE = 4 << 10 };

/* What is taken from a shared bucket at once: twice what comes in a wait. */
static uint64_t batch_of(uint64_t rate) {
    uint64_t batch = rate / (1000000000u / WAIT) * 2;
    return batch > 0 ? batch : 1;
}

static uint64_t least_of(uint64_t rate, uint64_t wanted) {
    uint64_t least = batch_of(rate) / 4;
    if (least > LEAST_BYTES_AT_ONCE) least = LEAST_BYTES_AT_ONCE;
    if (least > wanted) least = wanted;
    return least > 0 ? least : 1;
}

/*
 * Takes no more than the body still has, of which there are `left` bytes: others go without it. What was taken long ago
 * is given up: who asks seldom would save it, and send all of it at once.
 */
static uint64_t credit_for(struct pr_credit *credit, struct pr_bucket *bucket, uint64_t now, uint64_t wanted,
                           uint64_t left) {
    uint64_t rate = credit->rate, batch = batch_of(rate);
    bool usable = credit->bucket == bucket && now - credit->taken_at < PR_BURST;
    if (!usable) *credit = (struct pr_credit){.rate = rate, .bucket = bucket};
    if (credit->bytes == 0) {
        credit->bytes = pr_bucket_take(bucket, rate, now, left < batch ? left : batch, least_of(rate, wanted));
        credit->taken_at = now;
    }
    return credit->bytes < wanted ? credit->bytes : wanted;
}

void pr_pace_begin(struct pr_connection *connection) {
    const struct pr_limits *limits = pr_limits_of(connection);
    struct pr_pace *pace = &connection->pace;
    pace->rate = limits->rate_of_connection;
    pace->of_region.rate = limits->rate_of_region;
    pace->is_limited = pace->rate > 0 || pace->of_region.rate > 0;
}

static struct pr_bucket *bucket_of_region(const struct pr_connection *connection) {
    return &connection->current->reference.generation->inode->sent;
}

uint64_t pr_pace_allow(struct pr_connection *connection, uint64_t wanted) {
    const struct pr_reference *reference = &connection->current->reference;
    struct pr_pace *pace = &connection->pace;
    uint64_t left = reference->total - reference->sent;
    if (!pace->is_limited || left == 0) return wanted;
    uint64_t now = pr_now();
    if (left < wanted) wanted = left;
    if (pace->rate > 0) {
        uint64_t there = pr_bucket_there(&pace->own, pace->rate, now);
        if (there < least_of(pace->rate, wanted)) return 0;
        if (there < wanted) wanted = there;
    }
    if (pace->of_region.rate > 0)
        wanted = credit_for(&pace->of_region, bucket_of_region(connection), now, wanted, left);
    return wanted;
}

static void spend_credit(struct pr_credit *credit, uint64_t now, uint64_t sent) {
    uint64_t paid = credit->bytes < sent ? credit->bytes : sent;
    credit->bytes -= paid;
    if (sent > paid) pr_bucket_owe(credit->bucket, credit->rate, now, sent - paid);
}

static void give_credit_back(struct pr_credit *credit) {
    if (credit->bytes > 0) pr_bucket_give(credit->bucket, credit->rate, credit->bytes);
    credit->bytes = 0;
}

void pr_pace_charge(struct pr_connection *connection, uint64_t sent, bool can_go_on) {
    struct pr_pace *pace = &connection->pace;
    if (!pace->is_limited) return;
    pace->is_full = !can_go_on;
    pace->is_flushed = pace->is_flushed && sent == 0;
    uint64_t now = pr_now();
    if (pace->rate > 0 && sent > 0) pr_bucket_owe(&pace->own, pace->rate, now, sent);
    if (pace->of_region.rate == 0) return;
    if (sent > 0) spend_credit(&pace->of_region, now, sent);
    if (!can_go_on) give_credit_back(&pace->of_region);
}

/* Under its lock: once for each body. */
static void count_wait(struct pr_connection *connection) {
    if (!connection->current || connection->current->paced) return;
    connection->current->paced = true;
    pr_part_of(connection)->counters.limited[PR_LIMITED_BANDWIDTH]++;
}

/* Whose socket is full is slow all the same: it may not put its time off by asking for more. */
static void excuse(struct pr_connection *connection, uint64_t now) {
    if (connection->pace.is_full) return;
    connection->progress_at = now;
    pr_rate_begin(connection);
}

/* Who has nothing to send for want of credit is not who is slow. */
void pr_pace_wait(struct pr_connection *connection) {
    uint64_t now = pr_now();
    connection->pace.until = now + WAIT;
    excuse(connection, now);
    count_wait(connection);
    pr_list_remove(&connection->paced);
    pr_list_append(&connection->poller->paced, &connection->paced);
}

uint64_t pr_pace_end_waits(struct pr_poller *poller, uint64_t now) {
    pr_list_each(node, &poller->paced) {
        struct pr_connection *connection = pr_container(node, struct pr_connection, paced);
        if (connection->pace.until > now) return connection->pace.until;
        pr_list_remove(&connection->paced);
        pr_poller_ready(connection);
    }
    return UINT64_MAX;
}

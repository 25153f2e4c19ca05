/* Broken-off connections whose local peers have not read stay under watch, up to a limit. */
#include "test.h"

#include <netinet/tcp.h>

enum { COUNT = 3, LENGTH = 16 << 10 };

static void check_that_as_many_may_be_held(struct pr_relay *relay) {
    struct region region = region_create(relay, LENGTH);
    struct pr_segment extent = EXTENT(0, 1);
    uint64_t ids[COUNT];
    for (unsigned index = 0; index < COUNT; index++)
        CHECK_EQUAL(pr_hold(relay, region.generation, 0, 0, PR_ENGINE_SENDFILE, 0, &extent, 1, &ids[index]), 0);
    for (unsigned index = 0; index < COUNT; index++)
        CHECK_EQUAL(pr_release(relay, ids[index], PR_OUTCOME_CANCELLED), 0);
    region_close(relay, &region);
}

static void beyond_the_limit_the_oldest_is_reset(void) {
    struct pr_options options = options_with(1);
    options.max_broken_off = 2;
    struct pr_relay *relay = relay_start(options);
    const struct pr_limits by_place[PR_PLACES] = {{.transmissions = COUNT}, {.transmissions = COUNT}};
    pr_limit(relay, by_place);
    struct region region = region_create(relay, COUNT * LENGTH);
    struct pair pairs[COUNT];
    uint64_t connections[COUNT], transmissions[COUNT];
    for (unsigned index = 0; index < COUNT; index++) {
        pairs[index] = pair_open(ROOMY);
        connections[index] = adopt(relay, &pairs[index]);
        CHECK_EQUAL(serve(relay, connections[index], &region, PR_ENGINE_SENDFILE, index * LENGTH, LENGTH,
                          &transmissions[index]),
                    1);
        wait_acknowledged(pairs[index].ours);
        CHECK_EQUAL(pr_connection_break(relay, connections[index]), 0);
        CHECK_EQUAL(counted(relay).broken_off, index < 2 ? index + 1 : 2);
        node_close(relay, connections[index], &pairs[index]);
    }
    struct pr_reference_info infos[COUNT];
    struct pr_page page;
    CHECK_EQUAL(pr_references(relay, 0, 0, infos, COUNT, &page), 0);
    CHECK_EQUAL(page.count, COUNT);
    for (unsigned index = 0; index < COUNT; index++) {
        bool oldest = infos[index].id == transmissions[0];
        CHECK_EQUAL(infos[index].state, oldest ? PR_REFERENCE_QUARANTINED : PR_REFERENCE_SENT);
        CHECK_EQUAL(infos[index].bytes, LENGTH);
        CHECK(strncmp(infos[index].peer, "127.0.0.1:", 10) == 0);
    }
    CHECK_EQUAL(counted(relay).quarantined, 1);
    CHECK_EQUAL(counted(relay).quarantined_bytes, LENGTH);
    CHECK_EQUAL(counted(relay).held_bytes, COUNT * LENGTH);
    wait_until(counted(relay).connections == 2, 5000);

    region_write(&region, 0, LENGTH, 1);
    read_body(pairs[0].peer, 0, LENGTH, 1); /* it can still be seen: what the table says is true */
    CHECK_EQUAL(tcp_state(pairs[0].peer), TCP_CLOSE);
    for (unsigned index = 1; index < COUNT; index++) {
        CHECK_EQUAL(tcp_state(pairs[index].peer), TCP_CLOSE_WAIT);
        CHECK_EQUAL(read_to_end(pairs[index].peer, index * LENGTH, 0, NULL), LENGTH);
    }
    wait_until(references(relay) == 1, 5000); /* nobody can tell that the first has read */
    wait_until(counted(relay).connections == 0, 5000);
    CHECK_EQUAL(counted(relay).broken_off, 0);
    CHECK_EQUAL(counted(relay).quarantined, 1);
    check_that_as_many_may_be_held(relay); /* what is quarantined is no transmission in flight */
    for (unsigned index = 0; index < COUNT; index++) close_peer(&pairs[index]);
    region_close(relay, &region);
    pr_relay_destroy(relay);
}

static void a_limit_of_none_resets_at_once(void) {
    struct pr_options options = options_with(1);
    options.max_broken_off = 0;
    struct pr_relay *relay = relay_start(options);
    struct region region = region_create(relay, LENGTH);
    struct pair pair = pair_open(ROOMY);
    uint64_t connection = adopt(relay, &pair);
    CHECK_EQUAL(serve(relay, connection, &region, PR_ENGINE_SPLICE, 0, LENGTH, NULL), 1);
    CHECK_EQUAL(pr_connection_break(relay, connection), 0);
    CHECK_EQUAL(only_reference(relay).state, PR_REFERENCE_QUARANTINED);
    CHECK_EQUAL(counted(relay).broken_off, 0);
    node_close(relay, connection, &pair);
    wait_until(counted(relay).connections == 0, 5000);
    pair_close(&pair);
    region_close(relay, &region);
    pr_relay_destroy(relay);
}

/* Those that are done before Node closes its descriptor must not count for ever. */
static void done_ones_do_not_use_up_the_limit(void) {
    struct pr_options options = options_with(1);
    options.max_broken_off = 2;
    struct pr_relay *relay = relay_start(options);
    struct region region = region_create(relay, LENGTH);
    for (unsigned round = 0; round < 10; round++) {
        struct pair pair = pair_open(ROOMY);
        uint64_t connection = adopt(relay, &pair);
        CHECK_EQUAL(serve(relay, connection, &region, PR_ENGINE_SPLICE, 0, LENGTH, NULL), 1);
        CHECK_EQUAL(pr_connection_break(relay, connection), 0);
        CHECK_EQUAL(read_to_end(pair.peer, 0, 0, NULL), LENGTH);
        wait_until(references(relay) == 0, 5000);
        node_close(relay, connection, &pair);
        wait_until(counted(relay).connections == 0, 5000);
        CHECK_EQUAL(counted(relay).broken_off, 0);
        pair_close(&pair);
    }
    CHECK_EQUAL(counted(relay).quarantined, 0);
    region_close(relay, &region);
    pr_relay_destroy(relay);
}

int main(void) {
    RUN(beyond_the_limit_the_oldest_is_reset);
    RUN(a_limit_of_none_resets_at_once);
    RUN(done_ones_do_not_use_up_the_limit);
    return 0;
}

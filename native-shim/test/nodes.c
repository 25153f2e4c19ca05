/* Where pages are: counted by node without bringing in what is not there; and bytes by where their lane sits. */
#include "test.h"

#include <sys/mman.h>
#include <unistd.h>

static void the_node_with_most_pages_counts(void) {
    struct pr_nodes nodes = {0};
    CHECK_EQUAL(pr_nodes_most(&nodes), -1);
    pr_nodes_add(&nodes, 1, 2);
    CHECK_EQUAL(pr_nodes_most(&nodes), 1);
    pr_nodes_add(&nodes, 0, 1);
    pr_nodes_add(&nodes, 0, 1);
    CHECK_EQUAL(pr_nodes_most(&nodes), 1); /* of equals the first */
    pr_nodes_add(&nodes, 0, 1);
    CHECK_EQUAL(pr_nodes_most(&nodes), 0);
    CHECK_EQUAL(nodes.count, 2);
    CHECK_EQUAL(nodes.list[0].pages, 2);
    CHECK_EQUAL(nodes.list[1].pages, 3);
}

static void what_nobody_knows_and_too_many_nodes_are_left_out(void) {
    struct pr_nodes nodes = {0};
    pr_nodes_add(&nodes, -1, 7);
    CHECK_EQUAL(nodes.count, 0);
    for (int node = 0; node < 2 * PR_NODES_TOLD; node++) pr_nodes_add(&nodes, node, 1);
    CHECK_EQUAL(nodes.count, PR_NODES_TOLD);
    pr_nodes_add(&nodes, PR_NODES_TOLD - 1, 1);
    CHECK_EQUAL(pr_nodes_most(&nodes), PR_NODES_TOLD - 1);
}

/* As on a machine with several nodes, where the pages themselves have to be asked. */
static struct pr_generation looked_at(int fd, uint64_t size) {
    static struct pr_pages_layer pages = {.only_node = -1};
    static struct pr_relay relay = {.pages = &pages};
    struct pr_generation generation = {.relay = &relay, .fd = fd, .mincore_tells = true};
    CHECK_EQUAL(pr_backing_of(fd, &generation.info.backing), 0);
    generation.info.size = size;
    pr_nodes_find(&generation);
    return generation;
}

static unsigned sampled(const struct pr_generation *generation) {
    unsigned pages = 0;
    for (unsigned place = 0; place < generation->info.nodes.count; place++)
        pages += generation->info.nodes.list[place].pages;
    return pages;
}

static void a_look_fills_no_hole(void) {
    enum { SIZE = 4 << 20 };
    int fd = (int)MUST(memfd_create("region", MFD_CLOEXEC));
    MUST(ftruncate(fd, SIZE));
    struct pr_generation generation = looked_at(fd, SIZE);
    CHECK_EQUAL(sampled(&generation), 0);
    CHECK_EQUAL(generation.info.backing.node, -1);
    CHECK_EQUAL(blocks_of(fd), 0);

    char bytes[4096] = {1};
    for (off_t at = 0; at < SIZE / 2; at += (off_t)sizeof bytes) MUST(pwrite(fd, bytes, sizeof bytes, at));
    uint64_t before = blocks_of(fd);
    generation = looked_at(fd, SIZE);
    CHECK_EQUAL(sampled(&generation), 16);
    CHECK(generation.info.backing.node >= 0);
    CHECK_EQUAL(blocks_of(fd), before);
    close(fd);
}

static void a_small_file_is_looked_at_page_by_page(void) {
    int fd = (int)MUST(memfd_create("region", MFD_CLOEXEC));
    char bytes[4096] = {1};
    for (off_t at = 0; at < 3; at++) MUST(pwrite(fd, bytes, sizeof bytes, at * (off_t)sizeof bytes));
    struct pr_generation generation = looked_at(fd, 3 * sizeof bytes - 5);
    CHECK_EQUAL(sampled(&generation), 3);
    close(fd);
}

static void bytes_count_by_the_node_of_their_lane(void) {
    struct pr_relay *relay = relay_start(options_with(1));
    struct region region = region_create(relay, 64 << 10);
    struct pair pair = pair_open(ROOMY);
    uint64_t connection = adopt(relay, &pair);
    struct pr_generation *generation = pr_slots_find(&relay->slots, PR_KIND_GENERATION, region.generation);
    int node = relay->lanes->list[0].poller.node;
    const int nodes[] = {node, node + 1, -1};
    for (size_t index = 0; index < sizeof nodes / sizeof *nodes; index++) {
        generation->info.backing.node = nodes[index];
        CHECK_EQUAL(serve(relay, connection, &region, PR_ENGINE_SENDFILE, 0, 1000 + index, NULL), 1);
        read_body(pair.peer, 0, 1000 + index, 0);
    }
    struct pr_counters counters = counted(relay);
    CHECK_EQUAL(counters.bytes_by_locality[PR_LOCALITY_LOCAL], 1000);
    CHECK_EQUAL(counters.bytes_by_locality[PR_LOCALITY_REMOTE], 1001);
    CHECK_EQUAL(counters.bytes_by_locality[PR_LOCALITY_UNKNOWN], 1002);
    node_close(relay, connection, &pair);
    pair_close(&pair);
    region_close(relay, &region);
    pr_relay_destroy(relay);
}

int main(void) {
    RUN(the_node_with_most_pages_counts);
    RUN(what_nobody_knows_and_too_many_nodes_are_left_out);
    RUN(a_look_fills_no_hole);
    RUN(a_small_file_is_looked_at_page_by_page);
    RUN(bytes_count_by_the_node_of_their_lane);
    return 0;
}

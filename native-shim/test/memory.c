/*
 * The cost of holding is that of the transmissions in flight, whatever the region's size: 400 GB, 1,000 random ranges,
 * 100 references at a time. Without sanitizers: they change what the process itself has in memory.
 */
#include "test.h"

#include <sys/mman.h>
#include <unistd.h>

enum { AT_ONCE = 100, RANGES = 1000, MOST = 60000, LIMIT = 1 << 20 };
#define SIZE 400000000000

static size_t anonymous_bytes(void) {
    char line[128];
    size_t kilobytes = 0;
    FILE *status = fopen("/proc/self/status", "re");
    CHECK(status);
    while (fgets(line, sizeof line, status)) sscanf(line, "RssAnon: %zu kB", &kilobytes);
    fclose(status);
    return kilobytes * 1024;
}

static void read_zeros(int peer, uint64_t length) {
    static unsigned char block[MOST];
    uint64_t got = 0;
    while (got < length) {
        ssize_t part = recv(peer, block, length - got, 0);
        CHECK(part > 0);
        got += (uint64_t)part;
    }
    for (uint64_t index = 0; index < length; index++) CHECK_EQUAL(block[index], 0);
}

static void serves_400_gb_in_less_than_one_megabyte(enum pr_engine engine) {
    static struct pair pairs[AT_ONCE];
    static uint64_t connections[AT_ONCE], lengths[AT_ONCE];
    uint64_t state = test_seed(), most = 0;
    int fd = (int)MUST(memfd_create("region", MFD_CLOEXEC));
    MUST(ftruncate(fd, SIZE));
    for (int index = 0; index < AT_ONCE; index++) pairs[index] = pair_open(ROOMY);

    size_t allocated = pr_allocated_bytes(), anonymous = anonymous_bytes();
    struct pr_relay *relay = relay_start(options_with(1));
    struct region region = region_open(relay, fd);
    CHECK_EQUAL(region.size, SIZE);
    for (int index = 0; index < AT_ONCE; index++) connections[index] = adopt(relay, &pairs[index]);
    for (int range = 0; range < RANGES; range++) {
        int index = range % AT_ONCE;
        if (range >= AT_ONCE) read_zeros(pairs[index].peer, lengths[index]);
        lengths[index] = 1 + test_below(&state, MOST);
        uint64_t offset = test_below(&state, SIZE - MOST);
        CHECK_EQUAL(serve(relay, connections[index], &region, engine, offset, lengths[index], NULL), 1);
        uint64_t held = references(relay);
        if (held > most) most = held;
    }
    CHECK_EQUAL(most, AT_ONCE);
    size_t took = pr_allocated_bytes() - allocated, grew = anonymous_bytes() - anonymous;
    if (anonymous_bytes() < anonymous) grew = 0;
    printf("  %s: %zu bytes allocated, RssAnon grew by %zu\n", engine_names[engine], took, grew);
    CHECK(took < LIMIT);
    CHECK(grew < LIMIT);
    for (int index = 0; index < AT_ONCE; index++) {
        node_close(relay, connections[index], &pairs[index]);
        close_peer(&pairs[index]);
    }
    region_close(relay, &region);
    pr_relay_destroy(relay);
}

static void by_sendfile(void) {
    serves_400_gb_in_less_than_one_megabyte(PR_ENGINE_SENDFILE);
}

static void by_splice(void) {
    serves_400_gb_in_less_than_one_megabyte(PR_ENGINE_SPLICE);
}

int main(void) {
    RUN(by_sendfile);
    RUN(by_splice);
    return 0;
}

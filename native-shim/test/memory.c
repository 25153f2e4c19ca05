/*
 * The cost of holding is that of the transmissions in flight, whatever the region's size: 400 GB, 1,000 random ranges,
 * 100 references at a time. Without sanitizers: they change what the process itself has in memory.
 */
#include <malloc.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "scene.h"

enum { AT_ONCE = 100, RANGES = 1000, MOST = 60000, LIMIT = 1 << 20 };
#define REGION 400000000000

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
    MUST(ftruncate(fd, REGION));
    for (int index = 0; index < AT_ONCE; index++) pairs[index] = pair_open(ROOMY);

    size_t allocated = pr_allocated_bytes(), anonymous = anonymous_bytes();
    struct pr_relay *relay = relay_start(options_with(1));
    struct region region = region_open(relay, fd);
    CHECK_EQUAL(region.size, REGION);
    for (int index = 0; index < AT_ONCE; index++) connections[index] = adopt(relay, &pairs[index]);
    for (int range = 0; range < RANGES; range++) {
        int index = range % AT_ONCE;
        if (range >= AT_ONCE) read_zeros(pairs[index].peer, lengths[index]);
        lengths[index] = 1 + test_below(&state, MOST);
        uint64_t offset = test_below(&state, REGION - MOST);
        CHECK_EQUAL(serve(relay, connections[index], &region, engine, offset, lengths[index], NULL), 1);
        uint64_t held = references(relay);
        if (held > most) most = held;
    }
    CHECK_EQUAL(most, AT_ONCE);
    size_t took = pr_allocated_bytes() - allocated, grew = anonymous_bytes() - anonymous;
    if (anonymous_bytes() < anonymous) grew = 0;
    printf("  %s: %zu bytes allocated, RssAnon grew by %zu\n", pr_engine_names[engine], took, grew);
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

/*
 * An idle connection that a lane has accepted, answered and reads on: what malloc has taken for it, with its own
 * overhead, and what the process has grown by.
 */
static void an_idle_connection_takes_at_most_1536_bytes(void) {
    enum { IDLE = 2000, MOST_BYTES_EACH = 1536 };
    static int guests[IDLE];
    struct scene scene = scene_with(options_with(1), patient(), 1 << 20, 0);
    publish(&scene, PR_ENGINE_SENDFILE);
    for (int index = 0; index < 100; index++) { /* what grows by doubling has grown, and what is made once is there */
        guests[index] = visit(&scene);
        get(&scene, guests[index], 0, 100);
    }
    size_t used = mallinfo2().uordblks, anonymous = anonymous_bytes();
    for (int index = 100; index < IDLE; index++) {
        guests[index] = visit(&scene);
        get(&scene, guests[index], 0, 100);
    }
    wait_until(counted(scene.relay).references == 0, 8000);
    CHECK_EQUAL(counted(scene.relay).reading, IDLE);
    size_t each = (mallinfo2().uordblks - used) / (IDLE - 100);
    size_t grew = (anonymous_bytes() - anonymous) / (IDLE - 100);
    printf("  an idle connection: %zu bytes of malloc, %zu of RssAnon (%zu + %zu of structs)\n", each, grew,
           sizeof(struct pr_connection), sizeof(struct pr_responder));
    CHECK(each <= MOST_BYTES_EACH);
    CHECK(grew <= MOST_BYTES_EACH);
    for (int index = 0; index < IDLE; index++) close(guests[index]);
    scene_close(&scene);
}

static void allow_descriptors(rlim_t count) {
    struct rlimit limit;
    MUST(getrlimit(RLIMIT_NOFILE, &limit));
    if (limit.rlim_cur >= count) return;
    limit.rlim_cur = count < limit.rlim_max ? count : limit.rlim_max;
    MUST(setrlimit(RLIMIT_NOFILE, &limit));
}

int main(void) {
    allow_descriptors(8192);
    RUN(by_sendfile);
    RUN(by_splice);
    RUN(an_idle_connection_takes_at_most_1536_bytes);
    return 0;
}

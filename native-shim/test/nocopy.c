/* What copies and what does not, seen from outside: the sent bytes are overwritten before the peer reads them. */
#include "test.h"

enum { LENGTH = 16 << 10 };

static void peer_reads(enum pr_engine engine, unsigned revision) {
    struct pr_relay *relay = relay_start(options_with(1));
    struct region region = region_create(relay, LENGTH);
    struct pair pair = pair_open(ROOMY);
    uint64_t connection = adopt(relay, &pair);
    CHECK_EQUAL(serve(relay, connection, &region, engine, 0, LENGTH, NULL), 1);
    wait_acknowledged(pair.ours);
    region_write(&region, 0, LENGTH, 1);
    read_body(pair.peer, 0, LENGTH, revision);
    node_close(relay, connection, &pair);
    pair_close(&pair);
    region_close(relay, &region);
    pr_relay_destroy(relay);
}

static void sendfile_sends_the_pages_themselves(void) {
    peer_reads(PR_ENGINE_SENDFILE, 1);
}

static void splice_sends_the_pages_themselves(void) {
    peer_reads(PR_ENGINE_SPLICE, 1);
}

static void copy_sends_what_was_there(void) {
    peer_reads(PR_ENGINE_COPY, 0);
}

static void engines_tell_whether_they_copy(void) {
    for (enum pr_backing backing = 0; backing < PR_BACKING_COUNT; backing++) {
        CHECK(pr_engine_copies(PR_ENGINE_COPY, backing));
        CHECK(pr_engine_copies(PR_ENGINE_STREAM, backing));
        CHECK(!pr_engine_copies(PR_ENGINE_SPLICE, backing));
        CHECK_EQUAL(pr_engine_copies(PR_ENGINE_SENDFILE, backing), backing == PR_BACKING_FSDAX);
    }
}

int main(void) {
    RUN(sendfile_sends_the_pages_themselves);
    RUN(splice_sends_the_pages_themselves);
    RUN(copy_sends_what_was_there);
    RUN(engines_tell_whether_they_copy);
    return 0;
}

/* What copies and what does not, seen from outside: the sent bytes are overwritten before the peer reads them. */
#include "test.h"

#include <unistd.h>

#include "wire/witness.h"

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

static void engines_copy_where_a_witness_has_seen_it(void) {
    struct pr_generation generation = {.info.backing.backing = PR_BACKING_MEMFD};
    CHECK(pr_engine_copies(PR_ENGINE_COPY, &generation));
    CHECK(pr_engine_copies(PR_ENGINE_STREAM, &generation));
    CHECK(!pr_engine_copies(PR_ENGINE_SENDFILE, &generation));
    generation.copying = 1u << PR_ENGINE_SENDFILE;
    CHECK(pr_engine_copies(PR_ENGINE_SENDFILE, &generation));
    CHECK(!pr_engine_copies(PR_ENGINE_SPLICE, &generation));
}

static void what_is_too_large_to_be_mapped_is_copied(void) {
    struct pr_generation generation = {.info.backing.backing = PR_BACKING_FSDAX};
    CHECK(pr_engine_copies(PR_ENGINE_SPLICE, &generation));
    generation.address = "";
    CHECK(!pr_engine_copies(PR_ENGINE_SPLICE, &generation));
}

static void the_witness_sees_the_same(void) {
    int fd;
    uint64_t size;
    CHECK_EQUAL(pr_scratch_open(PR_SCRATCH_MEMFD, "", &fd, &size), 0);
    CHECK_EQUAL(pr_witness_copy_free(fd, size, PR_ENGINE_SENDFILE), 1);
    CHECK_EQUAL(pr_witness_copy_free(fd, size, PR_ENGINE_SPLICE), 1);
    CHECK_EQUAL(pr_witness_copy_free(fd, size, PR_ENGINE_COPY), 0);
    CHECK_EQUAL(pr_witness_copy_free(fd, size, PR_ENGINE_ZEROCOPY), 0); /* on loopback */
    CHECK_EQUAL(pr_witness_notice_says_copied(fd, size), 1);
    CHECK_EQUAL(pr_witness_copy_free(fd, size, PR_ENGINE_STREAM), -EINVAL);
    close(fd);
}

int main(void) {
    RUN(sendfile_sends_the_pages_themselves);
    RUN(splice_sends_the_pages_themselves);
    RUN(copy_sends_what_was_there);
    RUN(engines_copy_where_a_witness_has_seen_it);
    RUN(what_is_too_large_to_be_mapped_is_copied);
    RUN(the_witness_sees_the_same);
    return 0;
}

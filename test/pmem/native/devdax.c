/* The core on a devdax device, which is the first argument, and whose size and alignment are the other two. */
#include "../../../native-shim/test/test.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "wire/witness.h"

enum { WRITTEN = 4 << 20, LENGTH = 16 << 10, PATIENCE = 10000 };

static const char *path;
static uint64_t size, alignment;

static void write_region(int fd, unsigned revision) {
    unsigned char *region = mmap(NULL, WRITTEN, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    CHECK(region != MAP_FAILED);
    content(0, WRITTEN, revision, region);
    munmap(region, WRITTEN);
}

static void its_size_alignment_and_node_are_the_devices(void) {
    int fd = (int)MUST(open(path, O_RDONLY | O_CLOEXEC));
    struct pr_backing_info info;
    CHECK_EQUAL(pr_backing_of(fd, &info), 0);
    CHECK_EQUAL(info.backing, PR_BACKING_DEVDAX);
    CHECK_EQUAL(info.size, size);
    CHECK_EQUAL(info.page_size, alignment);
    CHECK_EQUAL(info.node, 1);
    close(fd);
}

static struct region device(struct pr_relay *relay, unsigned revision) {
    int fd = (int)MUST(open(path, O_RDWR | O_CLOEXEC));
    write_region(fd, revision);
    return region_open(relay, fd);
}

static void peer_reads(enum pr_engine engine, unsigned revision) {
    struct pr_relay *relay = relay_start(options_with(1));
    struct region region = device(relay, 0);
    struct pair pair = pair_open(ROOMY);
    uint64_t connection = adopt(relay, &pair);
    CHECK_EQUAL(serve(relay, connection, &region, engine, (2 << 20) - 4097, LENGTH, NULL), 1);
    wait_acknowledged(pair.ours);
    write_region(region.fd, 1);
    read_body(pair.peer, (2 << 20) - 4097, LENGTH, revision);
    wait_until(references(relay) == 0, PATIENCE);
    node_close(relay, connection, &pair);
    pair_close(&pair);
    region_close(relay, &region);
    pr_relay_destroy(relay);
}

static void splice_sends_the_pages_themselves(void) {
    peer_reads(PR_ENGINE_SPLICE, 1);
}

static void copy_sends_what_was_there(void) {
    peer_reads(PR_ENGINE_COPY, 0);
}

/* On a device that nobody uses, whose bytes it puts back. */
static void a_witness_says_so(void) {
    uint64_t scratch;
    int fd = (int)MUST(open(path, O_RDWR | O_CLOEXEC)), file;
    write_region(fd, 5);
    close(fd);
    CHECK_EQUAL(pr_scratch_open(PR_SCRATCH_DEVICE, path, &file, &scratch), 0);
    CHECK_EQUAL(pr_witness_copy_free(file, scratch, PR_ENGINE_SPLICE), 1);
    CHECK_EQUAL(pr_witness_copy_free(file, scratch, PR_ENGINE_SENDFILE), -EINVAL);
    CHECK_EQUAL(pr_witness_copy_free(file, scratch, PR_ENGINE_COPY), 0);
    close(file);
    unsigned char expected[LENGTH];
    content(0, LENGTH, 5, expected);
    fd = (int)MUST(open(path, O_RDONLY | O_CLOEXEC));
    unsigned char *region = mmap(NULL, WRITTEN, PROT_READ, MAP_SHARED, fd, 0);
    CHECK(region != MAP_FAILED);
    CHECK(memcmp(region, expected, LENGTH) == 0);
    munmap(region, WRITTEN);
    close(fd);
}

static void sendfile_is_refused(void) {
    struct pr_relay *relay = relay_start(options_with(1));
    struct region region = device(relay, 0);
    struct pair pair = pair_open(ROOMY);
    uint64_t connection = adopt(relay, &pair);
    CHECK_EQUAL(serve(relay, connection, &region, PR_ENGINE_SENDFILE, 0, LENGTH, NULL), -EINVAL);
    CHECK_EQUAL(references(relay), 0);
    node_close(relay, connection, &pair);
    pair_close(&pair);
    region_close(relay, &region);
    pr_relay_destroy(relay);
}

int main(int count, char **arguments) {
    if (count != 4) return 2;
    path = arguments[1];
    size = strtoull(arguments[2], NULL, 0);
    alignment = strtoull(arguments[3], NULL, 0);
    RUN(its_size_alignment_and_node_are_the_devices);
    RUN(splice_sends_the_pages_themselves);
    RUN(copy_sends_what_was_there);
    RUN(a_witness_says_so);
    RUN(sendfile_is_refused);
    return 0;
}

/* Huge pages: only splice sends them without a copy, and they are given back one huge page at a time. */
#include "test.h"

#include <fcntl.h>
#include <linux/memfd.h>
#include <sys/mman.h>
#include <unistd.h>

enum { HUGE = 2 << 20, SIZE = 3 * HUGE };
static const char pages_path[] = "/proc/sys/vm/nr_hugepages";
static char pages_before[32];

static bool set_pages(const char *text) {
    int fd = open(pages_path, O_WRONLY | O_CLOEXEC);
    if (fd < 0) return false;
    bool written = write(fd, text, strlen(text)) > 0;
    close(fd);
    return written;
}

static void restore_pages(void) {
    set_pages(pages_before);
}

/* The pages that the machine has, or some more for as long as the test runs. */
static int huge_memfd(void) {
    FILE *file = fopen(pages_path, "re");
    if (!file || !fgets(pages_before, sizeof pages_before, file)) test_skip("this kernel has no huge pages");
    fclose(file);
    if (atoi(pages_before) < 8 && set_pages("8")) atexit(restore_pages);
    int fd = memfd_create("region", MFD_CLOEXEC | MFD_HUGETLB | MFD_HUGE_2MB);
    if (fd < 0 || ftruncate(fd, SIZE) < 0) test_skip("no huge pages to be had: no hugetlb memfd");
    void *memory = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (memory == MAP_FAILED) {
        restore_pages();
        test_skip("no huge pages to be had: set vm.nr_hugepages to 8 to run this");
    }
    content(0, SIZE, 0, memory);
    munmap(memory, SIZE);
    return fd;
}

static int huge_fd;

static void its_pages_are_given_back_one_by_one(void) {
    struct pr_relay *relay = relay_start(options_with(1));
    struct region region = region_open(relay, huge_fd);
    CHECK_EQUAL(region.page, HUGE);
    CHECK_EQUAL(region.size, SIZE);
    uint64_t id = hold(relay, &region, PR_ENGINE_STREAM, 100, SIZE - 100);
    CHECK_EQUAL(pr_advance(relay, id, HUGE - 101), 0);
    CHECK_EQUAL(only_reference(relay).first, 100);
    CHECK_EQUAL(pr_advance(relay, id, 1), 0);
    CHECK_EQUAL(only_reference(relay).first, HUGE);
    CHECK_EQUAL(pr_release(relay, id, PR_OUTCOME_COMPLETE), 0);
    CHECK_EQUAL(pr_generation_close(relay, region.generation), 0);
    pr_relay_destroy(relay);
}

static void splice_sends_it_without_a_copy(void) {
    struct pr_relay *relay = relay_start(options_with(1));
    struct region region = region_open(relay, huge_fd);
    struct pair pair = pair_open(ROOMY);
    uint64_t connection = adopt(relay, &pair), transmission;
    CHECK_EQUAL(serve(relay, connection, &region, PR_ENGINE_SPLICE, HUGE - 4096, 16384, NULL), 1);
    wait_acknowledged(pair.ours);
    unsigned char *memory = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, huge_fd, 0);
    CHECK(memory != MAP_FAILED);
    content(0, SIZE, 1, memory);
    read_body(pair.peer, HUGE - 4096, 16384, 1);
    content(0, SIZE, 0, memory);
    munmap(memory, SIZE);
    wait_until(references(relay) == 0, 5000);

    int result = serve(relay, connection, &region, PR_ENGINE_SPLICE, 1, SIZE - 1, &transmission);
    read_body(pair.peer, 1, SIZE - 1, 0);
    if (result == 0) CHECK_EQUAL(next_event(relay).kind, PR_EVENT_ACCEPTED);
    wait_until(references(relay) == 0, 5000);
    CHECK_EQUAL(serve(relay, connection, &region, PR_ENGINE_SENDFILE, 0, 10, NULL), -EINVAL);
    CHECK_EQUAL(counted(relay).transmissions[PR_ENGINE_SENDFILE][PR_OUTCOME_FAILED], 1);
    node_close(relay, connection, &pair);
    pair_close(&pair);
    CHECK_EQUAL(pr_generation_close(relay, region.generation), 0);
    pr_relay_destroy(relay);
}

int main(void) {
    huge_fd = huge_memfd();
    RUN(its_pages_are_given_back_one_by_one);
    RUN(splice_sends_it_without_a_copy);
    close(huge_fd);
    return 0;
}

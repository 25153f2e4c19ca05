/* Huge pages: only splice sends them without a copy, and they are given back one huge page at a time. */
#include "test.h"

#include <fcntl.h>
#include <linux/memfd.h>
#include <sys/mman.h>
#include <sys/stat.h>
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

static long pool(const char *name) {
    char path[96];
    long pages = -1;
    snprintf(path, sizeof path, "/sys/kernel/mm/hugepages/hugepages-2048kB/%s", name);
    FILE *file = fopen(path, "re");
    CHECK(file && fscanf(file, "%ld", &pages) == 1);
    fclose(file);
    return pages;
}

/* One page of three. */
static int sparse_memfd(void) {
    int fd = (int)MUST(memfd_create("sparse", MFD_CLOEXEC | MFD_HUGETLB | MFD_HUGE_2MB));
    MUST(ftruncate(fd, SIZE));
    unsigned char *page = mmap(NULL, HUGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, HUGE);
    CHECK(page != MAP_FAILED);
    content(HUGE, HUGE, 0, page);
    munmap(page, HUGE);
    return fd;
}

static void holes_are_sent_without_filling_them(void) {
    static const enum pr_engine engines[] = {PR_ENGINE_SPLICE, PR_ENGINE_COPY, PR_ENGINE_ZEROCOPY};
    int fd = sparse_memfd();
    uint64_t blocks = blocks_of(fd);
    long free_pages = pool("free_hugepages"), reserved = pool("resv_hugepages");
    for (size_t index = 0; index < sizeof engines / sizeof *engines; index++) {
        struct pr_relay *relay = relay_start(options_with(1));
        relay->pages->only_node = -1; /* as on a machine with several, where pages are looked at */
        struct region region = region_open(relay, fd);
        CHECK_EQUAL(pool("resv_hugepages"), reserved);
        struct pair pair = pair_open(ROOMY);
        uint64_t connection = adopt(relay, &pair), transmission;
        int result = serve(relay, connection, &region, engines[index], 0, SIZE, &transmission);
        expect_zeros(pair.peer, HUGE);
        read_body(pair.peer, HUGE, HUGE, 0);
        expect_zeros(pair.peer, HUGE);
        if (result == 0) CHECK_EQUAL(next_event(relay).kind, PR_EVENT_ACCEPTED);
        wait_until(references(relay) == 0, 5000);
        CHECK_EQUAL(counted(relay).copied_bytes[engines[index]], SIZE);
        CHECK_EQUAL(blocks_of(fd), blocks);
        CHECK_EQUAL(pool("free_hugepages"), free_pages);
        CHECK_EQUAL(pool("resv_hugepages"), reserved);
        node_close(relay, connection, &pair);
        pair_close(&pair);
        CHECK_EQUAL(pr_generation_close(relay, region.generation), 0);
        pr_relay_destroy(relay);
    }
    close(fd);
}

static void a_page_behind_the_end_does_not_hide_a_hole(void) {
    int fd = sparse_memfd();
    CHECK(fallocate(fd, FALLOC_FL_KEEP_SIZE, SIZE, HUGE) == 0);
    struct pr_relay *relay = relay_start(options_with(1));
    struct region region = region_open(relay, fd);
    struct pr_generation *generation = pr_slots_find(&relay->slots, PR_KIND_GENERATION, region.generation);
    CHECK_EQUAL(pr_has_fillable_hole(generation), 1);
    MUST(fallocate(fd, 0, 0, SIZE)); /* without a hole, and one page more than the file is long */
    CHECK_EQUAL(pr_has_fillable_hole(generation), 1);
    MUST(ftruncate(fd, SIZE));
    CHECK_EQUAL(pr_has_fillable_hole(generation), 0);
    CHECK_EQUAL(pr_generation_close(relay, region.generation), 0);
    pr_relay_destroy(relay);
    close(fd);
}

static void a_vmsplice_that_fails_breaks_its_body_off(void) {
    struct pr_relay *relay = relay_start(options_with(1));
    struct region region = region_open(relay, huge_fd);
    struct pair pair = pair_open(ROOMY);
    uint64_t connection = adopt(relay, &pair);
    pr_fault_set(PR_CALL_VMSPLICE, ENOMEM, 0, 1);
    CHECK_EQUAL(serve(relay, connection, &region, PR_ENGINE_SPLICE, 0, 16384, NULL), -ENOMEM);
    wait_until(references(relay) == 0, 5000);
    node_close(relay, connection, &pair);
    pair_close(&pair);
    pr_fault_set(PR_CALL_MMAP, ENOMEM, 0, 1);
    uint64_t id;
    struct pr_generation_info info;
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", huge_fd);
    CHECK_EQUAL(pr_generation_open(relay, 0, path, UINT64_MAX, &id, &info), -ENOMEM);
    CHECK_EQUAL(pr_generation_close(relay, region.generation), 0);
    pr_relay_destroy(relay);
}

int main(void) {
    pr_faults_enable();
    huge_fd = huge_memfd();
    RUN(its_pages_are_given_back_one_by_one);
    RUN(splice_sends_it_without_a_copy);
    RUN(holes_are_sent_without_filling_them);
    RUN(a_page_behind_the_end_does_not_hide_a_hole);
    RUN(a_vmsplice_that_fails_breaks_its_body_off);
    close(huge_fd);
    return 0;
}

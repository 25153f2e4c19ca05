/* Holes of tmpfs and memfds: sent as zeros by every engine, and none is filled for it. */
#include "test.h"

#include <fcntl.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "pages/file.h"

enum { PIECE = 1 << 20, SIZE = 8 * PIECE, LONE = 5 * PIECE + 12288 };

/* Data in the second piece, and in one page of the sixth; the rest are holes. */
static void make_sparse(int fd) {
    static unsigned char bytes[PIECE];
    MUST(ftruncate(fd, SIZE));
    content(PIECE, PIECE, 0, bytes);
    CHECK_EQUAL(MUST(pwrite(fd, bytes, PIECE, PIECE)), PIECE);
    content(LONE, 4096, 0, bytes);
    CHECK_EQUAL(MUST(pwrite(fd, bytes, 4096, LONE)), 4096);
}

static void expect_content(int fd) {
    expect_zeros(fd, PIECE);
    read_body(fd, PIECE, PIECE, 0);
    expect_zeros(fd, LONE - 2 * PIECE);
    read_body(fd, LONE, 4096, 0);
    expect_zeros(fd, SIZE - LONE - 4096);
}

/* As on a machine with several nodes, where pages are looked at when a region is opened. */
static struct pr_counters sent_by(enum pr_engine engine, int fd) {
    struct pr_relay *relay = relay_start(options_with(1));
    relay->pages->only_node = -1;
    struct region region = region_open(relay, fd);
    struct pair pair = pair_open(ROOMY);
    uint64_t connection = adopt(relay, &pair), blocks = blocks_of(fd), transmission;
    int result = serve(relay, connection, &region, engine, 0, SIZE, &transmission);
    expect_content(pair.peer);
    if (result == 0) CHECK_EQUAL(next_event(relay).outcome, PR_OUTCOME_COMPLETE);
    wait_until(references(relay) == 0, 5000);
    CHECK_EQUAL(blocks_of(fd), blocks);
    struct pr_counters counters = counted(relay);
    node_close(relay, connection, &pair);
    pair_close(&pair);
    CHECK_EQUAL(pr_generation_close(relay, region.generation), 0);
    pr_relay_destroy(relay);
    return counters;
}

static void by_every_engine(int fd) {
    static const enum pr_engine engines[] = {PR_ENGINE_SENDFILE, PR_ENGINE_SPLICE, PR_ENGINE_COPY, PR_ENGINE_ZEROCOPY};
    uint64_t blocks = blocks_of(fd);
    for (size_t index = 0; index < sizeof engines / sizeof *engines; index++) sent_by(engines[index], fd);
    CHECK_EQUAL(blocks_of(fd), blocks);
    close(fd);
}

static void a_memfd_stays_sparse(void) {
    int fd = (int)MUST(memfd_create("sparse", MFD_CLOEXEC));
    make_sparse(fd);
    by_every_engine(fd);
}

static void a_file_on_tmpfs_stays_sparse(void) {
    int fd = file_on_tmpfs();
    make_sparse(fd);
    by_every_engine(fd);
}

static void a_file_on_disk_stays_sparse(void) {
    int fd = file_on_disk();
    make_sparse(fd);
    by_every_engine(fd);
}

/* In the place of the C library's: how often somebody has asked for the end of data, which passes over all of it. */
static atomic_uint searches;

off_t lseek(int fd, off_t offset, int whence) {
    if (whence == SEEK_HOLE) searches++;
    return syscall(SYS_lseek, fd, offset, whence);
}

static void zerocopy_passes_over_no_data_that_it_does_not_send(void) {
    enum { WHOLE = 64 * PIECE };
    int fd = (int)MUST(memfd_create("dense", MFD_CLOEXEC));
    file_fill(fd, WHOLE, 0);
    struct pr_relay *relay = relay_start(options_with(1));
    struct region region = region_open(relay, fd);
    struct pair pair = pair_open(ROOMY);
    uint64_t connection = adopt(relay, &pair), transmission;
    searches = 0;
    serve(relay, connection, &region, PR_ENGINE_ZEROCOPY, PIECE, PIECE, &transmission);
    read_body(pair.peer, PIECE, PIECE, 0);
    CHECK_EQUAL(next_event(relay).outcome, PR_OUTCOME_COMPLETE);
    CHECK_EQUAL(searches, 0);
    wait_until(references(relay) == 0, 5000);
    node_close(relay, connection, &pair);
    pair_close(&pair);
    region_close(relay, &region);
    pr_relay_destroy(relay);
}

/* Every page of every pattern of twelve, some with far more behind them, where the end of data is not searched for. */
static void data_and_holes_are_told_apart_to_the_page(void) {
    enum { PAGE = 4096, PAGES = 12, FAR = 4096 };
    static const unsigned patterns[] = {0, 0xfff, 0x001, 0x800, 0xaaa, 0x555, 0x0f0, 0xf0f, 0x7fe};
    for (size_t which = 0; which < 2 * sizeof patterns / sizeof *patterns; which++) {
        unsigned pattern = patterns[which / 2];
        int fd = (int)MUST(memfd_create("sparse", MFD_CLOEXEC));
        MUST(ftruncate(fd, (which % 2 ? FAR : PAGES) * PAGE));
        for (int page = 0; page < PAGES; page++)
            if (pattern >> page & 1) MUST(pwrite(fd, "x", 1, page * PAGE + 7));
        for (uint64_t at = 0; at < PAGES * PAGE; at += 1000) {
            bool hole, expected = !(pattern >> at / PAGE & 1);
            uint64_t end = at / PAGE + 1;
            while (end < PAGES && !(pattern >> end & 1) == expected) end++;
            CHECK_EQUAL(pr_file_alike(fd, at, PAGES * PAGE - at, &hole), end * PAGE - at);
            CHECK_EQUAL(hole, expected);
            CHECK_EQUAL(pr_file_alike(fd, at, 1, &hole), 1);
        }
        close(fd);
    }
}

/* Its holes and short pieces are read and sent, the rest is not. */
static void zerocopy_counts_what_it_had_to_read(void) {
    int fd = (int)MUST(memfd_create("sparse", MFD_CLOEXEC));
    make_sparse(fd);
    struct pr_counters counters = sent_by(PR_ENGINE_ZEROCOPY, fd);
    CHECK_EQUAL(counters.sent_bytes[PR_ENGINE_ZEROCOPY], SIZE);
    CHECK(counters.zerocopy_sends[PR_ZEROCOPY_NOT_TRIED] > 0);
    /* On loopback the kernel copies the rest, and says so. */
    CHECK(counters.zerocopy_sends[PR_ZEROCOPY_COPIED] > 0);
    CHECK_EQUAL(counters.copied_bytes[PR_ENGINE_ZEROCOPY], SIZE);
    close(fd);
}

static void zerocopy_reads_where_nothing_can_be_mapped(void) {
    int fd = (int)MUST(memfd_create("sparse", MFD_CLOEXEC));
    make_sparse(fd);
    pr_fault_set(PR_CALL_MMAP, ENOMEM, 0, 1000);
    struct pr_counters counters = sent_by(PR_ENGINE_ZEROCOPY, fd);
    pr_fault_set(PR_CALL_MMAP, 0, 0, 0);
    CHECK_EQUAL(counters.copied_bytes[PR_ENGINE_ZEROCOPY], SIZE);
    CHECK_EQUAL(counters.zerocopy_sends[PR_ZEROCOPY_COPIED], 0);
    close(fd);
}

/* Far more than a process can address. */
static void its_size_costs_no_address_space(void) {
    enum { FILES = 200 };
    uint64_t ids[FILES];
    int fds[FILES];
    struct pr_relay *relay = relay_start(options_with(1));
    size_t mappings = test_mappings();
    for (int index = 0; index < FILES; index++) {
        struct pr_generation_info info;
        char path[64];
        fds[index] = (int)MUST(memfd_create("huge", MFD_CLOEXEC));
        MUST(ftruncate(fds[index], index == 0 ? (off_t)7 << 60 : (off_t)2 << 40));
        snprintf(path, sizeof path, "/proc/self/fd/%d", fds[index]);
        CHECK_EQUAL(pr_generation_open(relay, 0, path, UINT64_MAX, &ids[index], &info), 0);
        CHECK_EQUAL(info.size, index == 0 ? (uint64_t)7 << 60 : (uint64_t)2 << 40);
    }
    CHECK_EQUAL(test_mappings(), mappings);
    for (int index = 0; index < FILES; index++) {
        CHECK_EQUAL(pr_generation_close(relay, ids[index]), 0);
        close(fds[index]);
    }
    pr_relay_destroy(relay);
}

int main(void) {
    pr_faults_enable();
    RUN(a_memfd_stays_sparse);
    RUN(a_file_on_tmpfs_stays_sparse);
    RUN(a_file_on_disk_stays_sparse);
    RUN(zerocopy_counts_what_it_had_to_read);
    RUN(zerocopy_reads_where_nothing_can_be_mapped);
    RUN(its_size_costs_no_address_space);
    RUN(data_and_holes_are_told_apart_to_the_page);
    RUN(zerocopy_passes_over_no_data_that_it_does_not_send);
    return 0;
}

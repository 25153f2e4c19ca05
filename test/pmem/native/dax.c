/* The core on a file system with DAX, whose folder is the first argument: what copies, what waits, and for how long. */
#include "../../../native-shim/test/test.h"

#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <unistd.h>

#include "pages/file.h"
#include "wire/witness.h"

enum { LENGTH = 16 << 10, SIZE = 64 << 10, ROUNDS = 10, FEW_ROUNDS = 3, PATIENCE = 10000, A_WHILE = 300 };

static const char *folder;

static void path_of_region(char path[static 256]) {
    snprintf(path, 256, "%s/region", folder);
}

static struct region dax_region(struct pr_relay *relay) {
    char path[256];
    path_of_region(path);
    struct region region = {.fd = (int)MUST(open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600))};
    region_write(&region, 0, SIZE, 0);
    region = region_open(relay, region.fd);
    CHECK_EQUAL(pr_generation_set_copying(relay, region.generation, 1u << PR_ENGINE_SENDFILE), 0);
    return region;
}

/* One region, one connection, and what is to be given back. */
struct setting {
    struct pr_relay *relay;
    struct region region;
    struct pair pair;
    uint64_t connection;
};

static struct setting set_up(void) {
    struct setting set = {.relay = relay_start(options_with(1))};
    set.region = dax_region(set.relay);
    set.pair = pair_open(ROOMY);
    set.connection = adopt(set.relay, &set.pair);
    return set;
}

static void put_away(struct setting *set) {
    char path[256];
    node_close(set->relay, set->connection, &set->pair);
    pair_close(&set->pair);
    region_close(set->relay, &set->region);
    pr_relay_destroy(set->relay);
    pr_nudge(); /* the unlink below is the last there is of the file */
    path_of_region(path);
    MUST(unlink(path));
}

static void send_unread(struct setting *set, enum pr_engine engine) {
    CHECK_EQUAL(serve(set->relay, set->connection, &set->region, engine, 0, LENGTH, NULL), 1);
    wait_acknowledged(set->pair.ours);
}

static void its_backing_is_fsdax_and_its_node_is_the_devices(void) {
    struct setting set = set_up();
    struct pr_backing_info info;
    CHECK_EQUAL(pr_backing_of(set.region.fd, &info), 0);
    CHECK_EQUAL(info.backing, PR_BACKING_FSDAX);
    CHECK_EQUAL(info.size, SIZE);
    CHECK_EQUAL(info.page_size, 4096);
    CHECK_EQUAL(info.node, 1);
    put_away(&set);
}

static void a_witness_says_so(void) {
    uint64_t size;
    int fd;
    CHECK_EQUAL(pr_scratch_open(PR_SCRATCH_FOLDER, folder, &fd, &size), 0);
    CHECK_EQUAL(pr_witness_copy_free(fd, size, PR_ENGINE_SPLICE), 1);
    CHECK_EQUAL(pr_witness_copy_free(fd, size, PR_ENGINE_SENDFILE), 0);
    CHECK_EQUAL(pr_witness_copy_free(fd, size, PR_ENGINE_COPY), 0);
    pr_nudge();
    close(fd);
}

/* What an unread, acknowledged body becomes when its file is overwritten, and whether it is held meanwhile. */
static void unread_body(enum pr_engine engine, unsigned revision, size_t held) {
    struct setting set = set_up();
    send_unread(&set, engine);
    CHECK_EQUAL(references(set.relay), held);
    region_write(&set.region, 0, LENGTH, 1);
    read_body(set.pair.peer, 0, LENGTH, revision);
    wait_until(references(set.relay) == 0, PATIENCE);
    put_away(&set);
}

static void splice_sends_the_pages_themselves_and_holds_them_until_they_are_read(void) {
    unread_body(PR_ENGINE_SPLICE, 1, 1);
}

static void sendfile_sends_a_copy_and_holds_nothing(void) {
    unread_body(PR_ENGINE_SENDFILE, 0, 0);
}

static void copy_sends_a_copy_and_holds_nothing(void) {
    unread_body(PR_ENGINE_COPY, 0, 0);
}

/* A file that is cut by a thread of its own, which may have to wait in the kernel. */
struct cut {
    pthread_t thread;
    int fd;
    _Atomic bool over;
    int result;
};

static void *cut_file(void *argument) {
    struct cut *cut = argument;
    cut->result = pr_file_cut(cut->fd, 0);
    cut->over = true;
    return NULL;
}

static void begin_cut(struct cut *cut, int fd) {
    *cut = (struct cut){.fd = fd};
    MUST(-pthread_create(&cut->thread, NULL, cut_file, cut));
}

static void end_cut(struct cut *cut) {
    wait_until(cut->over, PATIENCE);
    MUST(-pthread_join(cut->thread, NULL));
    CHECK_EQUAL(cut->result, 0);
}

static void growing_waits_for_nobody(void) {
    struct setting set = set_up();
    send_unread(&set, PR_ENGINE_SPLICE);
    CHECK_EQUAL(pr_file_extend(set.region.fd, 2 * SIZE), 0);
    CHECK_EQUAL(references(set.relay), 1);
    read_body(set.pair.peer, 0, LENGTH, 0);
    wait_until(references(set.relay) == 0, PATIENCE);
    put_away(&set);
}

static void a_copy_that_is_unread_keeps_no_cut_waiting(void) {
    struct setting set = set_up();
    struct cut cut;
    send_unread(&set, PR_ENGINE_SENDFILE);
    begin_cut(&cut, set.region.fd);
    end_cut(&cut);
    read_body(set.pair.peer, 0, LENGTH, 0);
    put_away(&set);
}

/* Deferred free: a reader on another CPU leaves what it has read with the sender's. */

static void pin_to(unsigned cpu) {
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(cpu, &one);
    MUST(sched_setaffinity(0, sizeof one, &one));
}

static unsigned other_cpu(void) {
    return sysconf(_SC_NPROCESSORS_ONLN) > 1 ? 1 : 0;
}

static void *read_on_the_other_cpu(void *argument) {
    pin_to(other_cpu());
    read_body(*(int *)argument, 0, LENGTH, 0);
    return NULL;
}

static void send_from_one_cpu(struct setting *set) {
    cpu_set_t all;
    MUST(sched_getaffinity(0, sizeof all, &all));
    pin_to(0);
    send_unread(set, PR_ENGINE_SPLICE);
    MUST(sched_setaffinity(0, sizeof all, &all));
}

static void have_it_read_on_the_other(struct setting *set) {
    pthread_t reader;
    MUST(-pthread_create(&reader, NULL, read_on_the_other_cpu, &set->pair.peer));
    wait_until(references(set->relay) == 0, PATIENCE);
    MUST(-pthread_join(reader, NULL));
}

static void a_cut_waits_for_the_reader_and_no_longer(void) {
    for (int round = 0; round < FEW_ROUNDS; round++) {
        struct setting set = set_up();
        struct cut cut;
        send_from_one_cpu(&set);
        begin_cut(&cut, set.region.fd);
        stays(!cut.over, A_WHILE);
        have_it_read_on_the_other(&set);
        end_cut(&cut);
        put_away(&set);
    }
}

static void a_cut_after_done_is_over_soon_wherever_the_reader_runs(void) {
    for (int round = 0; round < ROUNDS; round++) {
        struct setting set = set_up();
        struct cut cut;
        send_from_one_cpu(&set);
        have_it_read_on_the_other(&set);
        begin_cut(&cut, set.region.fd);
        end_cut(&cut);
        put_away(&set);
    }
}

int main(int count, char **arguments) {
    if (count != 2) return 2;
    folder = arguments[1];
    RUN(its_backing_is_fsdax_and_its_node_is_the_devices);
    RUN(splice_sends_the_pages_themselves_and_holds_them_until_they_are_read);
    RUN(sendfile_sends_a_copy_and_holds_nothing);
    RUN(copy_sends_a_copy_and_holds_nothing);
    RUN(a_witness_says_so);
    RUN(growing_waits_for_nobody);
    RUN(a_copy_that_is_unread_keeps_no_cut_waiting);
    RUN(a_cut_waits_for_the_reader_and_no_longer);
    RUN(a_cut_after_done_is_over_soon_wherever_the_reader_runs);
    return 0;
}

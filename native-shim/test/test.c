#include "test.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

static const char *running = "";

/* Checks. */

_Noreturn void test_failed(const char *file, int line, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    fprintf(stderr, "%s:%d: %s: ", file, line, running);
    vfprintf(stderr, format, arguments);
    fprintf(stderr, "\n");
    va_end(arguments);
    fflush(NULL);
    _exit(1);
}

_Noreturn void test_skip(const char *why) {
    printf("%s\n", why);
    fflush(NULL);
    _exit(77);
}

void test_equal(const char *file, int line, const char *what, long long actual, long long expected) {
    if (actual != expected) test_failed(file, line, "%s: %lld, not %lld", what, actual, expected);
}

long test_must(const char *file, int line, const char *what, long result) {
    if (result < 0) test_failed(file, line, "%s: %s", what, strerror(errno));
    return result;
}

void test_pause(void) {
    struct timespec brief = {.tv_nsec = 300000};
    nanosleep(&brief, NULL);
}

/* The listener that all pairs come from. */

/* One for all, made before anything is counted: looking for a free port again and again gets slow. */
static struct {
    pthread_mutex_t lock;
    int fd;
    struct sockaddr_in address;
} listener = {.lock = PTHREAD_MUTEX_INITIALIZER, .fd = -1};

static void listen_once(void) {
    if (listener.fd >= 0) return;
    socklen_t length = sizeof listener.address;
    listener.address = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    listener.fd = (int)MUST(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    MUST(bind(listener.fd, (struct sockaddr *)&listener.address, length));
    MUST(listen(listener.fd, 16));
    MUST(getsockname(listener.fd, (struct sockaddr *)&listener.address, &length));
}

/* What is left behind. */

static size_t count_lines(const char *path, const char *with) {
    char line[512];
    size_t count = 0;
    FILE *file = fopen(path, "re");
    CHECK(file);
    while (fgets(line, sizeof line, file)) count += strstr(line, with) != NULL;
    fclose(file);
    return count;
}

/* Only those of regions: a sanitizer maps as it likes. */
size_t test_mappings(void) {
    return count_lines("/proc/self/maps", "region");
}

uint64_t test_processor_time(const struct pr_lane *lane) {
    clockid_t clock;
    struct timespec used;
    CHECK_EQUAL(pthread_getcpuclockid(lane->thread, &clock), 0);
    MUST(clock_gettime(clock, &used));
    return (uint64_t)used.tv_sec * 1000000000u + (uint64_t)used.tv_nsec;
}

size_t test_watched(int epoll) {
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fdinfo/%d", epoll);
    return count_lines(path, "tfd:");
}

size_t test_descriptors(void) {
    size_t count = 0;
    DIR *directory = opendir("/proc/self/fd");
    CHECK(directory);
    while (readdir(directory)) count++;
    closedir(directory);
    return count;
}

void test_run(const char *name, void (*function)(void)) {
    running = name;
    signal(SIGPIPE, SIG_IGN); /* as Node does: sendfile and splice have no MSG_NOSIGNAL */
    setvbuf(stdout, NULL, _IOLBF, 0);
    listen_once();
    size_t descriptors = test_descriptors(), mappings = test_mappings(), allocated = pr_allocated_bytes();
    function();
    CHECK_EQUAL(test_descriptors(), descriptors);
    CHECK_EQUAL(test_mappings(), mappings);
    CHECK_EQUAL(pr_allocated_bytes(), allocated);
    printf("  %s\n", name);
}

/* Numbers. */

uint64_t test_random(uint64_t *state) {
    uint64_t mixed = (*state += 0x9e3779b97f4a7c15u);
    mixed = (mixed ^ mixed >> 30) * 0xbf58476d1ce4e5b9u;
    mixed = (mixed ^ mixed >> 27) * 0x94d049bb133111ebu;
    return mixed ^ mixed >> 31;
}

uint64_t test_below(uint64_t *state, uint64_t limit) {
    return test_random(state) % limit;
}

uint64_t test_seed(void) {
    const char *given = getenv("SEED");
    uint64_t seed = given ? strtoull(given, NULL, 0) : pr_now();
    printf("  SEED=%llu\n", (unsigned long long)seed);
    return seed;
}

/* Regions. */

static uint64_t word_at(uint64_t index, unsigned revision) {
    return (index + 1) * 0x9e3779b97f4a7c15u + revision * 0xd1b54a32d192ed03u;
}

void content(uint64_t offset, size_t length, unsigned revision, unsigned char *into) {
    while (length > 0) {
        uint64_t word = word_at(offset / 8, revision);
        size_t skip = offset % 8, part = 8 - skip < length ? 8 - skip : length;
        memcpy(into, (unsigned char *)&word + skip, part);
        into += part;
        offset += part;
        length -= part;
    }
}

enum { BLOCK = 64 << 10 };

void region_write(const struct region *region, uint64_t offset, uint64_t length, unsigned revision) {
    unsigned char block[BLOCK];
    for (uint64_t done = 0; done < length;) {
        size_t part = length - done < BLOCK ? (size_t)(length - done) : BLOCK;
        content(offset + done, part, revision, block);
        CHECK_EQUAL(MUST(pwrite(region->fd, block, part, (off_t)(offset + done))), part);
        done += part;
    }
}

struct region region_open(struct pr_relay *relay, int fd) {
    char path[64];
    struct region region = {.fd = fd};
    struct pr_generation_info info;
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    CHECK_EQUAL(pr_generation_open(relay, 0, path, UINT64_MAX, &region.generation, &info), 0);
    region.size = info.size;
    region.page = info.backing.page_size;
    return region;
}

struct region region_create(struct pr_relay *relay, uint64_t size) {
    int fd = (int)MUST(memfd_create("region", MFD_CLOEXEC | MFD_ALLOW_SEALING));
    struct region region = {.fd = fd};
    MUST(ftruncate(fd, (off_t)size));
    region_write(&region, 0, size, 0);
    return region_open(relay, fd);
}

void region_close(struct pr_relay *relay, struct region *region) {
    CHECK_EQUAL(pr_generation_close(relay, region->generation), 0);
    close(region->fd);
}

/* Files. */

int file_on_tmpfs(void) {
    return (int)MUST(memfd_create("scratch", MFD_CLOEXEC));
}

int file_on_disk(void) {
    char path[] = "/tmp/pagerelay-files-XXXXXX";
    int fd = (int)MUST(mkostemp(path, O_CLOEXEC));
    MUST(unlink(path));
    return fd;
}

uint64_t file_size(int fd) {
    struct stat status;
    MUST(fstat(fd, &status));
    return (uint64_t)status.st_size;
}

void file_fill(int fd, uint64_t size, unsigned revision) {
    struct region region = {.fd = fd};
    region_write(&region, 0, size, revision);
}

void file_check(int fd, const unsigned char *expected, uint64_t size) {
    unsigned char got[BLOCK];
    CHECK_EQUAL(file_size(fd), size);
    for (uint64_t at = 0; at < size; at += BLOCK) {
        size_t part = size - at < BLOCK ? (size_t)(size - at) : BLOCK;
        CHECK_EQUAL(MUST(pread(fd, got, part, (off_t)at)), part);
        for (size_t index = 0; index < part; index++)
            if (got[index] != expected[at + index]) FAIL("byte %llu is wrong", (unsigned long long)(at + index));
    }
}

void file_check_zeros(int fd, uint64_t from, uint64_t to) {
    unsigned char byte;
    for (uint64_t at = from; at < to; at++) {
        CHECK_EQUAL(MUST(pread(fd, &byte, 1, (off_t)at)), 1);
        if (byte != 0) FAIL("byte %llu is not zero", (unsigned long long)at);
    }
}

/* Connections. */

/* The lock keeps the two ends of a pair together. */
static void connect_both(struct pair *pair) {
    pthread_mutex_lock(&listener.lock);
    MUST(connect(pair->peer, (struct sockaddr *)&listener.address, sizeof listener.address));
    pair->ours = (int)MUST(accept4(listener.fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK));
    pthread_mutex_unlock(&listener.lock);
}

static void connect_ready(struct pair *pair, int receive_buffer) {
    if (setsockopt(pair->peer, SOL_SOCKET, SO_RCVBUFFORCE, &receive_buffer, sizeof receive_buffer) < 0)
        MUST(setsockopt(pair->peer, SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof receive_buffer));
    struct timeval patience = {.tv_sec = 20};
    MUST(setsockopt(pair->peer, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience));
    connect_both(pair);
    int now = 1;
    MUST(setsockopt(pair->ours, IPPROTO_TCP, TCP_NODELAY, &now, sizeof now));
}

struct pair pair_open(int receive_buffer) {
    struct pair pair = {.peer = (int)MUST(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0))};
    connect_ready(&pair, receive_buffer);
    return pair;
}

bool pair_open_mptcp(struct pair *pair) {
    enum { MPTCP = 262 };
    pair->peer = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, MPTCP);
    if (pair->peer < 0) return false;
    connect_ready(pair, ROOMY);
    return true;
}

void close_peer(struct pair *pair) {
    if (pair->peer >= 0) close(pair->peer);
    pair->peer = -1;
}

void pair_close(struct pair *pair) {
    close_peer(pair);
    if (pair->ours >= 0) close(pair->ours);
    pair->ours = -1;
}

void reset_peer(struct pair *pair) {
    struct linger at_once = {.l_onoff = 1};
    MUST(setsockopt(pair->peer, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once));
    close_peer(pair);
}

int tcp_state(int fd) {
    struct tcp_info info;
    socklen_t length = sizeof info;
    MUST(getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &length));
    return info.tcpi_state;
}

static int unacknowledged(int fd) {
    int bytes;
    MUST(ioctl(fd, SIOCOUTQ, &bytes));
    return bytes;
}

void wait_acknowledged(int ours) {
    wait_until(unacknowledged(ours) == 0, 5000);
}

static void check_bytes(const unsigned char *got, uint64_t offset, size_t length, unsigned revision) {
    unsigned char expected[BLOCK];
    content(offset, length, revision, expected);
    if (memcmp(got, expected, length) == 0) return;
    size_t index = 0;
    while (got[index] == expected[index]) index++;
    FAIL("wrong byte at %llu: %#x, not %#x", (unsigned long long)(offset + index), got[index], expected[index]);
}

void read_body(int peer, uint64_t offset, uint64_t length, unsigned revision) {
    unsigned char block[BLOCK];
    while (length > 0) {
        ssize_t got = recv(peer, block, length < BLOCK ? (size_t)length : BLOCK, 0);
        if (got <= 0) FAIL("%llu bytes short: %s", (unsigned long long)length, got ? strerror(errno) : "end");
        check_bytes(block, offset, (size_t)got, revision);
        offset += (uint64_t)got;
        length -= (uint64_t)got;
    }
}

uint64_t read_to_end(int peer, uint64_t offset, unsigned revision, bool *reset) {
    unsigned char block[BLOCK];
    uint64_t total = 0;
    ssize_t got;
    while ((got = recv(peer, block, BLOCK, 0)) > 0) {
        check_bytes(block, offset + total, (size_t)got, revision);
        total += (uint64_t)got;
    }
    if (got < 0 && errno != ECONNRESET) FAIL("recv: %s", strerror(errno));
    if (reset) *reset = got < 0;
    return total;
}

/* Relays. */

int classify(struct pr_prober *prober, int fd, struct pr_peer *peer) {
    int result = pr_peer_addresses(fd, peer);
    if (result == 0) pr_peer_classify(prober, fd, peer);
    return result;
}

struct pr_options options_with(unsigned lanes) {
    return (struct pr_options){.lanes = lanes, .max_hold_seconds = 60, .max_broken_off = 64};
}

struct pr_relay *relay_start(struct pr_options options) {
    struct pr_relay *relay;
    CHECK_EQUAL(pr_relay_create(&options, &relay), 0);
    return relay;
}

uint64_t adopt(struct pr_relay *relay, const struct pair *pair) {
    uint64_t connection;
    enum pr_peer_kind kind;
    CHECK_EQUAL(pr_connection_adopt(relay, pair->ours, false, -1, &connection, &kind), 0);
    if (relay->wire->pretence.peers == 0) CHECK_EQUAL(kind, PR_PEER_LOCAL);
    return connection;
}

uint64_t hold(struct pr_relay *relay, const struct region *region, enum pr_engine engine, uint64_t offset,
              uint64_t length) {
    uint64_t transmission;
    struct pr_segment extent = {.offset = offset, .length = length};
    CHECK_EQUAL(pr_hold(relay, region->generation, 0, 0, engine, 0, &extent, 1, &transmission), 0);
    return transmission;
}

int serve(struct pr_relay *relay, uint64_t connection, const struct region *region, enum pr_engine engine,
          uint64_t offset, uint64_t length, uint64_t *transmission) {
    uint64_t id = hold(relay, region, engine, offset, length);
    if (transmission) *transmission = id;
    return pr_send(relay, connection, id, NULL, 0, NULL);
}

struct pr_event next_event(struct pr_relay *relay) {
    struct pr_event event;
    wait_until(pr_events(relay, &event, 1) == 1, 20000);
    return event;
}

bool no_event(struct pr_relay *relay) {
    struct pr_event event;
    return pr_events(relay, &event, 1) == 0;
}

size_t references(struct pr_relay *relay) {
    struct pr_reference_info infos[16];
    struct pr_page page = {0};
    size_t count = 0;
    do {
        CHECK_EQUAL(pr_references(relay, 0, page.next, infos, 16, &page), 0);
        count += page.count;
    } while (page.next);
    return count;
}

struct pr_reference_info only_reference(struct pr_relay *relay) {
    struct pr_reference_info info;
    struct pr_page page;
    CHECK_EQUAL(pr_references(relay, 0, 0, &info, 1, &page), 0);
    CHECK_EQUAL(page.count, 1);
    CHECK_EQUAL(page.next, 0);
    return info;
}

struct pr_counters counted(struct pr_relay *relay) {
    struct pr_counters counters;
    pr_counters(relay, &counters);
    return counters;
}

void node_close(struct pr_relay *relay, uint64_t connection, struct pair *pair) {
    close(pair->ours);
    pair->ours = -1;
    CHECK_EQUAL(pr_connection_close(relay, connection), 0);
}

uint64_t blocks_of(int fd) {
    struct stat status;
    MUST(fstat(fd, &status));
    return (uint64_t)status.st_blocks;
}

void expect_zeros(int fd, size_t length) {
    unsigned char bytes[65536];
    while (length > 0) {
        ssize_t got = MUST(recv(fd, bytes, length < sizeof bytes ? length : sizeof bytes, 0));
        for (ssize_t at = 0; at < got; at++) CHECK_EQUAL(bytes[at], 0);
        length -= (size_t)got;
    }
}

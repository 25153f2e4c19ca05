/* The reader that throws bodies away, the reading of a mapping without a load, and the counting of calls. */
#include "test.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/sys.h"
#include "wire/discard.h"

/* A server that gives the same bytes to each request, in pieces, and then ends. */
struct server {
    int listener;
    uint16_t port;
    unsigned answers;
    const char *head;
    size_t body;
    pthread_t thread;
};

static void answer(int fd, const struct server *server) {
    char request[64];
    ssize_t got = recv(fd, request, sizeof request, 0);
    if (got <= 0) return;
    size_t length = strlen(server->head);
    MUST(send(fd, server->head, length / 2, MSG_NOSIGNAL));
    test_pause(); /* its reader may give up meanwhile */
    if (send(fd, server->head + length / 2, length - length / 2, MSG_NOSIGNAL) < 0) return;
    char bytes[1000] = {0};
    for (size_t left = server->body; left > 0;) {
        ssize_t sent = send(fd, bytes, left < sizeof bytes ? left : sizeof bytes, MSG_NOSIGNAL);
        if (sent < 0) return;
        left -= (size_t)sent;
    }
}

static void *run_server(void *argument) {
    struct server *server = argument;
    int fd = (int)MUST(accept4(server->listener, NULL, NULL, SOCK_CLOEXEC));
    for (unsigned done = 0; done < server->answers; done++) answer(fd, server);
    close(fd);
    return NULL;
}

static void server_start(struct server *server) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    server->listener = (int)MUST(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    MUST(bind(server->listener, (struct sockaddr *)&address, sizeof address));
    MUST(listen(server->listener, 1));
    MUST(getsockname(server->listener, (struct sockaddr *)&address, &length));
    server->port = ntohs(address.sin_port);
    CHECK_EQUAL(pthread_create(&server->thread, NULL, run_server, server), 0);
}

static void server_stop(struct server *server) {
    pthread_join(server->thread, NULL);
    close(server->listener);
}

static struct pr_reading reading_of(const struct server *server, uint64_t body, unsigned most) {
    return (struct pr_reading){
        .port = server->port, .request = "GO", .request_length = 2, .body = body, .most = most, .seconds = 30};
}

static void answers_are_read_to_their_end_and_counted(void) {
    struct server server = {.answers = 3, .head = "HTTP/1.1 206 x\r\nA: b\r\n\r\n", .body = 300001};
    struct pr_discarded discarded;
    server_start(&server);
    struct pr_reading reading = reading_of(&server, 300001, 3);
    CHECK_EQUAL(pr_discard(&reading, &discarded), 0);
    server_stop(&server);
    CHECK_EQUAL(discarded.answers, 3);
    CHECK_EQUAL(discarded.bytes, 900003);
    CHECK(strcmp(discarded.head, "HTTP/1.1 206 x\r\nA: b\r\n") == 0);
    CHECK(discarded.seconds > 0);
}

static void time_that_is_over_ends_it_after_an_answer(void) {
    struct server server = {.answers = 1, .head = "x\r\n\r\n", .body = 10};
    struct pr_discarded discarded;
    server_start(&server);
    struct pr_reading reading = reading_of(&server, 10, 1000);
    reading.seconds = 0;
    CHECK_EQUAL(pr_discard(&reading, &discarded), 0);
    server_stop(&server);
    CHECK_EQUAL(discarded.answers, 1);
}

static void what_ends_early_or_has_no_end_of_its_head_is_an_error(void) {
    static char endless[8000];
    memset(endless, 'x', sizeof endless - 1);
    struct pr_discarded discarded;
    struct server shorter = {.answers = 1, .head = "x\r\n\r\n", .body = 10};
    server_start(&shorter);
    struct pr_reading reading = reading_of(&shorter, 11, 1);
    CHECK_EQUAL(pr_discard(&reading, &discarded), -ECONNRESET);
    server_stop(&shorter);
    CHECK_EQUAL(pr_discard(&reading, &discarded), -ECONNREFUSED);
    struct server headless = {.answers = 1, .head = endless};
    server_start(&headless);
    reading = reading_of(&headless, 11, 1);
    CHECK_EQUAL(pr_discard(&reading, &discarded), -EBADMSG);
    server_stop(&headless);
}

static void a_mapping_is_read_without_sigbus(void) {
    struct pr_relay *relay = relay_start(options_with(1));
    struct region region = region_create(relay, 8192);
    unsigned char bytes[8192], expected[8192];
    content(0, sizeof expected, 0, expected);
    size_t length = sizeof bytes;
    CHECK(pr_generation_at(relay, region.generation, 100, &length) == NULL); /* a memfd is not mapped */
    CHECK_EQUAL(length, 0);
    const char *address = mmap(NULL, sizeof bytes, PROT_READ, MAP_SHARED, region.fd, 0);
    CHECK(address != MAP_FAILED);
    CHECK_EQUAL(pr_copy_mapped(address + 100, bytes, 8092), 8092);
    CHECK(memcmp(bytes, expected + 100, 8092) == 0);
    length = 10;
    CHECK(pr_generation_at(relay, region.generation + 1, 0, &length) == NULL);
    CHECK_EQUAL(length, 0);
    CHECK_EQUAL(pr_copy_mapped(NULL, bytes, 0), 0);
    MUST(ftruncate(region.fd, 0));
    CHECK_EQUAL(pr_copy_mapped(address, bytes, 10), -EFAULT);
    munmap((void *)(uintptr_t)address, sizeof bytes);
    region_close(relay, &region);
    pr_relay_destroy(relay);
}

/* Last: the table can't be put back. */
static void calls_count_once_they_are_to(void) {
    uint64_t before = pr_calls_made(PR_CALL_PIPE);
    int ends[2];
    MUST(pr_sys.pipe(ends));
    CHECK_EQUAL(pr_calls_made(PR_CALL_PIPE), before);
    close(ends[0]);
    close(ends[1]);
    pr_counting_enable();
    CHECK(!pr_faults_enabled());
    MUST(pr_sys.pipe(ends));
    CHECK_EQUAL(pr_calls_made(PR_CALL_PIPE), before + 1);
    close(ends[0]);
    close(ends[1]);
    for (int call = 0; call < PR_CALL_COUNT; call++)
        CHECK_EQUAL(pr_call_by_name(pr_call_name((enum pr_call)call)), call);
}

int main(void) {
    RUN(answers_are_read_to_their_end_and_counted);
    RUN(time_that_is_over_ends_it_after_an_answer);
    RUN(what_ends_early_or_has_no_end_of_its_head_is_an_error);
    RUN(a_mapping_is_read_without_sigbus);
    RUN(calls_count_once_they_are_to);
    return 0;
}

/* What answers of lanes that read the same region have in common: no writer is there. */
#include "../scene.h"

#include <sys/wait.h>

#include "http/log.h"
#include "shared.h"

enum { MOST_LANES = 16, BYTES = 4096, ROUNDS = 200, BEFORE = 20 };

/* In a process of its own, whose memory is not counted: each connection asks in turn. */
static void ask_and_read(const struct scene *scene, const int *peers, unsigned count, unsigned rounds) {
    static unsigned char bytes[BYTES];
    char request[256], head[1024];
    for (unsigned round = 0; round < rounds; round++) {
        for (unsigned index = 0; index < count; index++)
            say(peers[index], request, write_range(request, (uint64_t)(index % 32) * BYTES, BYTES));
        for (unsigned index = 0; index < count; index++) {
            size_t length = 0;
            while (length < 4 || memcmp(head + length - 4, "\r\n\r\n", 4) != 0)
                CHECK_EQUAL(MUST(recv(peers[index], head + length++, 1, 0)), 1);
            CHECK_EQUAL(MUST(recv(peers[index], bytes, BYTES, MSG_WAITALL)), BYTES);
        }
    }
    (void)scene;
}

struct cost {
    double changes, nanoseconds;
};

static struct cost measure(unsigned lanes, struct pr_log *log) {
    struct pr_responding responding = patient();
    responding.log = log;
    struct scene scene = scene_with(options_with(lanes), responding, SIZE, 0);
    int peers[2 * MOST_LANES], ready[2], go[2];
    char byte = 0;
    unsigned count = 2 * lanes;
    publish(&scene, PR_ENGINE_SENDFILE);
    MUST(pipe(ready));
    MUST(pipe(go));
    pid_t client = (pid_t)MUST(fork());
    if (client == 0) {
        for (unsigned index = 0; index < count; index++) peers[index] = visit(&scene);
        ask_and_read(&scene, peers, count, BEFORE); /* they are accepted and classified */
        MUST(write(ready[1], &byte, 1));
        MUST(read(go[0], &byte, 1));
        ask_and_read(&scene, peers, count, ROUNDS);
        MUST(write(ready[1], &byte, 1));
        MUST(read(go[0], &byte, 1));
        _exit(0);
    }
    MUST(read(ready[0], &byte, 1));
    uint64_t before = answers_so_far(&scene);
    shared_begin();
    MUST(write(go[1], &byte, 1));
    MUST(read(ready[0], &byte, 1));
    struct shared_changes shared = shared_end();
    double answers = (double)(answers_so_far(&scene) - before);
    MUST(write(go[1], &byte, 1));
    MUST(waitpid(client, NULL, 0));
    for (unsigned end = 0; end < 2; end++) close(ready[end]), close(go[end]);
    scene_close(&scene);
    return (struct cost){.changes = (double)shared.changes / answers,
                         .nanoseconds = (double)shared.nanoseconds / answers};
}

int main(void) {
    printf("\nAnswers of 4 KiB by lanes, from one file that nobody writes to; %d of each connection, two a lane.\n\n"
           "| lanes | atomic read-modify-writes on shared lines, per answer | time of shared locks, per answer | both, "
           "with the access log |\n|---:|---:|---:|---:|\n",
           ROUNDS);
    struct pr_log *log;
    int fd = (int)MUST(open("/dev/null", O_WRONLY | O_CLOEXEC));
    CHECK_EQUAL(pr_log_open(fd, NULL, NULL, &log), 0);
    for (unsigned lanes = 1; lanes <= MOST_LANES; lanes *= 2) {
        struct cost plain = measure(lanes, NULL), logged = measure(lanes, log);
        printf("| %u | %.2f | %.0f ns | %.2f, %.0f ns |\n", lanes, plain.changes, plain.nanoseconds, logged.changes,
               logged.nanoseconds);
    }
    pr_log_close(log);
    return 0;
}

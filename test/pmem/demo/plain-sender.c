/*
 * What goes wrong without pagerelay: `plain-sender FOLDER` sends a file by vmsplice to a reader that does not read yet,
 * deletes it as anybody would (unlink, unmap, close), has other files written meanwhile, and lets the reader read.
 * Prints one JSON object. FOLDER should have little space, all of which the other files take.
 *
 * Server and reader are processes of their own: on newer kernels the server's last close hangs until the reader reads.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/statvfs.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { PAGE = 4096, SIZE = 64 << 10, OTHER = 1 << 20, BLOCKED_MS = 3000, PATIENCE_MS = 20000 };
#define MUST(call) must(#call, (long)(call))

static long must(const char *what, long result) {
    if (result >= 0) return result;
    fprintf(stderr, "%s: %s\n", what, strerror(errno));
    exit(1);
}

static void describe(char *page, const char *whose, size_t number) {
    char line[65];
    snprintf(line, sizeof line, "page %06u of %-48.48s\n", (unsigned)number % 1000000, whose);
    for (size_t at = 0; at < PAGE; at += 64) memcpy(page + at, line, 64);
}

/* False when there is no space left. */
static bool write_file(const char *folder, const char *name, const char *whose, size_t size) {
    char path[512], page[PAGE];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    int fd = (int)MUST(open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
    bool whole = true;
    for (size_t at = 0; whole && at < size; at += PAGE) {
        describe(page, whose, at / PAGE);
        whole = write(fd, page, PAGE) == PAGE;
    }
    MUST(fsync(fd)); /* freed blocks are given out again when the journal has them */
    close(fd);
    return whole;
}

/* The server. Tells by `told` that all is acknowledged, then that the file is closed. */
static _Noreturn void serve(const char *folder, int listener, int told) {
    char path[512];
    int ends[2], queued = 1;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    close(STDOUT_FILENO); /* nobody shall wait for what may not end */
    close(STDERR_FILENO);
    snprintf(path, sizeof path, "%s/victim", folder);
    int socket_fd = (int)MUST(accept(listener, NULL, NULL)), fd = (int)MUST(open(path, O_RDONLY));
    char *address = mmap(NULL, SIZE, PROT_READ, MAP_SHARED, fd, 0);
    if (address == MAP_FAILED) must("mmap", -1);
    MUST(pipe(ends));
    for (size_t sent = 0; sent < SIZE;) {
        struct iovec vector = {address + sent, SIZE - sent};
        long taken = MUST(vmsplice(ends[1], &vector, 1, 0));
        for (long left = taken; left > 0;) left -= MUST(splice(ends[0], NULL, socket_fd, NULL, (size_t)left, 0));
        sent += (size_t)taken;
    }
    while (MUST(ioctl(socket_fd, SIOCOUTQ, &queued)) == 0 && queued > 0) poll(NULL, 0, 1);
    MUST(write(told, "a", 1));
    MUST(unlink(path));
    MUST(munmap(address, SIZE));
    MUST(close(fd));
    MUST(write(told, "c", 1));
    pause();
    _exit(0);
}

static char state_of(pid_t pid) {
    char path[64], state = '?';
    snprintf(path, sizeof path, "/proc/%d/stat", pid);
    FILE *file = fopen(path, "re");
    if (!file) return state;
    if (fscanf(file, "%*d (%*[^)]) %c", &state) != 1) state = '?';
    fclose(file);
    return state;
}

static bool is_told(int told, char what, int milliseconds) {
    struct pollfd news = {.fd = told, .events = POLLIN};
    char got = 0;
    return poll(&news, 1, milliseconds) == 1 && read(told, &got, 1) == 1 && got == what;
}

static int write_others(const char *folder) {
    int count = 0;
    char name[32];
    do snprintf(name, sizeof name, "other%d", count);
    while (write_file(folder, name, "SOMEBODY ELSE'S FILE", OTHER) && ++count < 4096);
    return count;
}

static void remove_others(const char *folder, int count) {
    char path[512];
    for (int at = 0; at <= count; at++) {
        snprintf(path, sizeof path, "%s/other%d", folder, at);
        unlink(path);
    }
}

struct counts {
    size_t own, others, zeros, strange;
};

static void judge(const char *page, size_t number, struct counts *counts) {
    char own[PAGE];
    static const char zeros[PAGE];
    describe(own, "the file that was asked for", number);
    if (memcmp(page, own, PAGE) == 0)
        counts->own += PAGE;
    else if (memcmp(page, zeros, PAGE) == 0)
        counts->zeros += PAGE;
    else if (strstr(page, "SOMEBODY ELSE'S FILE"))
        counts->others += PAGE;
    else
        counts->strange += PAGE;
}

static bool has_ended(pid_t pid, int milliseconds) {
    for (int waited = 0; waited < milliseconds; waited += 10) {
        if (waitpid(pid, NULL, WNOHANG) == pid) return true;
        poll(NULL, 0, 10);
    }
    return false;
}

/* What has been read can stay parked with the sender's CPU until that handles a packet. */
static void send_packets(void) {
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons(9)};
    int fd = (int)MUST(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    for (size_t cpu = 0; cpu < CPU_SETSIZE; cpu++) {
        cpu_set_t one;
        CPU_ZERO(&one);
        CPU_SET(cpu, &one);
        if (sched_setaffinity(0, sizeof one, &one) < 0) continue;
        sendto(fd, "", 1, MSG_DONTWAIT, (struct sockaddr *)&address, sizeof address);
    }
    close(fd);
}

int main(int argument_count, char **arguments) {
    if (argument_count != 2) return 2;
    const char *folder = arguments[1];
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    int told[2], receive_buffer = 4 << 20;
    if (!write_file(folder, "victim", "the file that was asked for", SIZE)) return 1;

    int listener = (int)MUST(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    MUST(bind(listener, (struct sockaddr *)&address, length));
    MUST(listen(listener, 1));
    MUST(getsockname(listener, (struct sockaddr *)&address, &length));
    MUST(pipe2(told, O_CLOEXEC));
    pid_t server = (pid_t)MUST(fork());
    if (server == 0) serve(folder, listener, told[1]);

    int reader = (int)MUST(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    MUST(setsockopt(reader, SOL_SOCKET, SO_RCVBUFFORCE, &receive_buffer, sizeof receive_buffer));
    MUST(connect(reader, (struct sockaddr *)&address, sizeof address));
    if (!is_told(told[0], 'a', PATIENCE_MS)) must("the server sends", -1);
    bool closed_at_once = is_told(told[0], 'c', BLOCKED_MS);
    char state = state_of(server);
    if (!closed_at_once) kill(server, SIGKILL); /* which it can't be: it is still there when the reader reads */
    int others = closed_at_once ? write_others(folder) : 0;

    char page[PAGE + 1] = "", first[65] = "";
    struct counts counts = {0};
    poll(NULL, 0, closed_at_once ? 0 : BLOCKED_MS);
    char later = closed_at_once ? state : state_of(server);
    for (size_t at = 0; at < SIZE; at += PAGE) {
        if (MUST(recv(reader, page, PAGE, MSG_WAITALL)) != PAGE) break;
        judge(page, at / PAGE, &counts);
        if (at == 0) memcpy(first, page, 63);
    }
    if (closed_at_once) kill(server, SIGKILL);
    bool when_read = has_ended(server, BLOCKED_MS);
    if (!when_read) send_packets();
    const char *ended = when_read                        ? "when read"
                        : has_ended(server, PATIENCE_MS) ? "when its CPU had a packet"
                                                         : "never";
    remove_others(folder, others);

    struct utsname name;
    uname(&name);
    printf("{\"kernel\": \"%s\", \"lastClose\": \"%s\", \"serverState\": \"%c\", \"serverStateAfterKill\": \"%c\", "
           "\"ended\": \"%s\", \"filesWritten\": %d, \"bytes\": {\"own\": %zu, \"others\": %zu, \"zeros\": %zu, "
           "\"strange\": %zu}, \"firstLine\": \"%s\"}\n",
           name.release, closed_at_once ? "at once" : "blocked", state, later, ended, others, counts.own, counts.others,
           counts.zeros, counts.strange, first);
    return 0;
}

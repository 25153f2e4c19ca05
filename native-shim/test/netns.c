/* A peer in another network namespace of this kernel can't be asked. Needs root and the `ip` tool. */
#include "test.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static char here_device[16], here_address[16], there_address[16];

static bool run(const char *format, ...) __attribute__((format(printf, 1, 2)));
static bool run(const char *format, ...) {
    char command[256];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(command, sizeof command, format, arguments);
    va_end(arguments);
    return system(command) == 0;
}

/* Lives in its own namespace, connects when it is told where to, and exits when the pipe is closed. */
static _Noreturn void client(int orders, int ready) {
    struct sockaddr_in address = {.sin_family = AF_INET};
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    bool alone = unshare(CLONE_NEWNET) == 0;
    if (write(ready, alone ? "y" : "n", 1) != 1 || !alone) _exit(1);
    if (read(orders, &address, sizeof address) != sizeof address) _exit(1);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (connect(fd, (struct sockaddr *)&address, sizeof address) < 0) _exit(1);
    char byte;
    if (read(orders, &byte, 1) < 0) _exit(1);
    _exit(0);
}

static bool make_link(pid_t pid) {
    return run("ip link add %s type veth peer name there netns %d 2>/dev/null", here_device, pid) &&
           run("ip addr add %s/30 dev %s && ip link set %s up", here_address, here_device, here_device) &&
           run("nsenter -t %d -n ip addr add %s/30 dev there && nsenter -t %d -n ip link set there up", pid,
               there_address, pid);
}

static void a_peer_behind_veth_is_unaskable(void) {
    int orders[2], ready[2];
    MUST(pipe2(orders, SOCK_CLOEXEC));
    MUST(pipe2(ready, SOCK_CLOEXEC));
    pid_t pid = (pid_t)MUST(fork());
    if (pid == 0) {
        close(orders[1]);
        client(orders[0], ready[1]);
    }
    char answer = 'n';
    CHECK_EQUAL(MUST(read(ready[0], &answer, 1)), 1);
    if (answer != 'y') test_skip("no network namespace can be made here (root is needed)");
    if (!make_link(pid)) test_skip("no veth pair can be made here");

    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = inet_addr(here_address)};
    socklen_t length = sizeof address;
    int listener = (int)MUST(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    MUST(bind(listener, (struct sockaddr *)&address, sizeof address));
    MUST(listen(listener, 1));
    MUST(getsockname(listener, (struct sockaddr *)&address, &length));
    CHECK_EQUAL(MUST(write(orders[1], &address, sizeof address)), sizeof address);
    int ours = (int)MUST(accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK));

    struct pr_relay *relay = relay_start(options_with(1));
    uint64_t connection;
    enum pr_peer_kind kind;
    CHECK_EQUAL(pr_connection_adopt(relay, ours, false, -1, &connection, &kind), 0);
    CHECK_EQUAL(kind, PR_PEER_UNASKABLE);
    CHECK_EQUAL(pr_connection_close(relay, connection), 0);
    pr_relay_destroy(relay);

    close(ours);
    close(listener);
    CHECK(run("ip link del %s", here_device)); /* before the child ends: its namespace takes the pair along */
    for (int end = 0; end < 2; end++) {
        close(orders[end]);
        close(ready[end]);
    }
    CHECK_EQUAL(MUST(waitpid(pid, NULL, 0)), pid);
}

int main(void) {
    unsigned number = (unsigned)getpid() % 16000; /* so that two runs at a time do not meet */
    snprintf(here_device, sizeof here_device, "prt%u", number);
    snprintf(here_address, sizeof here_address, "10.213.%u.%u", number / 64, number % 64 * 4 + 1);
    snprintf(there_address, sizeof there_address, "10.213.%u.%u", number / 64, number % 64 * 4 + 2);
    RUN(a_peer_behind_veth_is_unaskable);
    return 0;
}

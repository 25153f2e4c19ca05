/*
 * Runs a program under a seccomp filter that refuses system calls, as container runtimes and systemd do:
 *
 *   refuse-calls ERRNO CALL[,CALL]… PROGRAM [ARGUMENT]…
 *
 * ERRNO is a number; AF_NETLINK stands for sockets of that family.
 */
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

static const struct {
    const char *name;
    unsigned number;
} calls[] = {
    {"openat2", SYS_openat2},       {"vmsplice", SYS_vmsplice},           {"statx", SYS_statx},
    {"move_pages", SYS_move_pages}, {"get_mempolicy", SYS_get_mempolicy},
};

static struct sock_filter program[64];
static unsigned short length;

static void add(unsigned short code, unsigned char when_true, unsigned char when_false, unsigned value) {
    program[length++] = (struct sock_filter){code, when_true, when_false, value};
}

static void load(size_t offset) {
    add(BPF_LD | BPF_W | BPF_ABS, 0, 0, (unsigned)offset);
}

static void refuse_netlink(unsigned verdict) {
    add(BPF_JMP | BPF_JEQ | BPF_K, 0, 4, SYS_socket);
    load(offsetof(struct seccomp_data, args[0]));
    add(BPF_JMP | BPF_JEQ | BPF_K, 0, 1, AF_NETLINK);
    add(BPF_RET | BPF_K, 0, 0, verdict);
    load(offsetof(struct seccomp_data, nr));
}

static int refuse(const char *name, unsigned verdict) {
    if (strcmp(name, "AF_NETLINK") == 0) return refuse_netlink(verdict), 0;
    for (size_t index = 0; index < sizeof calls / sizeof *calls; index++) {
        if (strcmp(calls[index].name, name) != 0) continue;
        add(BPF_JMP | BPF_JEQ | BPF_K, 0, 1, calls[index].number);
        add(BPF_RET | BPF_K, 0, 0, verdict);
        return 0;
    }
    fprintf(stderr, "refuse-calls: %s is not known\n", name);
    return -1;
}

int main(int count, char **arguments) {
    if (count < 4) return fprintf(stderr, "refuse-calls ERRNO CALL[,CALL]... PROGRAM [ARGUMENT]...\n"), 2;
    unsigned verdict = SECCOMP_RET_ERRNO | ((unsigned)atoi(arguments[1]) & SECCOMP_RET_DATA);
    load(offsetof(struct seccomp_data, nr));
    for (char *name = strtok(arguments[2], ","); name; name = strtok(NULL, ","))
        if (refuse(name, verdict) < 0) return 2;
    add(BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW);
    struct sock_fprog filter = {.len = length, .filter = program};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) < 0)
        return perror("seccomp"), 1;
    execv(arguments[3], arguments + 3);
    perror(arguments[3]);
    return 1;
}

#include "base/needed.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <linux/openat2.h>
#include <stdbool.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/sys.h"

const char *const pr_needed_names[PR_NEEDED_COUNT] = {
    [PR_NEEDED_OPENAT2] = "openat2",       [PR_NEEDED_VMSPLICE] = "vmsplice",
    [PR_NEEDED_STATX] = "statx",           [PR_NEEDED_GET_MEMPOLICY] = "get_mempolicy",
    [PR_NEEDED_MOVE_PAGES] = "move_pages", [PR_NEEDED_NETLINK] = "AF_NETLINK",
};

/* For calls that give a descriptor. */
static long closed(long fd) {
    if (fd >= 0) close((int)fd);
    return fd;
}

/* Not as pr_sys.open, which has another way. */
static long try_openat2(void) {
    struct open_how how = {.flags = O_PATH | O_DIRECTORY | O_CLOEXEC, .resolve = RESOLVE_BENEATH};
    return closed(syscall(SYS_openat2, AT_FDCWD, ".", &how, sizeof how));
}

static long try_vmsplice(void) {
    int ends[2];
    char byte = 0;
    struct iovec vector = {.iov_base = &byte, .iov_len = 1};
    if (pr_sys.pipe(ends) < 0) return 0; /* of the call itself this says nothing */
    long result = pr_sys.vmsplice(ends[1], &vector, 1, SPLICE_F_NONBLOCK);
    int error = errno;
    close(ends[0]);
    close(ends[1]);
    errno = error;
    return result;
}

static long try_move_pages(void) {
    char byte = 0;
    void *page = &byte;
    int status = 0;
    return pr_sys.move_pages(&page, &status);
}

static long make(enum pr_needed call) {
    struct statx extended;
    int mode = 0;
    switch (call) {
    case PR_NEEDED_OPENAT2: return try_openat2();
    case PR_NEEDED_VMSPLICE: return try_vmsplice();
    case PR_NEEDED_STATX: return pr_sys.statx(AT_FDCWD, "/", 0, STATX_TYPE, &extended);
    case PR_NEEDED_GET_MEMPOLICY: return pr_sys.get_mempolicy(&mode, NULL, 0);
    case PR_NEEDED_MOVE_PAGES: return try_move_pages();
    case PR_NEEDED_NETLINK: return closed(pr_sys.socket(AF_NETLINK, SOCK_RAW, NETLINK_SOCK_DIAG));
    default: return 0;
    }
}

static bool is_refusal(int error) {
    return error == EPERM || error == EACCES || error == ENOSYS || error == EAFNOSUPPORT || error == EPROTONOSUPPORT;
}

int pr_needed_try(enum pr_needed call) {
    return make(call) < 0 && is_refusal(errno) ? -errno : 0;
}

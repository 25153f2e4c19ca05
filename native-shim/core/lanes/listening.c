#include "lanes/listening.h"

#include <errno.h>
#include <net/if.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/sys.h"

/* As Node asks for; the kernel's own limit (net.core.somaxconn) bounds it. */
enum { BACKLOG = 511 };

_Static_assert(PR_UNIX_PATH > sizeof((struct sockaddr_un *)0)->sun_path, "a path and its end");

int pr_listening_family(int fd) {
    int listens = 0;
    socklen_t length = sizeof listens;
    if (pr_sys.getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &length) < 0) return -errno;
    int family = pr_stream_family(fd);
    return listens && family != -EPROTOTYPE ? family : -EINVAL;
}

/* The device comes first: an address is in use, or free, on each of them. */
static int bind_by(int fd, const char *device, const union pr_address *address, socklen_t length) {
    int yes = 1;
    if (pr_sys.setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes) < 0 ||
        pr_sys.setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, device, (socklen_t)strlen(device)) < 0 ||
        pr_sys.bind(fd, &address->any, length) < 0 || pr_sys.listen(fd, BACKLOG) < 0)
        return -errno;
    return 0;
}

int pr_listen_by(const char *device, const union pr_address *given) {
    union pr_address address = *given;
    bool is_six = address.any.sa_family == AF_INET6;
    /* An address that is of its link alone is known by it. */
    if (is_six && IN6_IS_ADDR_LINKLOCAL(&address.six.sin6_addr)) address.six.sin6_scope_id = if_nametoindex(device);
    int fd = pr_sys.socket(address.any.sa_family, SOCK_STREAM, 0);
    if (fd < 0) return -errno;
    int result = bind_by(fd, device, &address, is_six ? sizeof address.six : sizeof address.four);
    if (result == 0) return fd;
    close(fd);
    return result;
}

void pr_listening_path(int fd, char path[PR_UNIX_PATH]) {
    union {
        struct sockaddr any;
        struct sockaddr_un path;
    } address;
    socklen_t length = sizeof address, before = offsetof(struct sockaddr_un, sun_path);
    path[0] = '\0';
    if (pr_sys.getsockname(fd, &address.any, &length) < 0 || address.any.sa_family != AF_UNIX || length <= before)
        return;
    length -= before; /* the end that the kernel adds counts, though it may have had no room */
    if (length > sizeof address.path.sun_path) length = sizeof address.path.sun_path;
    memcpy(path, address.path.sun_path, length);
    path[length] = '\0';
}

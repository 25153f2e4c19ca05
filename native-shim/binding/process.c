/* What needs no relay. */
#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/needed.h"
#include "base/sys.h"
#include "call.h"
#include "lanes/listening.h"
#include "wire/witness.h"

static napi_value create_memfd(napi_env env, napi_callback_info info) {
    struct call call;
    char name[64];
    uint64_t huge_bytes;
    if (!take_arguments(env, info, &call) || !want_string(env, call.arguments[0], "name", name, sizeof name) ||
        !want_integer(env, call.arguments[1], "hugeBytes", MOST_INTEGER, &huge_bytes))
        return NULL;
    if (huge_bytes > 0) return number(env, pr_huge_memfd(name, huge_bytes));
    int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
    return number(env, fd < 0 ? -errno : fd);
}

/* {"openat2": -1}: what is refused here, each with -errno. */
static napi_value refused_calls(napi_env env) {
    napi_value refused;
    napi_create_object(env, &refused);
    for (int call = 0; call < PR_NEEDED_COUNT; call++) {
        int result = pr_needed_try((enum pr_needed)call);
        if (result < 0) set_number(env, refused, pr_needed_names[call], result);
    }
    return refused;
}

static const char *const scratch_names[] = {"folder", "memfd", "hugetlb", "device"};

enum question { REFUSED, PUNCH, DIRECT, BACKING, COPY_FREE, NOTICE };

/* A backing, or 1 or 0; or -errno. */
static int ask_of_scratch(enum question question, enum pr_scratch kind, const char *path, enum pr_engine engine) {
    int fd;
    uint64_t size;
    struct pr_backing_info found;
    int result = pr_scratch_open(kind, path, &fd, &size);
    if (result < 0) return result;
    if (question == BACKING) {
        result = pr_backing_of(fd, &found);
        if (result == 0) result = (int)found.backing;
    } else {
        result =
            question == COPY_FREE ? pr_witness_copy_free(fd, size, engine) : pr_witness_notice_says_copied(fd, size);
    }
    close(fd);
    return result;
}

/* What the witness sees on scratch pages of a kind, or of calls that are refused. */
static napi_value witness(napi_env env, napi_callback_info info) {
    static const char *const questions[] = {"refused", "punch", "direct", "backing", "copyFree", "notice"};
    struct call call;
    char path[PATH_CAPACITY];
    int question, kind, engine = 0;
    if (!take_arguments(env, info, &call) || !want_name(env, call.arguments[0], "question", questions, 6, &question))
        return NULL;
    if (question == REFUSED) return refused_calls(env);
    if (!want_name(env, call.arguments[1], "kind", scratch_names, 4, &kind) ||
        !want_string(env, call.arguments[2], "path", path, sizeof path) ||
        (question >= COPY_FREE &&
         !want_name(env, call.arguments[3], "engine", pr_engine_names, PR_ENGINE_COUNT, &engine)))
        return NULL;
    if (question == PUNCH || question == DIRECT)
        return number(env, pr_witness_means(path, question == PUNCH ? PR_MEANS_PUNCH : PR_MEANS_DIRECT));
    int result = ask_of_scratch((enum question)question, (enum pr_scratch)kind, path, (enum pr_engine)engine);
    return question == BACKING && result >= 0 ? string(env, backing_names[result]) : number(env, result);
}

/* Of a listening socket that was inherited: its path, empty where it has none; or -errno. */
static napi_value path_of_listener(napi_env env, napi_callback_info info) {
    struct call call;
    uint64_t fd;
    char path[PR_UNIX_PATH];
    if (!take_arguments(env, info, &call) || !want_integer(env, call.arguments[0], "fd", INT32_MAX, &fd)) return NULL;
    int family = pr_listening_family((int)fd);
    if (family < 0) return number(env, family);
    pr_listening_path((int)fd, path);
    return string(env, path);
}

/* The descriptor, or -errno. */
static napi_value listen_by(napi_env env, napi_callback_info info) {
    struct call call;
    char device[IF_NAMESIZE], text[INET6_ADDRSTRLEN];
    uint64_t port;
    union pr_address address = {0};
    if (!take_arguments(env, info, &call) || !want_string(env, call.arguments[0], "device", device, sizeof device) ||
        !want_string(env, call.arguments[1], "address", text, sizeof text) ||
        !want_integer(env, call.arguments[2], "port", UINT16_MAX, &port))
        return NULL;
    address.six.sin6_port = htons((uint16_t)port); /* where an IPv4 address has it too */
    if (inet_pton(AF_INET, text, &address.four.sin_addr) == 1) {
        address.any.sa_family = AF_INET;
    } else if (inet_pton(AF_INET6, text, &address.six.sin6_addr) == 1) {
        address.any.sa_family = AF_INET6;
    } else {
        return number(env, -EINVAL);
    }
    return number(env, pr_listen_by(device, &address));
}

/* The address of a socket of AF_UNIX: a path, or an abstract name behind @. Returns its length, or -errno. */
static int notice_address(const char *name, struct sockaddr_un *address) {
    size_t length = strlen(name);
    if (length == 0 || length > sizeof address->sun_path) return -EINVAL;
    address->sun_family = AF_UNIX;
    memcpy(address->sun_path, name, length);
    if (name[0] == '@') address->sun_path[0] = '\0';
    return (int)(offsetof(struct sockaddr_un, sun_path) + length);
}

/* Sends text to a socket for datagrams (sd_notify(3)), for which Node has none: 0 or -errno. */
static napi_value notify(napi_env env, napi_callback_info info) {
    struct call call;
    char name[PR_UNIX_PATH], text[1024];
    struct sockaddr_un address;
    if (!take_arguments(env, info, &call) || !want_string(env, call.arguments[0], "socket", name, sizeof name) ||
        !want_string(env, call.arguments[1], "text", text, sizeof text))
        return NULL;
    int length = notice_address(name, &address), fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    int result = length < 0 ? length : fd < 0 ? -errno : 0;
    if (result == 0 &&
        sendto(fd, text, strlen(text), MSG_NOSIGNAL, (const struct sockaddr *)&address, (socklen_t)length) < 0)
        result = -errno;
    if (fd >= 0) close(fd);
    return number(env, result);
}

static const struct export list[] = {
    {"notify", notify},   {"pathOfListener", path_of_listener}, {"listenBy", listen_by}, {"createMemfd", create_memfd},
    {"witness", witness},
};
const struct exports process_exports = EXPORTS(list);

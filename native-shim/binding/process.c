/* What needs no relay. */
#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/needed.h"
#include "base/nudge.h"
#include "base/sys.h"
#include "call.h"
#include "wire/witness.h"

static napi_value create_memfd(napi_env env, napi_callback_info info) {
    struct call call;
    char name[64];
    if (!take_arguments(env, info, &call) || !want_string(env, call.arguments[0], "name", name, sizeof name))
        return NULL;
    int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
    return number(env, fd < 0 ? -errno : fd);
}

static napi_value create_huge_memfd(napi_env env, napi_callback_info info) {
    struct call call;
    char name[64];
    uint64_t size;
    if (!take_arguments(env, info, &call) || !want_string(env, call.arguments[0], "name", name, sizeof name) ||
        !want_integer(env, call.arguments[1], "size", MOST_INTEGER, &size))
        return NULL;
    return number(env, pr_huge_memfd(name, size));
}

static napi_value nudge(napi_env env, napi_callback_info info) {
    (void)info;
    return number(env, pr_nudge());
}

static napi_value witness_fresh_pages(napi_env env, napi_callback_info info) {
    struct call call;
    char path[4096];
    if (!take_arguments(env, info, &call) || !want_string(env, call.arguments[0], "path", path, sizeof path))
        return NULL;
    return number(env, pr_witness_fresh_pages(path));
}

static const char *const scratch_names[] = {"folder", "memfd", "hugetlb", "device"};

static bool want_scratch(struct call *call, int *kind, char *path, size_t capacity) {
    return want_name(call->env, call->arguments[0], "kind", scratch_names, 4, kind) &&
           want_string(call->env, call->arguments[1], "path", path, capacity);
}

/* What holds scratch pages of this kind: a backing's name, or -errno. */
static napi_value scratch_backing(napi_env env, napi_callback_info info) {
    struct call call;
    char path[4096];
    int kind, fd;
    uint64_t size;
    struct pr_backing_info found;
    if (!take_arguments(env, info, &call) || !want_scratch(&call, &kind, path, sizeof path)) return NULL;
    int result = pr_scratch_open((enum pr_scratch)kind, path, &fd, &size);
    if (result < 0) return number(env, result);
    result = pr_backing_of(fd, &found);
    close(fd);
    return result < 0 ? number(env, result) : string(env, backing_names[found.backing]);
}

/* Opens scratch pages, has `act` try an engine on them, closes them. */
static napi_value on_scratch(napi_env env, napi_callback_info info, int (*act)(int, uint64_t, enum pr_engine)) {
    struct call call;
    char path[4096];
    int kind, engine, fd;
    uint64_t size;
    if (!take_arguments(env, info, &call) || !want_scratch(&call, &kind, path, sizeof path) ||
        !want_name(env, call.arguments[2], "engine", pr_engine_names, PR_ENGINE_COUNT, &engine))
        return NULL;
    int result = pr_scratch_open((enum pr_scratch)kind, path, &fd, &size);
    if (result < 0) return number(env, result);
    result = act(fd, size, (enum pr_engine)engine);
    close(fd);
    return number(env, result);
}

static napi_value witness_copy_free(napi_env env, napi_callback_info info) {
    return on_scratch(env, info, pr_witness_copy_free);
}

static int notice(int fd, uint64_t size, enum pr_engine engine) {
    (void)engine;
    return pr_witness_notice_says_copied(fd, size);
}

static napi_value witness_notice(napi_env env, napi_callback_info info) {
    return on_scratch(env, info, notice);
}

/* {"openat2": -1}: what is refused here, each with -errno. */
static napi_value refused_calls(napi_env env, napi_callback_info info) {
    (void)info;
    napi_value refused;
    napi_create_object(env, &refused);
    for (int call = 0; call < PR_NEEDED_COUNT; call++) {
        int result = pr_needed_try((enum pr_needed)call);
        if (result < 0) set_number(env, refused, pr_needed_names[call], result);
    }
    return refused;
}

static const struct export list[] = {
    {"createMemfd", create_memfd},
    {"createHugeMemfd", create_huge_memfd},
    {"nudge", nudge},
    {"witnessFreshPages", witness_fresh_pages},
    {"witnessCopyFree", witness_copy_free},
    {"witnessNotice", witness_notice},
    {"scratchBacking", scratch_backing},
    {"refusedCalls", refused_calls},
};
const struct exports process_exports = EXPORTS(list);

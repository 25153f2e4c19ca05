/* What needs no relay. */
#include <errno.h>
#include <sys/mman.h>

#include "../core/sys.h"
#include "../core/witness.h"
#include "call.h"

static napi_value create_memfd(napi_env env, napi_callback_info info) {
    struct call call;
    char name[64];
    if (!take_arguments(env, info, &call) || !want_string(env, call.arguments[0], "name", name, sizeof name))
        return NULL;
    int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
    return number(env, fd < 0 ? -errno : fd);
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

static napi_value enable_faults(napi_env env, napi_callback_info info) {
    (void)env;
    (void)info;
    pr_faults_enable();
    return NULL;
}

static napi_value set_fault(napi_env env, napi_callback_info info) {
    struct call call;
    char name[32];
    uint64_t error, skip, count;
    if (!take_arguments(env, info, &call) || !want_string(env, call.arguments[0], "call", name, sizeof name) ||
        !want_integer(env, call.arguments[1], "errno", 4095, &error) ||
        !want_integer(env, call.arguments[2], "skip", UINT32_MAX, &skip) ||
        !want_integer(env, call.arguments[3], "count", UINT32_MAX, &count))
        return NULL;
    int place = pr_call_by_name(name);
    if (place < 0 || !pr_faults_enabled()) {
        napi_throw_type_error(env, "ERR_INVALID_ARG", "call must be a known system call, after enableFaults()");
        return NULL;
    }
    pr_fault_set((enum pr_call)place, (int)error, (unsigned)skip, (unsigned)count);
    return NULL;
}

static const struct export list[] = {
    {"createMemfd", create_memfd},   {"nudge", nudge},        {"witnessFreshPages", witness_fresh_pages},
    {"enableFaults", enable_faults}, {"setFault", set_fault},
};
const struct exports process_exports = EXPORTS(list);

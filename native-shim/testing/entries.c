/* What tests may do, and nobody else: make system calls fail, and have a relay do wrong what they are to find. */
#include "base/pretence.h"
#include "call.h"
#include "faults.h"

/* Of the options of createRelay; any may be missing. */
bool want_pretence(napi_env env, napi_value options, struct pr_pretence *pretence) {
    napi_value value;
    int kind = -1;
    if (!optional_property(env, options, "peerKind", &value) ||
        (value && !want_name(env, value, "peerKind", peer_names, 3, &kind)) ||
        !optional_property(env, options, "releaseWhenAccepted", &value) ||
        (value && !want_boolean(env, value, "releaseWhenAccepted", &pretence->release_when_accepted)) ||
        !optional_property(env, options, "keepNothing", &value) ||
        (value && !want_boolean(env, value, "keepNothing", &pretence->keep_nothing)))
        return false;
    pretence->peers = (unsigned)(kind + 1);
    return true;
}

/* When the binary is loaded, so before any lane runs. */
__attribute__((constructor)) static void enable_faults(void) {
    pr_faults_enable();
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
    if (place < 0)
        napi_throw_type_error(env, "ERR_INVALID_ARG", "call must be a known system call");
    else
        pr_fault_set((enum pr_call)place, (int)error, (unsigned)skip, (unsigned)count);
    return NULL;
}

static const struct export list[] = {{"setFault", set_fault}};
const struct exports testing_exports = EXPORTS(list);

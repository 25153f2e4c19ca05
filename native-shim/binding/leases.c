/* Leases, and readers' places in the queue behind them. */
#include <errno.h>

#include "base/sys.h"
#include "call.h"
#include "pages/claim.h"
#include "segments.h"

static const char *const needs_names[] = {"done", "accepted", "nothing"};

/* A claim, and whether it is granted already. */
static napi_value claim_object(napi_env env, int result, uint64_t id) {
    if (result < 0) return number(env, result);
    napi_value object, granted;
    napi_create_object(env, &object);
    set_number(env, object, "id", (double)id);
    napi_get_boolean(env, result == 1, &granted);
    set(env, object, "granted", granted);
    return object;
}

static napi_value lease(napi_env env, napi_callback_info info) {
    struct call call;
    uint64_t generation, offset, length, id;
    int needs;
    bool wait;
    if (!open_call(env, info, &call) || !want_id(&call, 1, "generation", &generation) ||
        !want_id(&call, 2, "offset", &offset) || !want_id(&call, 3, "length", &length) ||
        !want_name(env, call.arguments[4], "needs", needs_names, sizeof needs_names / sizeof *needs_names, &needs) ||
        !want_boolean(env, call.arguments[5], "wait", &wait))
        return NULL;
    int result = pr_lease(call.relay, generation, offset, length, (enum pr_needs)needs, wait, &id);
    return claim_object(env, result, id);
}

static napi_value place(napi_env env, napi_callback_info info) {
    struct call call;
    uint64_t generation, id;
    struct segments segments;
    if (!take_arguments(env, info, &call) || !want_segments(env, call.arguments[2], &segments)) return NULL;
    if (!open_call(env, info, &call) || !want_id(&call, 1, "generation", &generation)) {
        pr_free(segments.literals);
        return NULL;
    }
    int result = segments.error;
    if (result == 0) result = pr_place(call.relay, generation, segments.list, segments.count, &id);
    pr_free(segments.literals);
    return claim_object(env, result, id);
}

static const struct export list[] = {
    {"lease", lease},
    {"place", place},
};
const struct exports lease_exports = EXPORTS(list);

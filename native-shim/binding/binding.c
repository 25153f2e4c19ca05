/*
 * What JavaScript sees of the core. Arguments are checked in this folder and nowhere below: a wrong one is a TypeError.
 * Expected failures are values: a negative errno where a number is expected.
 *
 * A relay is an object that wraps it; all that belongs to it is named by numbers, which the core checks.
 */
#include "call.h"

static bool add(napi_env env, napi_value exports, const struct exports *more) {
    for (size_t index = 0; index < more->count; index++) {
        const struct export *one = &more->list[index];
        napi_value function;
        if (napi_create_function(env, one->name, NAPI_AUTO_LENGTH, one->function, NULL, &function) != napi_ok)
            return false;
        set(env, exports, one->name, function);
    }
    return true;
}

static napi_value initialise(napi_env env, napi_value exports) {
    const struct exports *all[] = {
        &relay_exports,     &generation_exports, &hold_exports,  &connection_exports,
        &counter_exports,   &process_exports,    &lease_exports, &job_exports,
        &responder_exports, &log_exports,        &act_exports,
#ifdef PR_TESTING
        &testing_exports,
#endif
    };
    for (size_t index = 0; index < sizeof all / sizeof *all; index++)
        if (!add(env, exports, all[index])) return NULL;
    return exports;
}

NAPI_MODULE(NODE_GYP_MODULE_NAME, initialise)

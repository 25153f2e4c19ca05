/* Relays, and the way of their events to JavaScript. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/events.h"
#include "base/shared.h"
#include "base/sys.h"
#include "call.h"
#include "relay.h"
#include "wire/peer.h"

static void close_handle(void *data) {
    struct handle *handle = data;
    if (!handle->relay) return;
    pr_relay_destroy(handle->relay); /* joins the lanes: after it, nobody calls notify */
    handle->relay = NULL;
    napi_release_threadsafe_function(handle->events, napi_tsfn_abort);
}

static void collected(napi_env env, void *data, void *hint) {
    (void)hint;
    struct handle *handle = data;
    if (handle->relay) {
        /* Releasing pages here would be a guess about the kernel's queues. The environment's end closes it. */
        fprintf(stderr, "pagerelay: a relay was garbage-collected without being closed\n");
        return;
    }
    napi_remove_env_cleanup_hook(env, close_handle, handle);
    pr_list_remove(&handle->of_thread);
    pr_free(handle);
}

static void notify(void *context) {
    napi_call_threadsafe_function(((struct handle *)context)->events, NULL, napi_tsfn_nonblocking);
}

enum { FIELDS_OF_EVENT = 5 };

/* Gives JavaScript all events in one call: kind, id, outcome, errno, bytes of each, in a flat array. */
static void deliver(napi_env env, napi_value callback, void *context, void *data) {
    (void)data;
    enum { AT_ONCE = 256 };
    struct handle *handle = context;
    struct pr_event events[AT_ONCE];
    if (!env || !handle->relay) return;
    size_t count = AT_ONCE;
    while (count == AT_ONCE && handle->relay) {
        count = pr_events(handle->relay, events, AT_ONCE);
        if (count == 0) return;
        napi_handle_scope scope;
        napi_value list, receiver;
        if (napi_open_handle_scope(env, &scope) != napi_ok) return;
        napi_create_array_with_length(env, count * FIELDS_OF_EVENT, &list);
        for (size_t index = 0; index < count; index++) {
            uint32_t at = (uint32_t)index * FIELDS_OF_EVENT;
            napi_set_element(env, list, at, number(env, events[index].kind));
            napi_set_element(env, list, at + 1, number(env, (double)events[index].id));
            napi_set_element(env, list, at + 2, string(env, pr_outcome_names[events[index].outcome]));
            napi_set_element(env, list, at + 3, number(env, events[index].error));
            napi_set_element(env, list, at + 4, number(env, (double)events[index].bytes));
        }
        napi_get_undefined(env, &receiver);
        napi_status called = napi_call_function(env, receiver, callback, 1, &list, NULL);
        napi_close_handle_scope(env, scope);
        if (called != napi_ok) return;
    }
}

static bool read_options(napi_env env, napi_value object, struct pr_options *options) {
    uint64_t lanes, broken_off;
    napi_value value;
    if (!integer_property(env, object, "lanes", MOST_LANES, &lanes) ||
        !want_property(env, object, "maxHoldSeconds", &value) ||
        !want_seconds(env, value, "maxHoldSeconds", &options->max_hold_seconds) ||
        !integer_property(env, object, "maxBrokenOff", 1 << 20, &broken_off))
        return false;
#ifdef PR_TESTING
    if (!want_pretence(env, object, &options->pretence)) return false;
#endif
    options->lanes = lanes > 0 ? (unsigned)lanes : 1;
    options->max_broken_off = (unsigned)broken_off;
    return true;
}

static napi_value throw_errno(napi_env env, const char *what, int error) {
    char message[160];
    snprintf(message, sizeof message, "%s: %s", what, strerror(-error));
    napi_throw_error(env, "ERR_SYSTEM", message);
    return NULL;
}

static napi_value create_relay(napi_env env, napi_callback_info info) {
    struct call call;
    struct pr_options options = {0};
    if (!take_arguments(env, info, &call) || !read_options(env, call.arguments[0], &options)) return NULL;
    if (!want_function(env, call.arguments[1], "onEvents")) return NULL;

    struct handle *handle = pr_allocate(1, sizeof *handle);
    if (!handle) return throw_errno(env, "createRelay", -ENOMEM);
    handle->env = env;
    napi_value object = NULL;
    if (napi_create_threadsafe_function(env, call.arguments[1], NULL, string(env, "pagerelay"), 0, 1, NULL, NULL,
                                        handle, deliver, &handle->events) != napi_ok)
        goto failed;
    napi_unref_threadsafe_function(env, handle->events);
    options.notify = notify;
    options.context = handle;
    int result = pr_relay_create(&options, &handle->relay);
    if (result < 0) {
        napi_release_threadsafe_function(handle->events, napi_tsfn_abort);
        pr_free(handle);
        return throw_errno(env, "createRelay", result);
    }
    napi_create_object(env, &object);
    napi_wrap(env, object, handle, collected, NULL, NULL);
    know_handle(handle);
    /* Added after the thread-safe function's own hook, so run before it: the lanes end while it still lives. */
    napi_add_env_cleanup_hook(env, close_handle, handle);
    return object;

failed:
    pr_free(handle);
    return throw_errno(env, "createRelay", -ENOMEM);
}

static napi_value close_relay(napi_env env, napi_callback_info info) {
    struct call call;
    if (!take_arguments(env, info, &call)) return NULL;
    struct handle *handle = handle_of(env, call.arguments[0]);
    if (handle) close_handle(handle);
    return NULL;
}

#define WANT_LIMIT(field, name) good = good && integer_property(env, object, name, MOST_INTEGER, &limits->field);

static bool want_limits(napi_env env, napi_value object, struct pr_limits *limits) {
    bool good = true;
    PR_LIMITS(WANT_LIMIT)
    return good;
}

static napi_value limit(napi_env env, napi_callback_info info) {
    struct call call;
    struct pr_limits limits[PR_PLACES] = {0};
    if (!open_call(env, info, &call) || !want_limits(env, call.arguments[1], &limits[PR_ELSEWHERE]) ||
        !want_limits(env, call.arguments[2], &limits[PR_HERE]))
        return NULL;
    pr_limit(call.relay, limits);
    return NULL;
}

static const struct export list[] = {
    {"createRelay", create_relay},
    {"closeRelay", close_relay},
    {"limit", limit},
};
const struct exports relay_exports = EXPORTS(list);

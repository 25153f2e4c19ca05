/* Logs: descriptors that may block, written by threads of their own. */
#include <errno.h>

#include "base/sys.h"
#include "call.h"
#include "http/log.h"

static const napi_type_tag log_tag = {0x706167656c6f6700, 0x6465736372697074};

struct log_handle {
    struct pr_log *log; /* NULL once closed */
    napi_threadsafe_function events;
    napi_env env;
    size_t bytes; /* of the piece that was written last; JavaScript gives no other before it has heard of it */
    int error;
};

static void close_log(void *data) {
    struct log_handle *handle = data;
    if (!handle->log) return;
    pr_log_end(handle->log);
    pr_log_close(handle->log); /* never waits; after it, nobody calls on_written */
    handle->log = NULL;
    napi_release_threadsafe_function(handle->events, napi_tsfn_abort);
}

static void collected(napi_env env, void *data, void *hint) {
    (void)hint;
    struct log_handle *handle = data;
    close_log(handle);
    napi_remove_env_cleanup_hook(env, close_log, handle);
    pr_free(handle);
}

static void on_written(void *context, size_t bytes, int error) {
    struct log_handle *handle = context;
    handle->bytes = bytes;
    handle->error = error;
    napi_call_threadsafe_function(handle->events, NULL, napi_tsfn_nonblocking);
}

static void deliver(napi_env env, napi_value callback, void *context, void *data) {
    (void)data;
    struct log_handle *handle = context;
    napi_value receiver;
    if (!env || !handle->log) return;
    napi_value arguments[] = {number(env, (double)handle->bytes), number(env, -handle->error)};
    napi_get_undefined(env, &receiver);
    napi_call_function(env, receiver, callback, 2, arguments, NULL);
}

static napi_value give_up(napi_env env, struct log_handle *handle, int error) {
    pr_free(handle);
    return number(env, error);
}

static struct log_handle *want_handle(napi_env env, napi_value value) {
    bool tagged = false;
    void *data = NULL;
    napi_valuetype type;
    if (napi_typeof(env, value, &type) == napi_ok && type == napi_object &&
        napi_check_object_type_tag(env, value, &log_tag, &tagged) == napi_ok && tagged &&
        napi_unwrap(env, value, &data) == napi_ok)
        return data;
    napi_throw_type_error(env, "ERR_INVALID_ARG", "log must be a log");
    return NULL;
}

bool want_log(napi_env env, napi_value value, struct pr_log **log) {
    struct log_handle *handle = want_handle(env, value);
    if (handle && handle->log) {
        *log = handle->log;
        return true;
    }
    if (handle) napi_throw_type_error(env, "ERR_INVALID_ARG", "log must be open");
    return false;
}

static napi_value new_log(napi_env env, int fd, napi_value callback) {
    napi_value object;
    struct log_handle *handle = pr_allocate(1, sizeof *handle);
    if (!handle) return number(env, -ENOMEM);
    handle->env = env;
    if (napi_create_threadsafe_function(env, callback, NULL, string(env, "pagerelay.log"), 0, 1, NULL, NULL, handle,
                                        deliver, &handle->events) != napi_ok)
        return give_up(env, handle, -ENOMEM);
    napi_unref_threadsafe_function(env, handle->events); /* A log that can't be written keeps no process alive. */
    int result = pr_log_open(fd, on_written, handle, &handle->log);
    if (result < 0) {
        napi_release_threadsafe_function(handle->events, napi_tsfn_abort);
        return give_up(env, handle, result);
    }
    napi_create_object(env, &object);
    napi_type_tag_object(env, object, &log_tag);
    napi_wrap(env, object, handle, collected, NULL, NULL);
    /* Added after the thread-safe function's own hook, so run before it. */
    napi_add_env_cleanup_hook(env, close_log, handle);
    return object;
}

/* A log on a descriptor; or one that is open goes on there, and has the descriptor from here on. */
static napi_value open_log(napi_env env, napi_callback_info info) {
    struct call call;
    uint64_t fd;
    napi_valuetype type;
    struct pr_log *log;
    if (!take_arguments(env, info, &call) || !want_integer(env, call.arguments[0], "fd", INT32_MAX, &fd) ||
        napi_typeof(env, call.arguments[1], &type) != napi_ok)
        return NULL;
    if (type == napi_function) return new_log(env, (int)fd, call.arguments[1]);
    if (!want_log(env, call.arguments[1], &log)) return NULL;
    pr_log_reopen(log, (int)fd);
    return call.arguments[1];
}

static napi_value write_log(napi_env env, napi_callback_info info) {
    struct call call;
    void *bytes = NULL;
    size_t length;
    if (!take_arguments(env, info, &call)) return NULL;
    struct log_handle *handle = want_handle(env, call.arguments[0]);
    if (!handle || !want_bytes(env, call.arguments[1], "bytes", &bytes, &length)) return NULL;
    return number(env, handle->log ? pr_log_write(handle->log, bytes, length) : -EBADF);
}

/* Lines of lanes that were lost so far, and whether some wait to be written. */
static napi_value log_state(napi_env env, napi_callback_info info) {
    struct call call;
    napi_value object, idle;
    if (!take_arguments(env, info, &call)) return NULL;
    struct log_handle *handle = want_handle(env, call.arguments[0]);
    if (!handle) return NULL;
    napi_create_object(env, &object);
    set_number(env, object, "lost", handle->log ? (double)pr_log_lost(handle->log) : 0);
    napi_get_boolean(env, !handle->log || pr_log_is_idle(handle->log), &idle);
    set(env, object, "isIdle", idle);
    return object;
}

static const struct export list[] = {
    {"openLog", open_log},
    {"writeLog", write_log},
    {"logState", log_state},
};
const struct exports log_exports = EXPORTS(list);

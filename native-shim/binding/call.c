#include "call.h"

#include <string.h>

const char *const backing_names[PR_BACKING_COUNT] = {"fsdax", "devdax", "hugetlb", "tmpfs", "memfd", "pagecache"};
const char *const peer_names[PR_PEER_UNASKABLE + 1] = {"local", "remote", "unaskable"};

bool take_arguments(napi_env env, napi_callback_info info, struct call *call) {
    memset(call, 0, sizeof *call);
    call->env = env;
    call->count = MOST_ARGUMENTS;
    return napi_get_cb_info(env, info, &call->count, call->arguments, NULL, NULL) == napi_ok;
}

/* Of the thread's own environment. Other add-ons wrap objects too: only what is in here is a relay. */
static _Thread_local struct pr_list handles;

void know_handle(struct handle *handle) {
    if (!handles.next) pr_list_init(&handles);
    pr_list_append(&handles, &handle->of_thread);
}

static struct handle *find_handle(napi_env env, const void *data) {
    if (!handles.next) return NULL;
    pr_list_each(node, &handles) {
        struct handle *handle = pr_container(node, struct handle, of_thread);
        if (handle == data && handle->env == env) return handle;
    }
    return NULL;
}

struct handle *handle_of(napi_env env, napi_value value) {
    void *data;
    struct handle *handle = napi_unwrap(env, value, &data) == napi_ok ? find_handle(env, data) : NULL;
    if (handle) return handle;
    napi_throw_type_error(env, "ERR_INVALID_ARG", "relay must be a relay");
    return NULL;
}

bool open_call(napi_env env, napi_callback_info info, struct call *call) {
    if (!take_arguments(env, info, call)) return false;
    struct handle *handle = handle_of(env, call->arguments[0]);
    if (!handle) return false;
    call->relay = handle->relay;
    if (!handle->relay) napi_throw_type_error(env, "ERR_CLOSED", "relay is closed");
    return handle->relay != NULL;
}

bool want_id(struct call *call, size_t place, const char *name, uint64_t *id) {
    return want_integer(call->env, call->arguments[place], name, MOST_INTEGER, id);
}

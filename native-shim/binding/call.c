#include "call.h"

#include <string.h>

const napi_type_tag relay_tag = {0x70616765726c6179, 0x7265666572656e63};

const char *const backing_names[PR_BACKING_COUNT] = {"fsdax", "devdax", "hugetlb", "tmpfs", "memfd", "pagecache"};
const char *const peer_names[PR_PEER_UNASKABLE + 1] = {"local", "remote", "unaskable"};

bool take_arguments(napi_env env, napi_callback_info info, struct call *call) {
    memset(call, 0, sizeof *call);
    call->env = env;
    call->count = MOST_ARGUMENTS;
    return napi_get_cb_info(env, info, &call->count, call->arguments, NULL, NULL) == napi_ok;
}

struct handle *handle_of(napi_env env, napi_value value) {
    bool tagged = false;
    void *data = NULL;
    napi_valuetype type;
    if (napi_typeof(env, value, &type) != napi_ok || type != napi_object ||
        napi_check_object_type_tag(env, value, &relay_tag, &tagged) != napi_ok || !tagged ||
        napi_unwrap(env, value, &data) != napi_ok) {
        napi_throw_type_error(env, "ERR_INVALID_ARG", "relay must be a relay");
        return NULL;
    }
    return data;
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

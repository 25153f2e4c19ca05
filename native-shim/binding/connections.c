/* Connections. */
#include "call.h"
#include "wire/connection.h"
#include "wire/transmission.h"

static napi_value adopt(napi_env env, napi_callback_info info) {
    struct call call;
    uint64_t fd, connection;
    bool unaskable;
    int node;
    enum pr_peer_kind kind;
    if (!open_call(env, info, &call) || !want_integer(env, call.arguments[1], "fd", INT32_MAX, &fd) ||
        !want_boolean(env, call.arguments[2], "unaskable", &unaskable) || !want_node(env, call.arguments[3], &node))
        return NULL;
    int result = pr_connection_adopt(call.relay, (int)fd, unaskable, node, &connection, &kind);
    if (result < 0) return number(env, result);
    napi_value object;
    napi_create_object(env, &object);
    set_number(env, object, "id", (double)connection);
    set(env, object, "peerKind", string(env, peer_names[kind]));
    return object;
}

static napi_value take_connection(napi_env env, napi_callback_info info) {
    struct call call;
    uint64_t connection;
    enum pr_peer_kind kind;
    bool forgotten;
    if (!open_call(env, info, &call) || !want_id(&call, 1, "connection", &connection)) return NULL;
    char client[PR_ADDRESS_TEXT] = "";
    unsigned port = 0, door = 0;
    pr_connection_client(call.relay, connection, client, &port, &door); /* taken, the relay may forget it */
    int fd = pr_connection_take(call.relay, connection, &kind, &forgotten);
    if (fd < 0) return number(env, fd);
    napi_value object;
    napi_create_object(env, &object);
    set_number(env, object, "fd", fd);
    set(env, object, "address", string(env, client));
    set_number(env, object, "port", port);
    set_number(env, object, "door", door);
    if (!forgotten) set(env, object, "peerKind", string(env, peer_names[kind]));
    return object;
}

/* The head of a response: Node's own limit for a request's is 16 KiB; ours has room for cookies and policies. */
enum { HEAD_CAPACITY = 32 << 10 };

/* One byte more is had, by which a head is too long; and the end. */
static bool want_head(napi_env env, napi_value value, char *head, size_t *length) {
    if (napi_get_value_string_latin1(env, value, head, HEAD_CAPACITY + 1, length) == napi_ok && *length < HEAD_CAPACITY)
        return true;
    napi_throw_type_error(env, "ERR_INVALID_ARG", "head must be a string below 32 KiB");
    return false;
}

static napi_value send_held(napi_env env, napi_callback_info info) {
    struct call call;
    uint64_t connection, transmission;
    char head[HEAD_CAPACITY + 1];
    size_t length;
    if (!open_call(env, info, &call) || !want_id(&call, 1, "connection", &connection) ||
        !want_id(&call, 2, "transmission", &transmission) || !want_head(env, call.arguments[3], head, &length))
        return NULL;
    uint64_t sent = 0;
    int result = pr_send(call.relay, connection, transmission, head, length, &sent);
    if (result >= 0) return number(env, result);
    napi_value failure;
    napi_create_object(env, &failure);
    set_number(env, failure, "errno", result);
    set_number(env, failure, "bytes", (double)sent);
    set(env, failure, "outcome", string(env, pr_outcome_names[pr_outcome_of(result)]));
    return failure;
}

static const struct export list[] = {
    {"adopt", adopt},
    {"takeConnection", take_connection},
    {"send", send_held},
};
const struct exports connection_exports = EXPORTS(list);

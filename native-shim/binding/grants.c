/* Express: what lanes may answer by themselves. */
#include <errno.h>

#include "base/sys.h"
#include "call.h"
#include "http/answers.h"
#include "http/express.h"
#include "http/window.h"

enum { MOST_REQUEST = 16 << 10, MOST_HEAD = 32 << 10 };

static bool integer_property(napi_env env, napi_value object, const char *key, uint64_t most, uint64_t *integer) {
    napi_value value;
    return want_property(env, object, key, &value) && want_integer(env, value, key, most, integer);
}

static bool text_property(napi_env env, napi_value object, const char *key, char *text, size_t most, size_t *length) {
    napi_value value;
    size_t size = 0;
    if (!want_property(env, object, key, &value)) return false;
    if (is_string(env, value) && napi_get_value_string_latin1(env, value, NULL, 0, &size) == napi_ok && size <= most &&
        napi_get_value_string_latin1(env, value, text, most + 1, length) == napi_ok)
        return true;
    napi_throw_type_error(env, "ERR_INVALID_ARG", "request and head must be strings, not longer than a head may be");
    return false;
}

struct texts {
    char request[MOST_REQUEST + 1], head[MOST_HEAD + 1];
};

static bool want_grant(napi_env env, napi_value object, struct texts *texts, struct pr_grant *grant) {
    napi_value value;
    int engine, large;
    uint64_t range_at, most;
    if (!integer_property(env, object, "generation", MOST_INTEGER, &grant->generation) ||
        !integer_property(env, object, "epoch", MOST_INTEGER, &grant->epoch) ||
        !integer_property(env, object, "version", MOST_INTEGER, &grant->version) ||
        !integer_property(env, object, "copyBelow", MOST_INTEGER, &grant->copy_below) ||
        !integer_property(env, object, "largeFrom", MOST_INTEGER, &grant->large_from) ||
        !want_property(env, object, "large", &value) ||
        !want_name(env, value, "large", engine_names, PR_ENGINE_COUNT, &large) ||
        !want_property(env, object, "engine", &value) ||
        !want_name(env, value, "engine", engine_names, PR_ENGINE_COUNT, &engine) ||
        !text_property(env, object, "request", texts->request, MOST_REQUEST, &grant->request.length) ||
        !text_property(env, object, "head", texts->head, MOST_HEAD, &grant->head_length) ||
        !integer_property(env, object, "rangeAt", grant->request.length, &range_at) ||
        !want_property(env, object, "seconds", &value) || !want_seconds(env, value, "seconds", &grant->seconds) ||
        !integer_property(env, object, "most", UINT32_MAX, &most) || !want_property(env, object, "open", &value) ||
        !want_boolean(env, value, "open", &grant->open))
        return false;
    grant->engine = (enum pr_engine)engine;
    grant->large = (enum pr_engine)large;
    grant->request.head = texts->request;
    grant->request.range_at = (size_t)range_at;
    grant->head = texts->head;
    grant->most = (unsigned)most;
    return true;
}

static napi_value grant_connection(napi_env env, napi_callback_info info) {
    struct call call;
    uint64_t connection;
    struct texts texts;
    struct pr_grant grant = {0};
    /* First, for reading an object can run JavaScript (a getter, a proxy), which can close the relay. */
    if (!take_arguments(env, info, &call) || !want_grant(env, call.arguments[2], &texts, &grant)) return NULL;
    if (!open_call(env, info, &call) || !want_id(&call, 1, "connection", &connection)) return NULL;
    uint64_t pattern;
    int result = pr_grant(call.relay, connection, &grant, &pattern);
    return number(env, result < 0 ? result : (double)pattern);
}

/* A buffer, empty when nothing was read, or -ENOMEM. */
static napi_value unread(napi_env env, napi_callback_info info) {
    struct call call;
    uint64_t connection;
    if (!open_call(env, info, &call) || !want_id(&call, 1, "connection", &connection)) return NULL;
    size_t length = pr_unread(call.relay, connection, NULL, 0);
    void *bytes;
    napi_value buffer;
    if (napi_create_buffer(env, length, &bytes, &buffer) != napi_ok) return number(env, -ENOMEM);
    if (length > 0) pr_unread(call.relay, connection, bytes, length);
    return buffer;
}

static napi_value end_grants(napi_env env, napi_callback_info info) {
    struct call call;
    if (open_call(env, info, &call)) pr_grants_end(call.relay);
    return NULL;
}

enum { AT_ONCE = 256, FIELDS_OF_ANSWER = 10 };

/* pattern, peer's address, offset, length, sent, engine, outcome, errno, took and ago in seconds, one after the other.
 */
static napi_value take_answers(napi_env env, napi_callback_info info) {
    struct call call;
    if (!open_call(env, info, &call)) return NULL;
    struct pr_answer answers[AT_ONCE];
    napi_value list;
    uint32_t at = 0;
    napi_create_array(env, &list);
    for (size_t count = AT_ONCE; count == AT_ONCE;) {
        count = pr_answers(call.relay, answers, AT_ONCE);
        for (size_t index = 0; index < count; index++) {
            const struct pr_answer *answer = &answers[index];
            char peer[PR_ADDRESS_TEXT];
            pr_peer_address(&answer->peer, peer);
            napi_value fields[FIELDS_OF_ANSWER] = {
                number(env, (double)answer->pattern),        string(env, peer),
                number(env, (double)answer->offset),         number(env, (double)answer->length),
                number(env, (double)answer->sent),           string(env, engine_names[answer->engine]),
                string(env, outcome_names[answer->outcome]), number(env, -answer->error),
                number(env, (double)answer->took / 1e9),     number(env, (double)answer->ago / 1e9),
            };
            for (int field = 0; field < FIELDS_OF_ANSWER; field++) napi_set_element(env, list, at++, fields[field]);
        }
    }
    return list;
}

static const struct export list[] = {
    {"grant", grant_connection},
    {"unread", unread},
    {"endGrants", end_grants},
    {"answers", take_answers},
};
const struct exports grant_exports = EXPORTS(list);

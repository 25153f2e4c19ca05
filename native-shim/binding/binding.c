/*
 * What JavaScript sees of the core. Arguments are checked here and nowhere below: a wrong one is a TypeError.
 * Expected failures are values: a negative errno where a number is expected.
 *
 * A relay is a tagged object; all that belongs to it is named by numbers, which the core checks.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "../core/relay.h"
#include "../core/sys.h"
#include "values.h"

static const napi_type_tag relay_tag = {0x70616765726c6179, 0x7265666572656e63};

static const char *const engine_names[PR_ENGINE_COUNT] = {"sendfile", "splice", "copy", "stream"};
static const char *const outcome_names[PR_OUTCOME_COUNT] = {"complete",  "aborted", "stalled",
                                                            "truncated", "failed",  "cancelled"};
static const char *const backing_names[PR_BACKING_COUNT] = {"fsdax", "devdax", "hugetlb",
                                                            "tmpfs", "memfd",  "pagecache"};
static const char *const peer_names[] = {"local", "remote", "unaskable"};
static const char *const state_names[] = {"unsent", "sent", "quarantined"};

#define MOST_INTEGER  ((uint64_t)9007199254740991)
#define PATH_CAPACITY 4096

/* One relay of one environment. */
struct handle {
    struct pr_relay *relay; /* NULL once closed */
    napi_threadsafe_function events;
    napi_env env;
};

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
    pr_free(handle);
}

/* Arguments. */

enum { MOST_ARGUMENTS = 6 };

struct call {
    napi_env env;
    size_t count;
    napi_value arguments[MOST_ARGUMENTS];
    struct pr_relay *relay;
};

static bool take_arguments(napi_env env, napi_callback_info info, struct call *call) {
    memset(call, 0, sizeof *call);
    call->env = env;
    call->count = MOST_ARGUMENTS;
    return napi_get_cb_info(env, info, &call->count, call->arguments, NULL, NULL) == napi_ok;
}

static struct handle *handle_of(napi_env env, napi_value value) {
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

/* The first argument is an open relay. */
static bool open_call(napi_env env, napi_callback_info info, struct call *call) {
    if (!take_arguments(env, info, call)) return false;
    struct handle *handle = handle_of(env, call->arguments[0]);
    if (!handle) return false;
    call->relay = handle->relay;
    if (!handle->relay) napi_throw_type_error(env, "ERR_CLOSED", "relay is closed");
    return handle->relay != NULL;
}

static bool want_id(struct call *call, size_t place, const char *name, uint64_t *id) {
    return want_integer(call->env, call->arguments[place], name, MOST_INTEGER, id);
}

/* Relays. */

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
            napi_set_element(env, list, at + 2, string(env, outcome_names[events[index].outcome]));
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
    if (!want_property(env, object, "lanes", &value) || !want_integer(env, value, "lanes", 256, &lanes)) return false;
    if (!want_property(env, object, "maxHoldSeconds", &value) ||
        !want_seconds(env, value, "maxHoldSeconds", &options->max_hold_seconds))
        return false;
    if (!want_property(env, object, "maxBrokenOff", &value) ||
        !want_integer(env, value, "maxBrokenOff", 1 << 20, &broken_off))
        return false;
    options->peer_override = -1;
    if (!optional_property(env, object, "peerKind", &value) ||
        (value && !want_name(env, value, "peerKind", peer_names, 3, &options->peer_override)))
        return false;
    if (!optional_property(env, object, "releaseWhenAccepted", &value) ||
        (value && !want_boolean(env, value, "releaseWhenAccepted", &options->release_when_accepted)))
        return false;
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
    napi_type_tag_object(env, object, &relay_tag);
    napi_wrap(env, object, handle, collected, NULL, NULL);
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

/* Trees and generations. */

static napi_value open_tree(napi_env env, napi_callback_info info) {
    struct call call;
    char path[PATH_CAPACITY];
    uint64_t tree;
    if (!open_call(env, info, &call) || !want_string(env, call.arguments[1], "path", path, sizeof path)) return NULL;
    int result = pr_tree_open(call.relay, path, &tree);
    return number(env, result < 0 ? result : (double)tree);
}

static napi_value close_tree(napi_env env, napi_callback_info info) {
    struct call call;
    uint64_t tree;
    if (!open_call(env, info, &call) || !want_id(&call, 1, "tree", &tree)) return NULL;
    return number(env, pr_tree_close(call.relay, tree));
}

static napi_value identity(napi_env env, const struct pr_generation_info *info) {
    napi_value object;
    napi_create_object(env, &object);
    set_number(env, object, "device", (double)info->device);
    set_number(env, object, "inode", (double)info->inode);
    set_number(env, object, "size", (double)info->size);
    set_number(env, object, "modifiedSeconds", (double)info->modified_seconds);
    set_number(env, object, "modifiedNanoseconds", (double)info->modified_nanoseconds);
    return object;
}

static bool tree_and_path(napi_env env, napi_callback_info info, struct call *call, uint64_t *tree, char *path) {
    return open_call(env, info, call) && want_id(call, 1, "tree", tree) &&
           want_string(env, call->arguments[2], "path", path, PATH_CAPACITY);
}

static napi_value stat_generation(napi_env env, napi_callback_info info) {
    struct call call;
    uint64_t tree;
    char path[PATH_CAPACITY];
    struct pr_generation_info found;
    if (!tree_and_path(env, info, &call, &tree, path)) return NULL;
    int result = pr_generation_stat(call.relay, tree, path, &found);
    return result < 0 ? number(env, result) : identity(env, &found);
}

static napi_value generation_is_at(napi_env env, napi_callback_info info) {
    struct call call;
    uint64_t generation, tree;
    char path[PATH_CAPACITY];
    if (!open_call(env, info, &call) || !want_id(&call, 1, "generation", &generation) ||
        !want_id(&call, 2, "tree", &tree) || !want_string(env, call.arguments[3], "path", path, sizeof path))
        return NULL;
    return number(env, pr_generation_is_at(call.relay, generation, tree, path));
}

static napi_value open_generation(napi_env env, napi_callback_info info) {
    struct call call;
    uint64_t tree, generation;
    char path[PATH_CAPACITY];
    struct pr_generation_info found;
    if (!tree_and_path(env, info, &call, &tree, path)) return NULL;
    int result = pr_generation_open(call.relay, tree, path, &generation, &found);
    if (result < 0) return number(env, result);
    napi_value object = identity(env, &found);
    set_number(env, object, "id", (double)generation);
    set_number(env, object, "pageSize", (double)found.backing.page_size);
    set_number(env, object, "node", found.backing.node);
    set(env, object, "backing", string(env, backing_names[found.backing.backing]));
    return object;
}

static napi_value close_generation(napi_env env, napi_callback_info info) {
    struct call call;
    uint64_t generation;
    if (!open_call(env, info, &call) || !want_id(&call, 1, "generation", &generation)) return NULL;
    return number(env, pr_generation_close(call.relay, generation));
}

static napi_value generation_descriptor(napi_env env, napi_callback_info info) {
    struct call call;
    uint64_t generation;
    if (!open_call(env, info, &call) || !want_id(&call, 1, "generation", &generation)) return NULL;
    return number(env, pr_generation_descriptor(call.relay, generation));
}

/* References. */

/* 64 extents with a literal before each, and one behind them. */
enum { MOST_EXTENTS = 64, MOST_SEGMENTS = 2 * MOST_EXTENTS + 1, MOST_ELEMENTS = 3 * MOST_EXTENTS + 1 };

struct segments {
    struct pr_segment list[MOST_SEGMENTS];
    uint32_t count;
    char *literals; /* one block, the caller frees it */
    int error;      /* -ENOMEM: there is none */
};

static bool refuse_segments(napi_env env) {
    napi_throw_type_error(env, "ERR_INVALID_ARG",
                          "segments must be at most 64 pairs of offset and length, and strings");
    return false;
}

static bool is_string(napi_env env, napi_value value) {
    napi_valuetype type;
    return napi_typeof(env, value, &type) == napi_ok && type == napi_string;
}

static bool count_literal_bytes(napi_env env, napi_value list, uint32_t length, size_t *bytes) {
    *bytes = 0;
    for (uint32_t index = 0; index < length; index++) {
        napi_value element;
        size_t size = 0;
        if (napi_get_element(env, list, index, &element) != napi_ok) return false;
        if (is_string(env, element) && napi_get_value_string_latin1(env, element, NULL, 0, &size) != napi_ok)
            return false;
        *bytes += size;
    }
    return true;
}

/* One element: a string, or a number whose successor is its length. Moves *index on. */
static bool take_segment(napi_env env, napi_value list, uint32_t *index, char **literals, const char *end,
                         struct pr_segment *segment) {
    napi_value element, length;
    size_t size;
    if (napi_get_element(env, list, (*index)++, &element) != napi_ok) return false;
    if (is_string(env, element)) {
        napi_get_value_string_latin1(env, element, NULL, 0, &size);
        if (size > (size_t)(end - *literals)) return refuse_segments(env); /* a getter that says something else now */
        napi_get_value_string_latin1(env, element, *literals, size + 1, &size);
        *segment = (struct pr_segment){.literal = *literals, .length = size};
        *literals += size;
        return true;
    }
    *segment = (struct pr_segment){0};
    return want_integer(env, element, "offset", MOST_INTEGER, &segment->offset) &&
           napi_get_element(env, list, (*index)++, &length) == napi_ok &&
           want_integer(env, length, "length", MOST_INTEGER, &segment->length);
}

/* [offset, length, "literal", offset, length, …] */
static bool want_segments(napi_env env, napi_value list, struct segments *segments) {
    bool is_array = false;
    uint32_t length = 0;
    size_t bytes;
    segments->count = 0;
    segments->literals = NULL;
    if (napi_is_array(env, list, &is_array) != napi_ok || !is_array ||
        napi_get_array_length(env, list, &length) != napi_ok || length > MOST_ELEMENTS ||
        !count_literal_bytes(env, list, length, &bytes))
        return refuse_segments(env);
    segments->literals = pr_allocate(1, bytes + 1);
    segments->error = segments->literals ? 0 : -ENOMEM;
    if (segments->error < 0) return true;
    char *literals = segments->literals;
    unsigned extents = 0;
    for (uint32_t index = 0; index < length;) {
        struct pr_segment *segment = &segments->list[segments->count];
        bool room = segments->count < MOST_SEGMENTS && extents <= MOST_EXTENTS;
        bool taken = room && take_segment(env, list, &index, &literals, segments->literals + bytes, segment);
        if (taken && !segment->literal) extents++;
        if (taken && extents <= MOST_EXTENTS) {
            segments->count++;
            continue;
        }
        pr_free(segments->literals);
        return room && !taken ? false : refuse_segments(env);
    }
    return true;
}

static napi_value hold(napi_env env, napi_callback_info info) {
    struct call call;
    uint64_t generation, epoch, version, transmission;
    int engine;
    struct segments segments;
    /* First, for reading an array can run JavaScript (a getter, a proxy), which can close the relay. */
    if (!take_arguments(env, info, &call) || !want_segments(env, call.arguments[5], &segments)) return NULL;
    if (!open_call(env, info, &call) || !want_id(&call, 1, "generation", &generation) ||
        !want_id(&call, 2, "epoch", &epoch) || !want_id(&call, 3, "version", &version) ||
        !want_name(env, call.arguments[4], "engine", engine_names, PR_ENGINE_COUNT, &engine)) {
        pr_free(segments.literals);
        return NULL;
    }
    int result = segments.error;
    if (result == 0)
        result = pr_hold(call.relay, generation, epoch, version, (enum pr_engine)engine, segments.list, segments.count,
                         &transmission);
    pr_free(segments.literals);
    return number(env, result < 0 ? result : (double)transmission);
}

static napi_value change_to_stream(napi_env env, napi_callback_info info) {
    struct call call;
    uint64_t transmission;
    if (!open_call(env, info, &call) || !want_id(&call, 1, "transmission", &transmission)) return NULL;
    return number(env, pr_change_to_stream(call.relay, transmission));
}

static napi_value advance(napi_env env, napi_callback_info info) {
    struct call call;
    uint64_t transmission, bytes;
    if (!open_call(env, info, &call) || !want_id(&call, 1, "transmission", &transmission) ||
        !want_id(&call, 2, "bytes", &bytes))
        return NULL;
    return number(env, pr_advance(call.relay, transmission, bytes));
}

static napi_value release(napi_env env, napi_callback_info info) {
    struct call call;
    uint64_t transmission;
    int outcome;
    if (!open_call(env, info, &call) || !want_id(&call, 1, "transmission", &transmission) ||
        !want_name(env, call.arguments[2], "outcome", outcome_names, PR_OUTCOME_COUNT, &outcome))
        return NULL;
    return number(env, pr_release(call.relay, transmission, (enum pr_outcome)outcome));
}

static napi_value reference_object(napi_env env, const struct pr_reference_info *info) {
    napi_value object;
    napi_create_object(env, &object);
    set_number(env, object, "id", (double)info->id);
    set_number(env, object, "generation", (double)info->generation);
    set_number(env, object, "first", (double)info->first);
    set_number(env, object, "last", (double)info->last);
    set_number(env, object, "bytes", (double)info->bytes);
    set(env, object, "state", string(env, state_names[info->state]));
    set(env, object, "engine", string(env, engine_names[info->engine]));
    set(env, object, "peer", string(env, info->peer));
    set(env, object, "peerKind", string(env, peer_names[info->peer_kind]));
    set_number(env, object, "ageSeconds", info->age_seconds);
    return object;
}

static napi_value references(napi_env env, napi_callback_info info) {
    struct call call;
    uint64_t generation;
    if (!open_call(env, info, &call) || !want_id(&call, 1, "generation", &generation)) return NULL;
    size_t capacity = 64, count;
    struct pr_reference_info *list;
    for (;;) { /* lanes go on meanwhile: more may be there than at the last count */
        list = pr_allocate(capacity, sizeof *list);
        if (!list) return number(env, -ENOMEM);
        count = pr_references(call.relay, generation, list, capacity);
        if (count <= capacity) break;
        pr_free(list);
        capacity = count + 64;
    }
    napi_value array;
    napi_create_array_with_length(env, count, &array);
    for (size_t index = 0; index < count; index++)
        napi_set_element(env, array, (uint32_t)index, reference_object(env, &list[index]));
    pr_free(list);
    return array;
}

/* Connections. */

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

/* The head of a response: Node's own limit for a request's is 16 KiB; ours has room for cookies and policies. */
enum { HEAD_CAPACITY = 32 << 10 };

static bool want_head(napi_env env, napi_value value, char *head, size_t *length) {
    size_t size = 0;
    if (!is_string(env, value) || napi_get_value_string_latin1(env, value, NULL, 0, &size) != napi_ok ||
        size >= HEAD_CAPACITY || napi_get_value_string_latin1(env, value, head, HEAD_CAPACITY, length) != napi_ok) {
        napi_throw_type_error(env, "ERR_INVALID_ARG", "head must be a string below 32 KiB");
        return false;
    }
    return true;
}

static napi_value send_held(napi_env env, napi_callback_info info) {
    struct call call;
    uint64_t connection, transmission;
    char head[HEAD_CAPACITY];
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
    set(env, failure, "outcome", string(env, outcome_names[pr_outcome_of(result)]));
    return failure;
}

static napi_value with_connection(napi_env env, napi_callback_info info, int (*act)(struct pr_relay *, uint64_t)) {
    struct call call;
    uint64_t connection;
    if (!open_call(env, info, &call) || !want_id(&call, 1, "connection", &connection)) return NULL;
    return number(env, act(call.relay, connection));
}

static napi_value finish(napi_env env, napi_callback_info info) {
    return with_connection(env, info, pr_connection_finish);
}

static napi_value break_off(napi_env env, napi_callback_info info) {
    return with_connection(env, info, pr_connection_break);
}

static napi_value close_connection(napi_env env, napi_callback_info info) {
    return with_connection(env, info, pr_connection_close);
}

/* Counters. */

static napi_value transmissions_object(napi_env env, const struct pr_counters *counters) {
    napi_value all;
    napi_create_object(env, &all);
    for (int engine = 0; engine < PR_ENGINE_COUNT; engine++) {
        napi_value outcomes;
        napi_create_object(env, &outcomes);
        for (int outcome = 0; outcome < PR_OUTCOME_COUNT; outcome++)
            set_number(env, outcomes, outcome_names[outcome], (double)counters->transmissions[engine][outcome]);
        set(env, all, engine_names[engine], outcomes);
    }
    return all;
}

static napi_value hold_seconds_object(napi_env env, const struct pr_counters *counters) {
    static const double bounds[] = PR_HOLD_BOUNDS;
    napi_value object, buckets;
    napi_create_object(env, &object);
    napi_create_array(env, &buckets);
    for (uint32_t bucket = 0; bucket < PR_HOLD_BUCKETS; bucket++) {
        napi_value pair;
        napi_create_array_with_length(env, 2, &pair);
        napi_set_element(env, pair, 0, number(env, bucket < PR_HOLD_BUCKETS - 1 ? bounds[bucket] : 1.0 / 0.0));
        napi_set_element(env, pair, 1, number(env, (double)counters->holds_by_time[bucket]));
        napi_set_element(env, buckets, bucket, pair);
    }
    set(env, object, "buckets", buckets);
    set_number(env, object, "sum", counters->hold_seconds);
    return object;
}

static napi_value counters_object(napi_env env, napi_callback_info info) {
    struct call call;
    struct pr_counters counters;
    if (!open_call(env, info, &call)) return NULL;
    pr_counters(call.relay, &counters);
    napi_value object, sent;
    napi_create_object(env, &object);
    napi_create_object(env, &sent);
    for (int engine = 0; engine < PR_ENGINE_COUNT; engine++)
        set_number(env, sent, engine_names[engine], (double)counters.sent_bytes[engine]);
    set(env, object, "sentBytes", sent);
    set(env, object, "transmissions", transmissions_object(env, &counters));
    set(env, object, "holdSeconds", hold_seconds_object(env, &counters));
    set_number(env, object, "references", (double)counters.references);
    set_number(env, object, "heldBytes", (double)counters.held_bytes);
    set_number(env, object, "quarantined", (double)counters.quarantined);
    set_number(env, object, "quarantinedBytes", (double)counters.quarantined_bytes);
    set_number(env, object, "connections", (double)counters.connections);
    set_number(env, object, "brokenOff", (double)counters.broken_off);
    set_number(env, object, "inlineSends", (double)counters.inline_sends);
    set_number(env, object, "laneSends", (double)counters.lane_sends);
    set_number(env, object, "looks", (double)counters.looks);
    set_number(env, object, "allocatedBytes", (double)counters.allocated_bytes);
    return object;
}

/* Without a relay. */

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

static napi_value initialise(napi_env env, napi_value exports) {
    static const struct {
        const char *name;
        napi_callback function;
    } functions[] = {
        {"createRelay", create_relay},
        {"closeRelay", close_relay},
        {"openTree", open_tree},
        {"closeTree", close_tree},
        {"statGeneration", stat_generation},
        {"generationIsAt", generation_is_at},
        {"openGeneration", open_generation},
        {"closeGeneration", close_generation},
        {"generationDescriptor", generation_descriptor},
        {"hold", hold},
        {"advance", advance},
        {"changeToStream", change_to_stream},
        {"release", release},
        {"references", references},
        {"adopt", adopt},
        {"send", send_held},
        {"finish", finish},
        {"breakOff", break_off},
        {"closeConnection", close_connection},
        {"counters", counters_object},
        {"createMemfd", create_memfd},
        {"nudge", nudge},
        {"enableFaults", enable_faults},
        {"setFault", set_fault},
    };
    for (size_t index = 0; index < sizeof functions / sizeof *functions; index++) {
        napi_value function;
        if (napi_create_function(env, functions[index].name, NAPI_AUTO_LENGTH, functions[index].function, NULL,
                                 &function) != napi_ok)
            return NULL;
        set(env, exports, functions[index].name, function);
    }
    return exports;
}

NAPI_MODULE(NODE_GYP_MODULE_NAME, initialise)

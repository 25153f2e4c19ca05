/* Express: what lanes answer by themselves, and what they give to Node. */
#include <errno.h>
#include <string.h>

#include "base/sys.h"
#include "call.h"
#include "http/known.h"
#include "http/opening.h"
#include "http/published.h"
#include "http/responder.h"
#include "http/template.h"
#include "http/window.h"
#include "wire/proxied.h"

/* The strings of one call, one after the other. */
struct texts {
    size_t used;
    char bytes[PR_LONGEST_HEAD + 2 * PR_LONGEST_FIELDS];
};

static bool want_text(napi_env env, napi_value value, const char *name, struct texts *texts, struct pr_text *text) {
    if (!want_string(env, value, name, texts->bytes + texts->used, sizeof texts->bytes - texts->used)) return false;
    text->at = texts->bytes + texts->used;
    text->length = strlen(text->at);
    texts->used += text->length + 1;
    return true;
}

static napi_value text(napi_env env, struct pr_text text) {
    napi_value value = NULL;
    napi_create_string_utf8(env, text.at, text.length, &value);
    return value;
}

static bool text_property(napi_env env, napi_value object, const char *key, struct texts *texts, struct pr_text *text) {
    napi_value value;
    return want_property(env, object, key, &value) && want_text(env, value, key, texts, text);
}

static bool engine_property(napi_env env, napi_value object, const char *key, enum pr_engine *engine) {
    napi_value value;
    int place;
    if (!want_property(env, object, key, &value) ||
        !want_name(env, value, key, pr_engine_names, PR_ENGINE_COUNT, &place))
        return false;
    *engine = (enum pr_engine)place;
    return true;
}

static bool whole_property(napi_env env, napi_value object, const char *key, int64_t *whole) {
    napi_value value;
    return want_property(env, object, key, &value) && want_whole(env, value, key, whole);
}

static bool want_seen_file(napi_env env, napi_value object, struct pr_seen_file *file) {
    napi_value value;
    uint64_t copying = 0;
    int backing = 0;
    bool good = integer_property(env, object, "device", MOST_INTEGER, &file->device) &&
                integer_property(env, object, "inode", MOST_INTEGER, &file->inode) &&
                integer_property(env, object, "size", MOST_INTEGER, &file->size) &&
                whole_property(env, object, "modifiedSeconds", &file->modified_seconds) &&
                whole_property(env, object, "modifiedNanoseconds", &file->modified_nanoseconds) &&
                whole_property(env, object, "changedSeconds", &file->changed_seconds) &&
                whole_property(env, object, "changedNanoseconds", &file->changed_nanoseconds) &&
                want_property(env, object, "backing", &value) &&
                want_name(env, value, "backing", backing_names, PR_BACKING_COUNT, &backing) &&
                integer_property(env, object, "copying", (1u << PR_ENGINE_COUNT) - 1, &copying);
    file->copying = (unsigned)copying;
    file->backing = (enum pr_backing)backing;
    return good;
}

/* A generation, or a file that is not open. */
static bool want_content(napi_env env, napi_value object, struct pr_publication *is) {
    napi_value file;
    if (!optional_property(env, object, "file", &file)) return false;
    if (!file) return integer_property(env, object, "generation", MOST_INTEGER, &is->generation);
    return want_seen_file(env, file, &is->file);
}

static bool want_publication(napi_env env, napi_value object, struct texts *texts, struct pr_publication *is) {
    return boolean_property(env, object, "anyOrigin", &is->any_origin) &&
           boolean_property(env, object, "oneVersion", &is->one_version) &&
           text_property(env, object, "path", texts, &is->path) &&
           text_property(env, object, "name", texts, &is->name) &&
           text_property(env, object, "etag", texts, &is->etag) &&
           text_property(env, object, "lastModified", texts, &is->last_modified) &&
           text_property(env, object, "fields", texts, &is->fields) &&
           text_property(env, object, "contentType", texts, &is->content_type) &&
           text_property(env, object, "others", texts, &is->others) &&
           text_property(env, object, "originFields", texts, &is->origin_fields) &&
           integer_property(env, object, "tree", MOST_INTEGER, &is->tree) && want_content(env, object, is) &&
           integer_property(env, object, "epoch", MOST_INTEGER, &is->epoch) &&
           integer_property(env, object, "version", MOST_INTEGER, &is->version) &&
           integer_property(env, object, "copyBelow", MOST_INTEGER, &is->copy_below) &&
           integer_property(env, object, "copyFirstBelow", MOST_INTEGER, &is->copy_first_below) &&
           integer_property(env, object, "largeFrom", MOST_INTEGER, &is->large_from) &&
           engine_property(env, object, "engine", &is->engine) && engine_property(env, object, "large", &is->large);
}

/* 0, or -errno when it can't be published. */
static napi_value publish(napi_env env, napi_callback_info info) {
    struct call call;
    struct texts texts;
    struct pr_publication publication = {0};
    texts.used = 0;
    if (!open_call(env, info, &call) || !want_publication(env, call.arguments[1], &texts, &publication)) return NULL;
    return number(env, pr_publish(call.relay, &publication));
}

/* What is told of each file that a lane has opened (src/relay/opened.ts); the numbers end with those of its nodes. */
enum { OPENED_TEXTS = 3, OPENED_FIXED = 15, OPENED_NUMBERS = OPENED_FIXED + 2 * PR_NODES_TOLD };

static void tell_numbers(const struct pr_opened *opened, double *numbers) {
    const struct pr_publication *is = &opened->published->is;
    const struct pr_generation_info *file = &opened->info;
    const double told[OPENED_FIXED] = {
        (double)file->device,
        (double)file->inode,
        (double)file->size,
        (double)file->modified_seconds,
        (double)file->modified_nanoseconds,
        (double)file->changed_seconds,
        (double)file->changed_nanoseconds,
        (double)opened->generation,
        (double)file->backing.backing,
        (double)file->backing.page_size,
        file->backing.node,
        (double)is->tree,
        (double)is->epoch,
        (double)is->version,
        file->nodes.count,
    };
    memcpy(numbers, told, sizeof told);
    for (unsigned place = 0; place < file->nodes.count; place++) {
        numbers[OPENED_FIXED + 2 * place] = file->nodes.list[place].node;
        numbers[OPENED_FIXED + 2 * place + 1] = file->nodes.list[place].pages;
    }
}

/*
 * The texts of files that lanes have opened, as many as the numbers have room for; none where Node knows of all. To
 * make an object of each here would take as long as to open it.
 */
static napi_value take_opened(napi_env env, napi_callback_info info) {
    struct call call;
    struct pr_opened opened;
    double *numbers;
    size_t count;
    napi_value texts = NULL;
    if (!open_call(env, info, &call) || !want_numbers(env, call.arguments[1], "numbers", &numbers, &count)) return NULL;
    napi_create_array(env, &texts);
    for (uint32_t at = 0; at < count / OPENED_NUMBERS && pr_take_opened(call.relay, &opened) == 0; at++) {
        const struct pr_publication *is = &opened.published->is;
        const struct pr_text told[OPENED_TEXTS] = {is->name, is->etag, opened.published->template->content_type};
        tell_numbers(&opened, numbers + (size_t)at * OPENED_NUMBERS);
        for (uint32_t each = 0; each < OPENED_TEXTS; each++)
            napi_set_element(env, texts, OPENED_TEXTS * at + each, text(env, told[each]));
        pr_opened_give(call.relay, &opened);
    }
    return texts;
}

/* Who may be answered, by what Node has let pass; who is trusted; or the path of a region that is changed. */
static napi_value tell(napi_env env, napi_callback_info info) {
    static const char *const kinds[] = {"host", "anyHost", "reader", "proxy", "changed"};
    enum { HOST, ANY_HOST, READER, PROXY };
    struct call call;
    struct texts texts;
    struct pr_text text;
    int kind;
    texts.used = 0;
    if (!open_call(env, info, &call) || !want_name(env, call.arguments[1], "kind", kinds, 5, &kind) ||
        !want_text(env, call.arguments[2], "text", &texts, &text))
        return NULL;
    if (kind == PROXY) return number(env, pr_trust(call.relay, text.at, text.length));
    if (kind == READER) return number(env, pr_allow_reader(call.relay, text));
    if (kind == HOST || kind == ANY_HOST) return number(env, pr_allow_host(call.relay, kind == ANY_HOST, text));
    pr_changed(call.relay, text);
    return number(env, 0);
}

static bool want_responding(napi_env env, napi_value object, struct texts *texts, struct pr_responding *responding) {
    napi_value value;
    uint64_t keep_alive, head;
    if (!integer_property(env, object, "keepAliveSeconds", INT32_MAX, &keep_alive) ||
        !integer_property(env, object, "headSeconds", INT32_MAX, &head) ||
        !boolean_property(env, object, "guarded", &responding->guarded) ||
        !boolean_property(env, object, "combined", &responding->combined) ||
        !text_property(env, object, "beforeTime", texts, &responding->before_time) ||
        !text_property(env, object, "behindTime", texts, &responding->behind_time) ||
        !text_property(env, object, "refusal", texts, &responding->refusal) ||
        !text_property(env, object, "refusalOfOne", texts, &responding->refusal_of_one) ||
        !optional_property(env, object, "log", &value) || (value && !want_log(env, value, &responding->log)))
        return false;
    responding->keep_alive = (unsigned)keep_alive;
    responding->head = (unsigned)head;
    return true;
}

static napi_value respond(napi_env env, napi_callback_info info) {
    struct call call;
    struct texts texts;
    struct pr_responding responding = {0};
    texts.used = 0;
    if (!open_call(env, info, &call) || !want_responding(env, call.arguments[1], &texts, &responding)) return NULL;
    return number(env, pr_respond(call.relay, &responding));
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
    char nothing;
    pr_unread(call.relay, connection, length > 0 ? bytes : &nothing, length);
    return buffer;
}

static const struct export list[] = {
    {"publish", publish}, {"takeOpened", take_opened}, {"tell", tell}, {"respond", respond}, {"unread", unread},
};
const struct exports responder_exports = EXPORTS(list);

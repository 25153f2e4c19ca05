/* References. */
#include <errno.h>

#include "base/sys.h"
#include "call.h"
#include "pages/generation.h"
#include "segments.h"
#include "wire/hold.h"
#include "wire/references.h"

/* Making more objects at a time would keep others waiting. */
enum { LONGEST_PAGE = 1000 };

static const char *const state_names[] = {"unsent", "sent", "quarantined"};

static napi_value hold(napi_env env, napi_callback_info info) {
    struct call call;
    uint64_t generation, epoch, version, place, transmission;
    int engine;
    bool in_place = false;
    struct segments segments;
    /* First, for reading an array can run JavaScript (a getter, a proxy), which can close the relay. */
    if (!take_arguments(env, info, &call) || !want_segments(env, call.arguments[6], &segments)) return NULL;
    if (!open_call(env, info, &call) || !want_id(&call, 1, "generation", &generation) ||
        !want_id(&call, 2, "epoch", &epoch) || !want_id(&call, 3, "version", &version) ||
        !want_name(env, call.arguments[4], "engine", pr_engine_names, PR_ENGINE_COUNT, &engine) ||
        !want_id(&call, 5, "place", &place) ||
        (call.count > 7 && !want_boolean(env, call.arguments[7], "inPlace", &in_place))) {
        pr_free(segments.literals);
        return NULL;
    }
    int result = segments.error;
    if (result == 0)
        result = (in_place ? pr_hold_in_place : pr_hold)(call.relay, generation, epoch, version, (enum pr_engine)engine,
                                                         place, segments.list, segments.count, &transmission);
    pr_free(segments.literals);
    return number(env, result < 0 ? result : (double)transmission);
}

static napi_value release(napi_env env, napi_callback_info info) {
    struct call call;
    uint64_t transmission;
    int outcome;
    if (!open_call(env, info, &call) || !want_id(&call, 1, "transmission", &transmission) ||
        !want_name(env, call.arguments[2], "outcome", pr_outcome_names, PR_OUTCOME_COUNT, &outcome))
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
    set(env, object, "engine", string(env, pr_engine_names[info->engine]));
    set(env, object, "peer", string(env, info->peer));
    set(env, object, "peerKind", string(env, peer_names[info->peer_kind]));
    set_number(env, object, "ageSeconds", info->age_seconds);
    return object;
}

static napi_value page_object(napi_env env, const struct pr_reference_info *list, const struct pr_page *page) {
    napi_value object, items;
    napi_create_object(env, &object);
    napi_create_array_with_length(env, page->count, &items);
    for (size_t index = 0; index < page->count; index++)
        napi_set_element(env, items, (uint32_t)index, reference_object(env, &list[index]));
    set(env, object, "items", items);
    set_number(env, object, "next", (double)page->next);
    return object;
}

static napi_value references(napi_env env, napi_callback_info info) {
    struct call call;
    uint64_t generation, after, limit;
    if (!open_call(env, info, &call) || !want_id(&call, 1, "generation", &generation) ||
        !want_id(&call, 2, "after", &after) || !want_id(&call, 3, "limit", &limit))
        return NULL;
    if (limit < 1 || limit > LONGEST_PAGE) return number(env, -EINVAL);
    struct pr_reference_info *list = pr_allocate(limit, sizeof *list);
    if (!list) return number(env, -ENOMEM);
    struct pr_page page;
    int result = pr_references(call.relay, generation, after, list, limit, &page);
    napi_value object = result < 0 ? number(env, result) : page_object(env, list, &page);
    pr_free(list);
    return object;
}

static const struct export list[] = {
    {"hold", hold},
    {"release", release},
    {"references", references},
};
const struct exports hold_exports = EXPORTS(list);

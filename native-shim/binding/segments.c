#include "segments.h"

#include <errno.h>

#include "base/sys.h"
#include "call.h"

static int refuse_segments(napi_env env) {
    napi_throw_type_error(env, "ERR_INVALID_ARG",
                          "segments must be at most 64 pairs of offset and length, and strings");
    return -1;
}

/* Of literals, so far only how long they are. Their bytes in all, or -1 after a TypeError. */
static ssize_t take_all(napi_env env, napi_value list, uint32_t length, struct segments *segments) {
    ssize_t literal_bytes = 0;
    unsigned extents = 0;
    for (uint32_t index = 0; index < length; segments->count++) {
        napi_value element, bytes;
        size_t size;
        struct pr_segment *segment = &segments->list[segments->count];
        if (segments->count == MOST_SEGMENTS || napi_get_element(env, list, index++, &element) != napi_ok)
            return refuse_segments(env);
        if (napi_get_value_string_latin1(env, element, NULL, 0, &size) == napi_ok) {
            *segment = (struct pr_segment){.literal = "", .length = size};
            literal_bytes += (ssize_t)size;
            continue;
        }
        *segment = (struct pr_segment){0};
        if (!want_integer(env, element, "offset", MOST_INTEGER, &segment->offset)) return -1;
        if (++extents > MOST_EXTENTS || napi_get_element(env, list, index++, &bytes) != napi_ok)
            return refuse_segments(env);
        if (!want_integer(env, bytes, "length", MOST_INTEGER, &segment->length)) return -1;
    }
    return literal_bytes;
}

/* A getter may say something else now. */
static int take_literals(napi_env env, napi_value list, struct segments *segments, char *into) {
    uint32_t at = 0;
    for (uint32_t index = 0; index < segments->count; index++) {
        struct pr_segment *segment = &segments->list[index];
        napi_value element;
        size_t size;
        if (!segment->literal) {
            at += 2;
            continue;
        }
        if (napi_get_element(env, list, at++, &element) != napi_ok ||
            napi_get_value_string_latin1(env, element, into, (size_t)segment->length + 1, &size) != napi_ok ||
            size != segment->length)
            return refuse_segments(env);
        segment->literal = into;
        into += size;
    }
    return 0;
}

bool want_segments(napi_env env, napi_value list, struct segments *segments) {
    bool is_array = false;
    uint32_t length = 0;
    segments->count = 0;
    segments->literals = NULL;
    segments->error = 0;
    if (napi_is_array(env, list, &is_array) != napi_ok || !is_array ||
        napi_get_array_length(env, list, &length) != napi_ok || length > MOST_ELEMENTS)
        return refuse_segments(env) == 0;
    ssize_t literal_bytes = take_all(env, list, length, segments);
    if (literal_bytes <= 0) return literal_bytes == 0;
    segments->literals = pr_allocate(1, (size_t)literal_bytes + 1);
    if (!segments->literals) segments->error = -ENOMEM;
    if (segments->error < 0 || take_literals(env, list, segments, segments->literals) == 0) return true;
    pr_free(segments->literals);
    return false;
}

#include "segments.h"

#include <errno.h>

#include "base/sys.h"
#include "call.h"

static bool refuse_segments(napi_env env) {
    napi_throw_type_error(env, "ERR_INVALID_ARG",
                          "segments must be at most 64 pairs of offset and length, and strings");
    return false;
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

bool want_segments(napi_env env, napi_value list, struct segments *segments) {
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

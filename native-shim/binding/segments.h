/* The pieces of a body, from an array: [offset, length, "literal", offset, length, …] */
#ifndef PR_SEGMENTS_H
#define PR_SEGMENTS_H

#include "pages/reference.h"
#include "values.h"

/* 64 extents with a literal before each, and one behind them. */
enum { MOST_EXTENTS = 64, MOST_SEGMENTS = 2 * MOST_EXTENTS + 1, MOST_ELEMENTS = 3 * MOST_EXTENTS + 1 };

struct segments {
    struct pr_segment list[MOST_SEGMENTS];
    uint32_t count;
    char *literals; /* one block, the caller frees it */
    int error;      /* -ENOMEM: there is none */
};

/* Reading an array can run JavaScript (a getter, a proxy), which can close a relay: read it before anything else. */
bool want_segments(napi_env env, napi_value list, struct segments *segments);

#endif

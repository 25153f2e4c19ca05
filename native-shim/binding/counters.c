/* Counters, and the lanes. */
#include "call.h"
#include "lanes/lane.h"
#include "relay.h"

static napi_value named(napi_env env, const char *const *names, const uint64_t *values, int count) {
    napi_value object;
    napi_create_object(env, &object);
    for (int place = 0; place < count; place++) set_number(env, object, names[place], (double)values[place]);
    return object;
}

static napi_value durations(napi_env env, const struct pr_durations *durations) {
    static const double bounds[] = PR_HOLD_BOUNDS;
    napi_value object, buckets;
    napi_create_object(env, &object);
    napi_create_array(env, &buckets);
    for (uint32_t bucket = 0; bucket < PR_HOLD_BUCKETS; bucket++) {
        napi_value pair;
        napi_create_array_with_length(env, 2, &pair);
        napi_set_element(env, pair, 0, number(env, bucket < PR_HOLD_BUCKETS - 1 ? bounds[bucket] : 1.0 / 0.0));
        napi_set_element(env, pair, 1, number(env, (double)durations->by_time[bucket]));
        napi_set_element(env, buckets, bucket, pair);
    }
    set(env, object, "buckets", buckets);
    set_number(env, object, "sum", durations->seconds);
    return object;
}

#define ONE(type, field, name, ...)       set_number(env, object, name, (double)counters.field);
#define NAMED(distinction, values)        named(env, pr_##distinction##_names, values, PR_COUNT_OF_##distinction)
#define BY(distinction, field, name, ...) set(env, object, name, NAMED(distinction, counters.field));
#define TWO(one, other, field, name, ...)                                                                              \
    {                                                                                                                  \
        napi_value each;                                                                                               \
        napi_create_object(env, &each);                                                                                \
        for (int place = 0; place < PR_COUNT_OF_##one; place++)                                                        \
            set(env, each, pr_##one##_names[place], NAMED(other, counters.field[place]));                              \
        set(env, object, name, each);                                                                                  \
    }
#define TIMES(field, name, ...) set(env, object, name, durations(env, &counters.field));

/* The lanes, each always in its place. */
static napi_value lanes_array(napi_env env, struct pr_relay *relay) {
    struct pr_lane_info lanes[MOST_LANES];
    size_t count = pr_lanes(relay, lanes, MOST_LANES);
    napi_value array;
    napi_create_array_with_length(env, count, &array);
    for (size_t index = 0; index < count; index++) {
        napi_value lane;
        napi_create_object(env, &lane);
        set_number(env, lane, "connections", lanes[index].connections);
        set_number(env, lane, "cpuSeconds", lanes[index].cpu_seconds);
        set_number(env, lane, "node", lanes[index].node);
        napi_set_element(env, array, (uint32_t)index, lane);
    }
    return array;
}

static napi_value counters_object(napi_env env, napi_callback_info info) {
    struct call call;
    struct pr_counters counters;
    napi_value object;
    if (!open_call(env, info, &call)) return NULL;
    pr_counters(call.relay, &counters);
    napi_create_object(env, &object);
    PR_COUNTERS(ONE, BY, TWO, TIMES)
    set(env, object, "lanes", lanes_array(env, call.relay));
    return object;
}

static const struct export list[] = {{"counters", counters_object}};
const struct exports counter_exports = EXPORTS(list);

/* Counters. */
#include <errno.h>

#include "base/sys.h"
#include "call.h"
#include "lanes/lane.h"
#include "relay.h"

static napi_value transmissions_object(napi_env env, const struct pr_counters *counters) {
    napi_value all;
    napi_create_object(env, &all);
    for (int engine = 0; engine < PR_ENGINE_COUNT; engine++) {
        napi_value outcomes;
        napi_create_object(env, &outcomes);
        for (int outcome = 0; outcome < PR_OUTCOME_COUNT; outcome++)
            set_number(env, outcomes, pr_outcome_names[outcome], (double)counters->transmissions[engine][outcome]);
        set(env, all, pr_engine_names[engine], outcomes);
    }
    return all;
}

static napi_value durations(napi_env env, const uint64_t *by_time, double sum) {
    static const double bounds[] = PR_HOLD_BOUNDS;
    napi_value object, buckets;
    napi_create_object(env, &object);
    napi_create_array(env, &buckets);
    for (uint32_t bucket = 0; bucket < PR_HOLD_BUCKETS; bucket++) {
        napi_value pair;
        napi_create_array_with_length(env, 2, &pair);
        napi_set_element(env, pair, 0, number(env, bucket < PR_HOLD_BUCKETS - 1 ? bounds[bucket] : 1.0 / 0.0));
        napi_set_element(env, pair, 1, number(env, (double)by_time[bucket]));
        napi_set_element(env, buckets, bucket, pair);
    }
    set(env, object, "buckets", buckets);
    set_number(env, object, "sum", sum);
    return object;
}

static napi_value by_engine(napi_env env, const uint64_t *bytes) {
    napi_value object;
    napi_create_object(env, &object);
    for (int engine = 0; engine < PR_ENGINE_COUNT; engine++)
        set_number(env, object, pr_engine_names[engine], (double)bytes[engine]);
    return object;
}

static napi_value named(napi_env env, const char *const *names, const uint64_t *values, int count) {
    napi_value object;
    napi_create_object(env, &object);
    for (int place = 0; place < count; place++) set_number(env, object, names[place], (double)values[place]);
    return object;
}

static napi_value counters_object(napi_env env, napi_callback_info info) {
    struct call call;
    struct pr_counters counters;
    if (!open_call(env, info, &call)) return NULL;
    pr_counters(call.relay, &counters);
    static const char *const localities[PR_LOCALITIES] = {"local", "remote", "unknown"};
    static const char *const results[PR_ZEROCOPY_RESULTS] = {"uncopied", "copied", "notTried"};
    static const char *const answers[PR_ANSWERED_COUNT] = {"whole", "ranged", "head", "notModified", "headNotModified"};
    /* enum pr_state */
    static const char *const states[PR_TRANSMISSION_STATES] = {"held", "sending", "accepted", "broken", "quarantined"};
    static const char *const fed[PR_FED_COUNT] = {
        [PR_FED_UNPUBLISHED] = "unpublished", [PR_FED_REQUEST] = "request", [PR_FED_GUARD] = "guard",
        [PR_FED_CHANGED] = "changed",         [PR_FED_WRITER] = "writer",   [PR_FED_FAILED] = "failed",
    };
    static const char *const handed_over[PR_HANDED_COUNT] = {
        [PR_HANDED_GRAMMAR] = "grammar", [PR_HANDED_END] = "end",         [PR_HANDED_LATE] = "late",
        [PR_HANDED_LAST] = "last",       [PR_HANDED_CLOSING] = "closing",
    };
    napi_value object;
    napi_create_object(env, &object);
    set(env, object, "sentBytes", by_engine(env, counters.sent_bytes));
    set(env, object, "copiedBytes", by_engine(env, counters.copied_bytes));
    set(env, object, "copyFreeBytes", by_engine(env, counters.uncopied_bytes));
    set(env, object, "bytesByLocality", named(env, localities, counters.bytes_by_locality, PR_LOCALITIES));
    set(env, object, "transmissions", transmissions_object(env, &counters));
    const struct pr_durations *accepted = &counters.accepted, *acknowledged = &counters.acknowledged;
    set(env, object, "acceptedSeconds", durations(env, accepted->by_time, accepted->seconds));
    set(env, object, "acknowledgedSeconds", durations(env, acknowledged->by_time, acknowledged->seconds));
    set(env, object, "holdSeconds", durations(env, counters.holds_by_time, counters.hold_seconds));
    set(env, object, "inFlight", named(env, states, counters.by_state, PR_TRANSMISSION_STATES));
    set_number(env, object, "heldPages", (double)counters.held_pages);
    set_number(env, object, "stalledSeconds", counters.stalled_seconds);
    set_number(env, object, "references", (double)counters.references);
    set_number(env, object, "heldBytes", (double)counters.held_bytes);
    set_number(env, object, "quarantined", (double)counters.quarantined);
    set_number(env, object, "quarantinedBytes", (double)counters.quarantined_bytes);
    set_number(env, object, "connections", (double)counters.connections);
    set_number(env, object, "brokenOff", (double)counters.broken_off);
    set_number(env, object, "inlineSends", (double)counters.inline_sends);
    set_number(env, object, "laneSends", (double)counters.lane_sends);
    set_number(env, object, "looks", (double)counters.looks);
    set(env, object, "zerocopySends", named(env, results, counters.zerocopy_sends, PR_ZEROCOPY_RESULTS));
    set_number(env, object, "leases", (double)counters.leases);
    set_number(env, object, "waitingWriters", (double)counters.waiting_writers);
    set_number(env, object, "waitingReaders", (double)counters.waiting_readers);
    set_number(env, object, "breaks", (double)counters.breaks);
    set_number(env, object, "acceptedConnections", (double)counters.accepted_connections);
    set_number(env, object, "published", (double)counters.published);
    set_number(env, object, "reading", (double)counters.reading);
    set(env, object, "answers", named(env, answers, counters.answers, PR_ANSWERED_COUNT));
    set(env, object, "wholeByEngine", by_engine(env, counters.whole_by_engine));
    set(env, object, "rangedByEngine", by_engine(env, counters.ranged_by_engine));
    set(env, object, "fed", named(env, fed, counters.fed, PR_FED_COUNT));
    set(env, object, "handedOver", named(env, handed_over, counters.handed_over, PR_HANDED_COUNT));
    set_number(env, object, "allocatedBytes", (double)counters.allocated_bytes);
    return object;
}

static napi_value lanes_array(napi_env env, napi_callback_info info) {
    struct call call;
    if (!open_call(env, info, &call)) return NULL;
    size_t count = pr_lanes(call.relay, NULL, 0);
    struct pr_lane_info *lanes = pr_allocate(count, sizeof *lanes);
    if (!lanes) return number(env, -ENOMEM);
    pr_lanes(call.relay, lanes, count);
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
    pr_free(lanes);
    return array;
}

static const struct export list[] = {
    {"counters", counters_object},
    {"lanes", lanes_array},
};
const struct exports counter_exports = EXPORTS(list);

/* What is counted of a relay. */
#ifndef PR_COUNTERS_H
#define PR_COUNTERS_H

#include <stddef.h>
#include <stdint.h>

#include "base/words.h"

/*
 * Upper bounds of the histograms of times, in seconds; one more bucket has no bound. A body that is sent at once is
 * accepted in 10 to 100 µs, one of 1 MiB by a lane in 0.2 to 2 ms; it is seen to be done with the connection's next
 * request, in 1 to 50 ms under load, or when the lane looks, after 250 ms. Readers for whom pages wait are broken off
 * after 30 s and those that do not read after 300 s, unless the user says otherwise (docs/metrics.md).
 */
#define PR_HOLD_BOUNDS                                                                                                 \
    { 0.00002, 0.0001, 0.0005, 0.002, 0.01, 0.05, 0.25, 1, 5, 30, 120, 300 }
enum { PR_HOLD_BUCKETS = 13 };

/* Sends of the engine zerocopy: what the kernel says of each, or that copying it was better. */
enum pr_zerocopy_result { PR_ZEROCOPY_UNCOPIED, PR_ZEROCOPY_COPIED, PR_ZEROCOPY_NOT_TRIED, PR_ZEROCOPY_RESULTS };

/* Whether the lane of a connection sits on the NUMA node where most of a region's pages are. */
enum pr_locality { PR_LOCALITY_LOCAL, PR_LOCALITY_REMOTE, PR_LOCALITY_UNKNOWN, PR_LOCALITIES };

/* How long transmissions took to get somewhere, from the taking of their reference. */
struct pr_durations {
    uint64_t by_time[PR_HOLD_BUCKETS];
    double seconds;
};

/* Transmissions in flight, as enum pr_state. */
enum { PR_TRANSMISSION_STATES = 5 };

struct pr_counters {
    uint64_t sent_bytes[PR_ENGINE_COUNT];
    /*
     * Bytes of regions that were copied on their way to the socket: by engines that copy (also where only a witness has
     * seen it), and by zerocopy where the kernel's notice says so or it was not tried. Not what stands between extents.
     */
    uint64_t copied_bytes[PR_ENGINE_COUNT];
    uint64_t uncopied_bytes[PR_ENGINE_COUNT]; /* the others; of zerocopy when its notice is there */
    uint64_t bytes_by_locality[PR_LOCALITIES];
    uint64_t transmissions[PR_ENGINE_COUNT][PR_OUTCOME_COUNT];
    uint64_t holds_by_time[PR_HOLD_BUCKETS];
    double hold_seconds;
    struct pr_durations accepted, acknowledged; /* of the whole body; the second of what is held until it is done */
    uint64_t by_state[PR_TRANSMISSION_STATES];
    uint64_t held_pages;    /* under references: one that is in two counts twice */
    double stalled_seconds; /* since the connection in flight that has waited longest made progress */
    uint64_t references, held_bytes, quarantined_bytes, quarantined;
    uint64_t connections, accepted_connections, broken_off, inline_sends, lane_sends, looks;
    uint64_t zerocopy_sends[PR_ZEROCOPY_RESULTS];
    uint64_t claims, leases, waiting_writers, waiting_readers, breaks;
    uint64_t published, reading; /* regions that lanes answer for, and connections whose requests they read */
    uint64_t answers[PR_ANSWERED_COUNT];
    uint64_t whole_by_engine[PR_ENGINE_COUNT], ranged_by_engine[PR_ENGINE_COUNT]; /* the bodies among them */
    uint64_t fed[PR_FED_COUNT], handed_over[PR_HANDED_COUNT];
    size_t allocated_bytes;
};

#endif

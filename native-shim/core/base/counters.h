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

/* How long transmissions took to get somewhere, from the taking of their reference. */
struct pr_durations {
    uint64_t by_time[PR_HOLD_BUCKETS];
    double seconds;
};

/*
 * The two tables that follow are all there is to change for a counter, besides what counts it: `npm run counters`
 * writes src/relay/counters.ts from them, and metrics are made of that. Strings are for the outside.
 *
 * What counters are told apart by: its constants, the label of its metrics, and a name for each constant, in their
 * order.
 */
/* clang-format off */
#define PR_DISTINCTIONS(BY)                                                                                            \
    BY(engine, PR_ENGINE_COUNT, "engine", "sendfile", "splice", "copy", "stream", "zerocopy")                          \
    BY(outcome, PR_OUTCOME_COUNT, "outcome", "complete", "aborted", "stalled", "truncated", "failed", "cancelled",     \
       "broken")                                                                                                       \
    BY(locality, PR_LOCALITIES, "locality", "local", "remote", "unknown")                                              \
    BY(zerocopy, PR_ZEROCOPY_RESULTS, "result", "uncopied", "copied", "not_tried")                                     \
    BY(state, PR_TRANSMISSION_STATES, "state", "held", "sending", "accepted", "broken", "quarantined")                 \
    BY(answered, PR_ANSWERED_COUNT, "", "whole", "ranged", "head", "notModified", "headNotModified", "failed",         \
       "headFailed", "unsatisfiable", "limited", "headLimited")                                                                                  \
    BY(fed, PR_FED_COUNT, "reason", "unpublished", "request", "guard", "changed", "writer", "failed")                  \
    BY(handed, PR_HANDED_COUNT, "reason", "grammar", "end", "late", "last", "closing")            \
    BY(limited, PR_LIMITED_COUNT, "reason", "connections", "idle_closed", "min_rate", "bandwidth", "transmissions",    \
       "held_bytes", "connections_per_address", "requests_per_second", "memory", "head_timeout",      \
       "head_size", "url_size", "ranges")

/*
 * The counters: ONE number of a type, numbers BY a distinction or by TWO, and TIMES; its field; its name, its metric, and
 * what it is. Those without a metric are told in another way (src/observe/metrics.ts).
 */
#define PR_COUNTERS(ONE, BY, TWO, TIMES)                                                                               \
    BY(engine, sent_bytes, "sentBytes", "pagerelay_sent_bytes_total",                                                  \
       "Body bytes that sockets have taken, by engine.")                                                               \
    BY(engine, copied_bytes, "copiedBytes", "pagerelay_copied_bytes_total",                                            \
       "Regions' bytes that were copied on their way to the socket, by engine.")                                       \
    BY(engine, uncopied_bytes, "copyFreeBytes", "pagerelay_copy_free_bytes_total",                                     \
       "Regions' bytes that went to the socket as the pages themselves, by engine; of zerocopy as its notices say.")   \
    BY(locality, bytes_by_locality, "bytesByLocality", "pagerelay_numa_bytes_total",                                   \
       "Body bytes by whether the connection's lane sits on the NUMA node of most of the region's pages.")             \
    BY(zerocopy, zerocopy_sends, "zerocopySends", "pagerelay_zerocopy_sends_total",                                    \
       "Sends of the engine zerocopy: the kernel did not copy, had to, or it was not tried for so few bytes.")         \
    BY(engine, sends, "sends", "pagerelay_sends_total", "Calls that gave body bytes to sockets, by engine.")           \
    TWO(engine, outcome, transmissions, "transmissions", "pagerelay_transmissions_total",                              \
       "Response bodies, by engine and how they ended.")                                                               \
    BY(state, by_state, "inFlight", "pagerelay_transmissions_in_flight",                                               \
       "Response bodies whose pages are held, by how far they are.")                                                   \
    ONE(double, stalled_seconds, "stalledSeconds", "pagerelay_longest_stall_seconds",                                  \
       "Since the transmission in flight that has waited longest made progress.")                                      \
    ONE(uint64_t, references, "references", "pagerelay_references", "References to pages that are held now.")          \
    ONE(uint64_t, held_pages, "heldPages", "pagerelay_held_pages",                                                     \
       "Pages under references now; in two, a page counts twice.")                                                     \
    ONE(uint64_t, held_bytes, "heldBytes", "pagerelay_held_bytes", "Bytes under references now.")                      \
    ONE(uint64_t, quarantined, "quarantined", "pagerelay_quarantined_references",                                      \
       "References whose end nobody can tell.")                                                                        \
    ONE(uint64_t, quarantined_bytes, "quarantinedBytes", "pagerelay_quarantined_bytes",                                \
       "Bytes whose end of being read nobody can tell.")                                                               \
    TIMES(holds, "holdSeconds", "pagerelay_hold_seconds",                                                              \
       "How long references were held, from taking to done; as late as somebody looked.")                              \
    TIMES(accepted, "acceptedSeconds", "pagerelay_hold_accepted_seconds",                                              \
       "From the taking of a reference until the socket had the whole body.")                                          \
    TIMES(acknowledged, "acknowledgedSeconds", "pagerelay_hold_acknowledged_seconds",                                  \
       "From the taking of a reference until the peer was seen to have acknowledged the body; copy-free engines only.")\
    ONE(uint64_t, kept_bytes, "keptBytes", "pagerelay_kept_bytes",                                                     \
       "Old bytes of regions that are kept in memory for readers who had not been sent them when a writer came.")      \
    ONE(uint64_t, keeps, "keeps", "pagerelay_kept_for_readers_total",                                                  \
       "How often a response body went on with such a copy, so that the writer need not wait for it.")                 \
    ONE(uint64_t, leases, "leases", "pagerelay_leases", "Leases on pages that writers have now.")                      \
    ONE(uint64_t, waiting_writers, "waitingWriters", "pagerelay_waiting_writers", "Writers that wait for pages.")      \
    ONE(uint64_t, waiting_readers, "waitingReaders", "pagerelay_waiting_readers", "Readers that wait behind writers.") \
    ONE(uint64_t, breaks, "breaks", "pagerelay_broken_holds_total",                                                    \
       "References that were broken off for a writer.")                                                                \
    ONE(uint64_t, files, "openFiles", "pagerelay_open_files",                                                          \
       "Files of regions that are open, those without a name that are still read among them.")                         \
    ONE(uint64_t, connections, "connections", "pagerelay_connections",                                                 \
       "Connections that lanes know, and that are open: they have sent natively, or lanes have accepted them.")        \
    ONE(uint64_t, broken_off, "brokenOff", "pagerelay_broken_off_connections",                                         \
       "Broken-off connections under watch.")                                                                          \
    ONE(uint64_t, inline_sends, "inlineSends", "pagerelay_inline_sends_total",                                         \
       "Bodies that the main thread sent at once.")                                                                    \
    ONE(uint64_t, lane_sends, "laneSends", "pagerelay_lane_sends_total", "Bodies that a lane carried.")                \
    ONE(uint64_t, looks, "looks", "pagerelay_looks_total", "Looks at whether a connection is done.")                   \
    ONE(uint64_t, accepted_connections, "acceptedConnections", "pagerelay_express_accepted_total",                     \
       "Connections that lanes have accepted, in place of Node.")                                                      \
    BY(limited, limited, "limited", "", "How often lanes have limited somebody, by why.")                              \
    ONE(uint64_t, reading, "reading", "pagerelay_express_connections", "Connections whose requests lanes read now.")   \
    ONE(uint64_t, published, "published", "pagerelay_published_regions",                                               \
       "Regions that lanes answer for by themselves.")                                                                 \
    BY(answered, answers, "answers", "", "What lanes have answered by themselves.")                                    \
    BY(engine, whole_by_engine, "wholeByEngine", "", "The whole bodies among it.")                                     \
    BY(engine, ranged_by_engine, "rangedByEngine", "", "The ranges among it.")                                         \
    BY(fed, fed, "fed", "pagerelay_fed_requests_total", "Requests that lanes have read and fed to Node, by why.")      \
    BY(handed, handed_over, "handedOver", "pagerelay_handed_over_connections_total",                                   \
       "Connections that lanes have handed over to Node for good, by why.")                                            \
    ONE(size_t, allocated_bytes, "allocatedBytes", "pagerelay_native_allocated_bytes",                                 \
       "Memory that the shim has set aside.")
/* clang-format on */

#define PR_CONSTANTS(distinction, count, ...) PR_COUNT_OF_##distinction = count,
enum { PR_DISTINCTIONS(PR_CONSTANTS) };

#define PR_NAMES_OF(distinction, count, ...) extern const char *const pr_##distinction##_names[count];
PR_DISTINCTIONS(PR_NAMES_OF)

#define PR_ONE(type, field, ...)       type field;
#define PR_BY(distinction, field, ...) uint64_t field[PR_COUNT_OF_##distinction];
#define PR_TWO(one, other, field, ...) uint64_t field[PR_COUNT_OF_##one][PR_COUNT_OF_##other];
#define PR_TIMES(field, ...)           struct pr_durations field;
/*
 * Each part of a relay counts for itself, and who looks adds them up. What one part has begun another can end: what is
 * in flight is right in the sum alone, where a part's count below zero is one above 2^63.
 */
struct pr_counters {
    PR_COUNTERS(PR_ONE, PR_BY, PR_TWO, PR_TIMES)
    /* The core's own. Connections: those that Node has a second descriptor of, and those that close to make room. */
    uint64_t claims, shared, leaving;
};

#endif

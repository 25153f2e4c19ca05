/*
 * The limits that the core enforces, out of the one table (src/limits/limits.ts), by the names that they have there.
 * LIMIT(its field, its name). A value of 0 is no limit. Times are in milliseconds.
 */
#ifndef PR_LIMITS_H
#define PR_LIMITS_H

#include <stdint.h>

/* clang-format off */
#define PR_LIMITS(LIMIT)                                                                                               \
    LIMIT(connections, "maxConnections")                /* that are open */                                            \
    LIMIT(descriptors, "mostDescriptors")               /* of connections and open files */                            \
    LIMIT(short_of_memory, "shortOfMemory")             /* 1: nobody new is let in, nor answered */                    \
    LIMIT(least_rate, "minRate")                        /* bytes a second that who takes any has to take */            \
    LIMIT(rate_grace, "minRateGrace")                   /* over so long a time */                                      \
    LIMIT(rate_of_connection, "bandwidthPerConnection") /* bytes a second, at most */                                  \
    LIMIT(rate_of_region, "bandwidthPerRegion")                                                                        \
    LIMIT(transmissions, "maxTransmissions")            /* that are in flight */                                       \
    LIMIT(held_bytes, "maxHeldBytes")                   /* under references */                                         \
    LIMIT(connections_per_address, "maxConnectionsPerAddress")                                                         \
    LIMIT(requests_per_second, "requestsPerSecond") /* of an address */                                                \
    LIMIT(request_burst, "requestBurst")            /* at most so many at once; 0: those of two seconds */     \
    LIMIT(head_bytes, "maxHeadSize")                                                                                   \
    LIMIT(url_bytes, "maxUrlSize")
/* clang-format on */

#define PR_LIMIT_FIELD(field, name) uint64_t field;
struct pr_limits {
    PR_LIMITS(PR_LIMIT_FIELD)
};

/* Clients of this machine, on the loopback or a unix socket, are limited by what is given for them alone. */
enum pr_place { PR_ELSEWHERE, PR_HERE, PR_PLACES };

#endif

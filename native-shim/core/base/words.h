/* Words that all layers use, and that the outside is told (counters.h has their names): engines, and how things end. */
#ifndef PR_WORDS_H
#define PR_WORDS_H

enum pr_engine {
    PR_ENGINE_SENDFILE,
    PR_ENGINE_SPLICE,
    PR_ENGINE_COPY,
    PR_ENGINE_STREAM,
    PR_ENGINE_ZEROCOPY,
    PR_ENGINE_COUNT
};

/* How a transmission ended. */
enum pr_outcome {
    PR_OUTCOME_COMPLETE,
    PR_OUTCOME_ABORTED,   /* the client went away */
    PR_OUTCOME_STALLED,   /* no progress for the longest time that a reference may be held */
    PR_OUTCOME_TRUNCATED, /* the file behind the region became shorter */
    PR_OUTCOME_FAILED,    /* a system call failed */
    PR_OUTCOME_CANCELLED, /* given up on this side: shutdown, or Node closed the socket */
    PR_OUTCOME_BROKEN,    /* broken off, for a writer had waited long enough for its pages */
    PR_OUTCOME_COUNT,
};

/* Sends of the engine zerocopy: what the kernel says of each, or that copying it was better. */
enum pr_zerocopy_result { PR_ZEROCOPY_UNCOPIED, PR_ZEROCOPY_COPIED, PR_ZEROCOPY_NOT_TRIED, PR_ZEROCOPY_RESULTS };

/* Whether the lane of a connection sits on the NUMA node where most of a region's pages are. */
enum pr_locality { PR_LOCALITY_LOCAL, PR_LOCALITY_REMOTE, PR_LOCALITY_UNKNOWN, PR_LOCALITIES };

/* Transmissions in flight, as enum pr_state. */
enum { PR_TRANSMISSION_STATES = 5 };

/* What lanes have answered by themselves. */
enum pr_answered {
    PR_ANSWERED_WHOLE,
    PR_ANSWERED_RANGE,
    PR_ANSWERED_HEAD,
    PR_ANSWERED_NOT_MODIFIED,
    PR_ANSWERED_HEAD_NOT_MODIFIED,
    PR_ANSWERED_FAILED,
    PR_ANSWERED_HEAD_FAILED,
    PR_ANSWERED_UNSATISFIABLE,
    PR_ANSWERED_LIMITED,
    PR_ANSWERED_HEAD_LIMITED,
    PR_ANSWERED_COUNT
};

/* Why a lane did not answer a request by itself. */
enum pr_fed {
    PR_FED_UNPUBLISHED, /* for all it knows: another route, a region that was not asked for before */
    PR_FED_REQUEST,     /* something in it only Node understands: several ranges, a digest, a date */
    PR_FED_GUARD,       /* a host or credentials that Node has not judged, or a tree whose lock it has to take */
    PR_FED_CHANGED,     /* the region is not what was published any more */
    PR_FED_WRITER,      /* a writer has pages of it, or waits for them */
    PR_FED_FAILED,      /* out of memory or descriptors */
    PR_FED_COUNT
};

/* Why a connection is Node's for good. */
enum pr_handed {
    PR_HANDED_GRAMMAR, /* it sent what is no head in strict grammar, or more than a head: a body, an upgrade */
    PR_HANDED_END,     /* Node answers its last request: the client has sent its FIN behind it, or asks to close */
    PR_HANDED_LATE,    /* its head took too long */
    PR_HANDED_LAST,    /* its last response is sent, and the client still sends */
    PR_HANDED_CLOSING, /* lanes answer no more */
    PR_HANDED_COUNT
};

/* Why a lane has limited somebody: the reasons of src/limits/limits.ts, in their order. */
enum pr_limited {
    PR_LIMITED_CONNECTIONS,
    PR_LIMITED_IDLE_CLOSED,
    PR_LIMITED_MIN_RATE,
    PR_LIMITED_BANDWIDTH,
    PR_LIMITED_TRANSMISSIONS,
    PR_LIMITED_HELD_BYTES,
    PR_LIMITED_CONNECTIONS_PER_ADDRESS,
    PR_LIMITED_REQUESTS_PER_SECOND,
    PR_LIMITED_MEMORY,
    /* Node alone counts these: */
    PR_LIMITED_HEAD_TIMEOUT,
    PR_LIMITED_HEAD_SIZE,
    PR_LIMITED_URL_SIZE,
    PR_LIMITED_RANGES,
    PR_LIMITED_COUNT
};

/* What becomes of a connection that a lane has read. */
enum pr_return {
    PR_RETURN_FED,    /* Node answers one request, and the lane reads on then */
    PR_RETURN_HANDED, /* it is Node's for good */
    PR_RETURN_LATE,   /* the same, and its head took too long */
    PR_RETURN_LAST,   /* the same, and its last response is sent: Node waits until the client sends no more */
    PR_RETURN_CLOSED, /* it ends */
};

#endif

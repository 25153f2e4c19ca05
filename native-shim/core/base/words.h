/* Words that all layers use, and that the outside is told: engines, and how things end. */
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

/* Why a connection came back from its lane. */
enum pr_return {
    PR_RETURN_TIME,    /* the grant's time was over */
    PR_RETURN_SPENT,   /* it was used up */
    PR_RETURN_REQUEST, /* another request */
    PR_RETURN_PIECES,  /* a head that is not whole yet */
    PR_RETURN_CHANGED, /* the region is not what was judged any more */
    PR_RETURN_WRITER,  /* a writer has pages of it, or waits for them */
    PR_RETURN_LOG,     /* answers come faster than they are taken for the log */
    PR_RETURN_REVOKED,
    PR_RETURN_CLOSED, /* the client, or Node */
    PR_RETURN_BROKEN, /* broken off: the event's `error` says why */
    PR_RETURN_FAILED, /* out of memory or descriptors */
    PR_RETURN_COUNT
};

#endif

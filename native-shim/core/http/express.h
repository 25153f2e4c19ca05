/*
 * Express: requests that a lane answers by itself.
 *
 * A connection that Node owns, and whose last response is out, can be granted to its lane together with the request
 * that was judged last. From then on the lane answers requests that are the same but for the value of Range, and gives
 * the connection back, with all else, as soon as one is not, or the grant is over.
 */
#ifndef PR_EXPRESS_H
#define PR_EXPRESS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/words.h"
#include "http/repeat.h"
#include "lanes/lane.h"

struct pr_grant {
    uint64_t generation, epoch, version; /* as judged */
    enum pr_engine engine;               /* sendfile, splice or copy */
    enum pr_engine large;                /* the same, for bodies of `large_from` bytes and more */
    uint64_t copy_below, large_from;     /* bytes: shorter bodies are copied; 0: there is no `large` */
    struct pr_repeat request;
    /* Of the response; where the request has a Range, without Content-Length, Content-Range and the last empty line. */
    const char *head;
    size_t head_length;
    double seconds; /* it ends after so long, or so many answers on one connection */
    unsigned most;
    /*
     * Whether the lanes may answer the same request on other connections too, to the same address and from the same
     * kind of peer. Those that were granted openly as well stay with their lanes for as long as there is a pattern for
     * what they ask for, and they have asked within `seconds`.
     */
    bool open;
};

/*
 * Grants; the grant and its strings are copied. The caller has stopped reading the socket, and every byte that it has
 * read of it was a request that is answered. Fills in the number (may be NULL) of the pattern that the lanes answer by:
 * an event tells when they do so no more. -EBUSY when the connection is not Node's, -ENOMEM, or what epoll_ctl says:
 * then it is as before.
 */
int pr_grant(struct pr_relay *relay, uint64_t connection, const struct pr_grant *grant, uint64_t *pattern);

/* All connections come back, each after the response that it is in, and no pattern is open any more. */
void pr_grants_end(struct pr_relay *relay);

/* For the other parts of the core. */

struct pr_pattern;

/* A grant, on its connection. Its lane has it, but for what others may set under the lock. */
struct pr_express {
    struct pr_connection *connection;
    struct pr_pattern *pattern; /* NULL before the first request of a connection that a lane has accepted */
    bool open;                  /* other patterns may take its place */
    struct pr_list granted;     /* of its lane: in the order in which they end */
    uint64_t until;             /* ns: of an open one counted from its last answer */
    uint64_t position;          /* how many bytes the connection has ever sent; 0 while it is not known */
    uint64_t answers;
    bool ended;       /* the client will send nothing more; what it has sent may be unread */
    atomic_bool over; /* to be given back after the response that it is in */
};

/* As of struct pr_serving. */
int pr_express_open(struct pr_lane *lane);
void pr_express_close(struct pr_lane *lane);
void pr_express_begin_round(struct pr_lane *lane);
void pr_express_expire(struct pr_lane *lane);
void pr_express_let_in(struct pr_connection *connection);
void pr_express_peer_ended(struct pr_connection *connection);
bool pr_express_next(struct pr_connection *connection);

/* As of struct pr_answering; the first is in answers.c. */
void pr_express_answered(struct pr_connection *connection, const struct pr_transmission *transmission,
                         enum pr_outcome outcome, int error, uint64_t now);
void pr_express_finish(struct pr_connection *connection);
void pr_express_end(struct pr_connection *connection, enum pr_return why, int error);

#endif

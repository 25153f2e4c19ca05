/*
 * The responder: what a lane does with the connections whose requests it reads. Here it reads them, one head after the
 * other; what becomes of each is in answering.h, and what Node gets in handover.h.
 */
#ifndef PR_RESPONDER_H
#define PR_RESPONDER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "http/answer.h"
#include "http/published.h"
#include "lanes/lane.h"
#include "lanes/room.h"

struct pr_log;

/* How lanes answer: times in seconds. */
struct pr_responding {
    bool guarded;                            /* only who is allowed may read (pr_allow_reader) */
    unsigned keep_alive;                     /* that a connection may be idle */
    unsigned head;                           /* that a head may take */
    struct pr_log *log;                      /* where a line for each answer goes; NULL for none */
    bool combined;                           /* lines are of the combined format, else of JSON */
    struct pr_text before_time, behind_time; /* what stands in one of JSON before and behind the time */
    struct pr_text refusal, refusal_of_one;  /* the response to who is not let in, for all or for its own connections */
};

/* Before a door is opened. The strings are copied; the log is kept until the relay is destroyed. 0 or -ENOMEM. */
int pr_respond(struct pr_relay *relay, const struct pr_responding *responding);

/* For the other parts of the core. */

/* On its connection, while the lane reads it. Its lane has it, but for what others may set under its lock. */
struct pr_responder {
    struct pr_connection *connection;
    struct pr_list waiting;         /* of its lane: idle or in_head */
    uint64_t until;                 /* ns: how long it waits there */
    uint64_t position;              /* how many bytes the connection has ever sent, where that is known */
    struct pr_published *published; /* what is being answered by: in the list of those that answer */
    uint64_t generation;            /* and from */
    struct pr_answer answer;
    struct pr_unread *unsent; /* of a response without a body that the socket did not take; mostly NULL */
    struct pr_asked *asked;   /* what its line has of the request; mostly NULL */
    uint64_t begun;           /* ns: the answer */
    enum pr_answered kind;
    bool knows_position;
    bool is_head, is_http_1_0; /* the request */
    bool closes;               /* after the answer */
    bool in_head;              /* a part of the next request is there */
    bool ended;                /* the client will send nothing more; what it has sent may be unread */
    atomic_bool over;          /* Node shall have it after the response that it is in */
};

/* Gives back what pr_respond has kept. */
void pr_responding_free(struct pr_responding *responding);

/* As of struct pr_serving. */
int pr_responder_open(struct pr_lane *lane);
void pr_responder_close(struct pr_lane *lane);
enum pr_next pr_responder_next(struct pr_connection *connection);

#endif

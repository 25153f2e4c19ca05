/* Transmissions: response bodies on their way. */
#ifndef PR_TRANSMISSION_H
#define PR_TRANSMISSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/words.h"
#include "pages/mapping.h"
#include "pages/reference.h"
#include "wire/peer.h"

struct pr_connection;
struct pr_pipe;
struct pr_relay;

struct pr_transmission {
    uint64_t id;
    struct pr_reference reference;
    enum pr_engine engine;
    struct pr_list undone; /* in its connection, in the order of their bytes */
    struct pr_connection *connection;
    struct pr_pipe *pipe;         /* engine splice */
    struct pr_file_window window; /* engine zerocopy; its owner's */
    uint64_t start;               /* position of the first byte in what the connection has ever sent (done.c) */
    bool tells;                   /* room for an event of it is set aside */
    bool break_told, acknowledged;
    bool ends;     /* its connection is closed behind it: its last bytes may wait for the FIN */
    bool paced;    /* it had to wait for bandwidth */
    bool corked;   /* its socket: bytes wait until they fill a packet */
    char peer[64]; /* of a quarantined one, whose connection is gone */
    enum pr_peer_kind peer_kind;

    const char *head; /* sent before the body, not part of it */
    char *kept_head;  /* our own copy of what is left of it */
    size_t head_length, head_sent;
    size_t segment; /* `segment` and `segment_sent`: the owner's place */
    uint64_t segment_sent;
    struct pr_segment *split;     /* those of its reference, once some of it was kept (wire/keep.h); or NULL */
    struct pr_segment segments[]; /* those that it has at first; behind them their literals */
};

static inline struct pr_transmission *pr_transmission_of(struct pr_reference *reference) {
    return pr_container(reference, struct pr_transmission, reference);
}

/*
 * Sends a held transmission: the head (copied, counted nowhere), then the body. 1 when the socket has taken all of it;
 * 0 when a lane goes on, and an event will tell; -errno when it was broken off at once, after `sent` bytes of the body
 * (may be NULL), or could not be sent on this connection at all: then the caller still has it, and releases it.
 */
int pr_send(struct pr_relay *relay, uint64_t connection, uint64_t transmission, const char *head, size_t head_length,
            uint64_t *sent);

/* How a transmission that ended with this -errno ended. */
enum pr_outcome pr_outcome_of(int error);

/* For the other parts of the core. */

bool pr_holds_until_done(const struct pr_transmission *transmission);
/* PACED: it has to wait before more may go out. */
enum pr_pushed { PR_PUSHED_ALL, PR_PUSHED_BUDGET, PR_PUSHED_FULL, PR_PUSHED_PACED };
/* The owner, in its turn, without a lock: sends until all, the budget, its bandwidth or the socket is spent, or -errno.
 */
int pr_push(struct pr_connection *connection, struct pr_transmission *transmission, uint64_t budget);
/* Under the lock of its lane: it goes out on this connection, after a head, which has to outlive the first push. */
void pr_begin(struct pr_connection *connection, struct pr_transmission *transmission, const char *head,
              size_t head_length, uint64_t start, uint64_t now);
/* After the first push, where the lane goes on: what is left of the head is copied. 0 or -ENOMEM. */
int pr_keep_rest_of_head(struct pr_transmission *transmission);
/* Under the lock of its lane: so many responses were begun since the last look that it is time for another. */
bool pr_much_is_undone(const struct pr_connection *connection);
/* Under the lock of its lane: the socket has taken the last byte; the connection is Node's again, or its lane reads on.
 */
void pr_accepted(struct pr_connection *connection);
void pr_give_pipe_back(struct pr_transmission *transmission);

#endif

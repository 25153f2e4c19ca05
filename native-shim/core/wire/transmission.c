#include "wire/transmission.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/sys.h"
#include "wire/connection.h"
#include "wire/done.h"
#include "wire/engine.h"
#include "wire/hold.h"
#include "wire/keep.h"
#include "wire/layer.h"
#include "wire/zerocopy.h"

/*
 * What the thread that has the request sends itself before a lane takes over. 64 KiB inline is 28 µs against 53 µs
 * handed over first; 256 KiB is 84 against 102, but holds the event loop for as long (docs/performance.md).
 */
enum { INLINE_BYTES = 64 << 10 };

/* A head and a body that are copied together, at most. */
enum { SMALL = 24 << 10 };

/* Larger bodies are corked (docs/performance.md). */
enum { CORK_FROM = 256 << 10 };

/* So many transmissions of a connection that wait to be seen as done are begun before its next request looks. */
enum { LOOK_EVERY = 16 };

bool pr_holds_until_done(const struct pr_transmission *transmission) {
    if (PR_PRETENDS(transmission->reference.generation->relay, release_when_accepted)) return false;
    return !pr_engine_copies(transmission->engine, transmission->reference.generation);
}

enum pr_outcome pr_outcome_of(int error) {
    switch (-error) {
    case 0: return PR_OUTCOME_COMPLETE;
    case EPIPE:
    case ECONNRESET:
    case ENOTCONN:
    case EHOSTUNREACH:
    case ENETUNREACH: return PR_OUTCOME_ABORTED;
    case ETIMEDOUT: return PR_OUTCOME_STALLED;
    case ENODATA: return PR_OUTCOME_TRUNCATED;
    case ECANCELED: return PR_OUTCOME_CANCELLED;
    case EBUSY: return PR_OUTCOME_BROKEN;
    default: return PR_OUTCOME_FAILED;
    }
}

/* Sending. */

static struct pr_chunk next_chunk(const struct pr_transmission *transmission, uint64_t budget) {
    const struct pr_segment *segment = &transmission->reference.segments[transmission->segment];
    uint64_t left = segment->length - transmission->segment_sent;
    return (struct pr_chunk){
        .generation = transmission->reference.generation,
        .literal = segment->literal ? segment->literal + transmission->segment_sent : NULL,
        .offset = segment->offset + transmission->segment_sent,
        .length = (size_t)(left < budget ? left : budget),
        .copied = segment->kept != NULL,
        .more =
            left > budget || transmission->segment + 1 < transmission->reference.segment_count || transmission->ends,
    };
}

static void advance(struct pr_connection *connection, struct pr_transmission *transmission, uint64_t bytes,
                    bool copied) {
    pr_connection_lock(connection);
    pr_hold_sent(transmission, bytes, copied);
    connection->accepted += bytes;
    if (!pr_holds_until_done(transmission)) pr_reference_shrink(&transmission->reference, transmission->reference.sent);
    connection->progress_at = pr_now();
    transmission->segment_sent += bytes;
    uint64_t length = transmission->reference.segments[transmission->segment].length;
    pr_assert(transmission->segment_sent <= length);
    if (transmission->segment_sent == length) {
        pr_kept_segment_is_sent(transmission);
        transmission->segment++;
        transmission->segment_sent = 0;
    }
    pr_connection_unlock(connection);
}

/* The head leaves in one segment with the first bytes of the body: one packet, one waking of the reader. */
static int push_head(struct pr_connection *connection, struct pr_transmission *transmission) {
    while (transmission->head_sent < transmission->head_length) {
        struct pr_chunk chunk = {
            .literal = transmission->head + transmission->head_sent,
            .length = transmission->head_length - transmission->head_sent,
            .more = true,
        };
        ssize_t sent = pr_engine_step(transmission->engine, connection->fd, transmission->pipe, &chunk);
        if (sent == -EAGAIN) return PR_PUSHED_FULL;
        if (sent < 0) return (int)sent;
        transmission->head_sent += (size_t)sent;
    }
    return PR_PUSHED_ALL;
}

/*
 * A head and a short body that is to be copied leave in one call instead of two. Read, not taken from the mapping, so
 * that a file that was cut is seen before anything is out.
 */
static ssize_t send_with_head(struct pr_connection *connection, const struct pr_transmission *transmission) {
    char bytes[SMALL];
    const struct pr_segment *body = &transmission->reference.segments[0];
    size_t head = transmission->head_length;
    memcpy(bytes, transmission->head, head);
    ssize_t got = pr_sys.pread(transmission->reference.generation->fd, bytes + head, body->length, (off_t)body->offset);
    if (got < 0) return -errno;
    if ((uint64_t)got < body->length) return -ENODATA;
    int flags = MSG_DONTWAIT | MSG_NOSIGNAL | (transmission->ends ? MSG_MORE : 0);
    ssize_t sent = pr_sys.send(connection->fd, bytes, head + body->length, flags);
    return sent < 0 ? -errno : sent;
}

static bool is_small_copy(const struct pr_transmission *transmission) {
    const struct pr_segment *body = &transmission->reference.segments[0];
    bool fresh = transmission->head_sent == 0 && transmission->reference.sent == 0 && transmission->head_length > 0;
    if (!fresh || transmission->engine != PR_ENGINE_COPY || transmission->reference.segment_count != 1) return false;
    if (body->literal) return false;
    bool readable = transmission->reference.generation->info.backing.backing != PR_BACKING_DEVDAX;
    return readable && body->length < SMALL && transmission->head_length <= SMALL - body->length;
}

/* What the socket does not take of it goes the way of all others. */
static int push_small_copy(struct pr_connection *connection, struct pr_transmission *transmission) {
    ssize_t sent;
    do sent = send_with_head(connection, transmission);
    while (sent == -EINTR);
    if (sent == -EAGAIN) return PR_PUSHED_FULL;
    if (sent < 0) return (int)sent;
    size_t of_head = (size_t)sent < transmission->head_length ? (size_t)sent : transmission->head_length;
    transmission->head_sent = of_head;
    if ((size_t)sent > of_head) advance(connection, transmission, (size_t)sent - of_head, true);
    return PR_PUSHED_ALL;
}

/* One that has lost its pipe with what was in it takes another; where there is none it copies. */
static void replace_pipe(const struct pr_connection *connection, struct pr_transmission *transmission) {
    if (transmission->engine == PR_ENGINE_SPLICE && !transmission->pipe)
        pr_pipe_take(&pr_wire_part(pr_part_of(connection))->pipes, &transmission->pipe);
}

static ssize_t send_chunk(struct pr_connection *connection, struct pr_transmission *transmission,
                          struct pr_chunk *chunk) {
    if (!chunk->literal) replace_pipe(connection, transmission);
    if (transmission->engine != PR_ENGINE_ZEROCOPY || chunk->literal)
        return pr_engine_step(transmission->engine, connection->fd, transmission->pipe, chunk);
    ssize_t sent;
    do sent = pr_zerocopy_step(connection, transmission, chunk);
    while (sent == -EINTR);
    return sent;
}

/*
 * MSG_MORE holds for its own call alone. An acknowledgement that comes between two of them has TCP send what is not a
 * whole packet yet, for TCP_NODELAY is set: of a large body every other packet had a few bytes.
 */
static void cork(const struct pr_connection *connection, struct pr_transmission *transmission, int on) {
    if (on == transmission->corked || pr_is_unix(&connection->peer)) return;
    transmission->corked = on;
    pr_sys.setsockopt(connection->fd, IPPROTO_TCP, TCP_CORK, &on, sizeof on); /* should that fail, it is slower */
}

/* With zerocopy the connection is given back only when the error queue has told of all: libuv would spin on it. */
static int pushed_all(struct pr_connection *connection, struct pr_transmission *transmission) {
    cork(connection, transmission, 0);
    if (transmission->engine != PR_ENGINE_ZEROCOPY) return PR_PUSHED_ALL;
    pr_file_window_close(&transmission->window); /* the kernel has pinned what it still sends */
    pr_zerocopy_drain(connection);
    pr_connection_lock(connection);
    bool all = pr_zerocopy_done(connection, transmission) == transmission->reference.total;
    pr_connection_unlock(connection);
    return all ? PR_PUSHED_ALL : PR_PUSHED_FULL;
}

static int push_allowed(struct pr_connection *connection, struct pr_transmission *transmission, uint64_t budget) {
    if (transmission->reference.total >= CORK_FROM && transmission->reference.sent == 0)
        cork(connection, transmission, 1);
    int head = is_small_copy(transmission) ? push_small_copy(connection, transmission) : PR_PUSHED_ALL;
    if (head == PR_PUSHED_ALL) head = push_head(connection, transmission);
    if (head != PR_PUSHED_ALL) return head;
    while (transmission->segment < transmission->reference.segment_count) {
        if (budget == 0) return PR_PUSHED_BUDGET;
        struct pr_chunk chunk = next_chunk(transmission, budget);
        ssize_t sent = send_chunk(connection, transmission, &chunk);
        if (sent == -EAGAIN) return PR_PUSHED_FULL;
        if (sent == 0) return -ENODATA;
        if (sent < 0) return (int)sent;
        advance(connection, transmission, (uint64_t)sent, chunk.copied);
        budget -= (uint64_t)sent < budget ? (uint64_t)sent : budget;
    }
    return pushed_all(connection, transmission);
}

/* What waits in the socket for more to fill a packet would wait as long as what is to come. */
static void flush(struct pr_connection *connection, struct pr_transmission *transmission) {
    int off = 0;
    transmission->corked = false;
    if (transmission->reference.sent == 0 || connection->pace.is_flushed || pr_is_unix(&connection->peer)) return;
    connection->pace.is_flushed = true;
    pr_sys.setsockopt(connection->fd, IPPROTO_TCP, TCP_CORK, &off, sizeof off); /* should that fail, it is later */
}

int pr_push(struct pr_connection *connection, struct pr_transmission *transmission, uint64_t budget) {
    uint64_t allowed = pr_pace_allow(connection, budget), before = transmission->reference.sent;
    pr_assert(budget > 0);
    if (allowed == 0) {
        flush(connection, transmission);
        return PR_PUSHED_PACED;
    }
    int result = push_allowed(connection, transmission, allowed);
    pr_pace_charge(connection, transmission->reference.sent - before, result >= 0 && result != PR_PUSHED_FULL);
    return result;
}

void pr_give_pipe_back(struct pr_transmission *transmission) {
    if (transmission->pipe) pr_pipe_give(transmission->pipe);
    transmission->pipe = NULL;
}

void pr_accepted(struct pr_connection *connection) {
    struct pr_transmission *transmission = connection->current;
    uint64_t now = connection->progress_at;
    pr_assert(transmission->reference.sent == transmission->reference.total);
    connection->current = NULL;
    /* Node may have closed it during this last send; inline it was Node's all the time. */
    if (connection->responder)
        connection->relay->wire->answering->answered(connection, transmission, PR_OUTCOME_COMPLETE, 0);
    else if (connection->phase != PR_PHASE_NODE)
        pr_move(connection, connection->phase == PR_PHASE_LEAVING ? PR_PHASE_CLOSED : PR_PHASE_NODE);
    pr_count_outcome(transmission, PR_OUTCOME_COMPLETE, now);
    pr_reference_state(&transmission->reference, PR_ACCEPTED);
    pr_give_pipe_back(transmission);
    bool done = transmission->engine == PR_ENGINE_ZEROCOPY || !pr_holds_until_done(transmission);
    if (done) pr_hold_drop(transmission, now);
}

/* Beginning. */

static int may_begin(const struct pr_connection *connection, const struct pr_transmission *transmission) {
    if (!transmission) return -EBADF;
    if (transmission->reference.state != PR_HELD || transmission->engine == PR_ENGINE_STREAM) return -EINVAL;
    bool is_nodes = connection->phase == PR_PHASE_NODE || connection->phase == PR_PHASE_BROKEN ||
                    connection->phase == PR_PHASE_RESET;
    if (connection->current || !is_nodes) return -EBUSY;
    bool tells = transmission->engine == PR_ENGINE_ZEROCOPY; /* the error queue does, whoever the peer is */
    if (connection->peer.kind == PR_PEER_UNASKABLE && pr_holds_until_done(transmission) && !tells) return -EXDEV;
    return pr_is_broken(connection) ? -ECONNRESET : 0;
}

/* A local peer that can't be asked any more gets a copy. What it has had of the pages is quarantined (done.c). */
static void copy_to_the_unaskable(const struct pr_connection *connection, struct pr_transmission *transmission) {
    transmission->peer_kind = connection->peer.kind;
    if (!connection->upper_layer || connection->peer.kind != PR_PEER_LOCAL) return;
    transmission->peer_kind = PR_PEER_UNASKABLE;
    if (transmission->engine == PR_ENGINE_ZEROCOPY) return; /* its notices tell, whoever the peer is */
    pr_give_pipe_back(transmission);
    transmission->engine = PR_ENGINE_COPY;
}

void pr_begin(struct pr_connection *connection, struct pr_transmission *transmission, const char *head,
              size_t head_length, uint64_t start, uint64_t now) {
    pr_assert(!connection->current && transmission->reference.state == PR_HELD);
    pr_reference_state(&transmission->reference, PR_SENDING);
    transmission->head = head;
    transmission->head_length = head_length;
    transmission->connection = connection;
    copy_to_the_unaskable(connection, transmission);
    transmission->start = pr_is_unix(&connection->peer) ? connection->accepted : start;
    connection->current = transmission;
    connection->progress_at = now;
    connection->abort = 0; /* an earlier one may have ended before its lane saw that it was to be broken off */
    if (pr_holds_until_done(transmission)) {
        pr_list_append(&connection->undone, &transmission->undone);
        connection->begun_since_look++;
    }
    pr_watch(connection);
}

bool pr_much_is_undone(const struct pr_connection *connection) {
    return connection->begun_since_look >= LOOK_EVERY && !pr_list_empty(&connection->undone);
}

/* Without a lock; the connection is pinned. */
static int send_inline(struct pr_connection *connection, struct pr_transmission *transmission) {
    uint64_t reached = 0;
    if (transmission->engine == PR_ENGINE_ZEROCOPY) return PR_PUSHED_BUDGET; /* its notices are a lane's to read */
    for (size_t index = 0; index < transmission->reference.segment_count && reached < INLINE_BYTES; index++) {
        const struct pr_segment *segment = &transmission->reference.segments[index];
        uint64_t left = INLINE_BYTES - reached, length = segment->length < left ? segment->length : left;
        reached += length;
        if (!segment->literal && !pr_resident(transmission->reference.generation, segment->offset, length))
            return PR_PUSHED_BUDGET; /* the lane may wait for the disk, this thread may not */
    }
    return pr_push(connection, transmission, INLINE_BYTES);
}

/* Before a lane goes on: what is left of the head must outlive the caller's buffer. Mostly nothing is. */
int pr_keep_rest_of_head(struct pr_transmission *transmission) {
    size_t left = transmission->head_length - transmission->head_sent;
    const char *rest = transmission->head + transmission->head_sent;
    char *copy = left > 0 ? pr_allocate(1, left) : NULL;
    if (copy) memcpy(copy, rest, left);
    transmission->head = transmission->kept_head = copy;
    transmission->head_length = copy ? left : 0;
    transmission->head_sent = 0;
    return left > 0 && !copy ? -ENOMEM : 0;
}

/* Under its lane's lock. Returns whether the lane has to be woken. */
static bool hand_over(struct pr_connection *connection) {
    pr_move(connection, PR_PHASE_LANE);
    pr_part_of(connection)->counters.lane_sends++;
    return pr_poller_ready(connection);
}

int pr_send(struct pr_relay *relay, uint64_t connection_id, uint64_t transmission_id, const char *head,
            size_t head_length, uint64_t *sent) {
    bool wake = false;
    if (sent) *sent = 0;
    struct pr_connection *connection = pr_connection_find(relay, connection_id);
    if (!connection) return -EBADF;
    struct pr_transmission *transmission = pr_slots_find(&relay->wire->held, PR_KIND_TRANSMISSION, transmission_id);
    int result = may_begin(connection, transmission);
    /* For its end, should the caller not have taken the last one's yet. */
    if (result == 0) result = pr_events_reserve(relay, 1);
    if (result == 0) pr_pin(connection);
    bool look = pr_much_is_undone(connection);
    pr_connection_unlock_both(connection);
    if (result < 0) return result;

    bool copies = transmission->engine == PR_ENGINE_ZEROCOPY && pr_zerocopy_prepare(connection) < 0;
    if (look) pr_look(connection, &relay->wire->prober);
    uint64_t start = pr_holds_until_done(transmission) ? pr_position(connection->fd) + head_length : 0;
    pr_connection_lock_both(connection);
    if (copies) transmission->engine = PR_ENGINE_COPY;
    pr_hold_move(transmission, pr_part_of(connection));
    pr_begin(connection, transmission, head, head_length, start, pr_now());
    pr_begin_turn(connection);
    pr_connection_unlock_both(connection);
    result = send_inline(connection, transmission);
    int kept = pr_keep_rest_of_head(transmission);
    if (result >= 0 && kept < 0) result = kept;
    if (sent) *sent = transmission->reference.sent; /* this thread is the owner: nobody else moves it */
    if (result < 0) pr_break_off(connection, result);

    struct pr_poller *lane = connection->poller;
    pr_lock_part(lane->part);
    if (result == PR_PUSHED_ALL) {
        lane->part->counters.inline_sends++;
        pr_accepted(connection);
    } else if (result >= 0) {
        wake = hand_over(connection);
    }
    pr_end_turn(connection);
    pr_unpin(connection);
    pr_connection_settle(connection);
    pr_unlock_part(lane->part);
    if (wake) pr_poller_wake(lane);
    return result < 0 ? result : result == PR_PUSHED_ALL;
}

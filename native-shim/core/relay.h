/*
 * The core: generations, references to their pages, connections, transmissions, and the lanes that carry them.
 *
 * One relay belongs to one thread (in Node: one environment). That thread makes every call below; the lanes work
 * beside it and report by events. Results are 0 or a count, or -errno: expected failures are values.
 * Nothing here knows HTTP or Node.
 */
#ifndef PR_RELAY_H
#define PR_RELAY_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "http/repeat.h"
#include "pages/backing.h"
#include "pages/nodes.h"
#include "wire/peer.h"

enum pr_engine {
    PR_ENGINE_SENDFILE,
    PR_ENGINE_SPLICE,
    PR_ENGINE_COPY,
    PR_ENGINE_STREAM,
    PR_ENGINE_ZEROCOPY,
    PR_ENGINE_COUNT
};

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

/*
 * Upper bounds of the histograms of times, in seconds; one more bucket has no bound. A body that is sent at once is
 * accepted in 10 to 100 µs, one of 1 MiB by a lane in 0.2 to 2 ms; it is seen to be done with the connection's next
 * request, in 1 to 50 ms under load, or when the lane looks, after 250 ms. Readers for whom pages wait are broken off
 * after 30 s and those that do not read after 300 s, unless the user says otherwise (docs/metrics.md).
 */
#define PR_HOLD_BOUNDS                                                                                                 \
    { 0.00002, 0.0001, 0.0005, 0.002, 0.01, 0.05, 0.25, 1, 5, 30, 120, 300 }
enum { PR_HOLD_BUCKETS = 13 };

struct pr_options {
    unsigned lanes;
    double max_hold_seconds;
    unsigned max_broken_off;       /* descriptors of broken-off local connections that stay under watch */
    int peer_override;             /* tests: a pr_peer_kind that every peer is taken for, or -1 */
    unsigned log_answers;          /* so many answers of lanes are kept until pr_answers takes them; 0: none is */
    bool release_when_accepted;    /* tests: a done rule that is wrong, to show that the tests would see it */
    void (*notify)(void *context); /* any thread: events became readable */
    void *context;
};

struct pr_relay;

int pr_relay_create(const struct pr_options *options, struct pr_relay **relay);

/* Joins the lanes, closes everything. What is still in the peers' queues stays there. */
void pr_relay_destroy(struct pr_relay *relay);

/* Trees and generations. */

struct pr_generation_info {
    struct pr_backing_info backing;
    struct pr_nodes nodes; /* where its pages are, as far as they are there; `backing.node` is where most are */
    uint64_t device, inode, size, links;
    int64_t modified_seconds, modified_nanoseconds; /* mtime: of the bytes; anybody can set it */
    int64_t changed_seconds, changed_nanoseconds;   /* ctime: of anything about the inode; nobody can set it */
};

int pr_tree_open(struct pr_relay *relay, const char *path, uint64_t *tree);
int pr_tree_close(struct pr_relay *relay, uint64_t tree);

/* The tree's own descriptor (O_PATH), open until pr_tree_close or the relay's end; or -EBADF. */
int pr_tree_descriptor(struct pr_relay *relay, uint64_t tree);

/* A folder inside the tree, for calls relative to it: a descriptor (O_PATH) that the caller closes, or -errno. */
int pr_tree_folder(struct pr_relay *relay, uint64_t tree, const char *path);

/* A regular file inside the tree, to be written in place: a descriptor that the caller closes, or -errno. */
int pr_tree_file(struct pr_relay *relay, uint64_t tree, const char *path);

/*
 * Locks one byte of a file inside the tree against other relays, of this process or another (fcntl(2), open file
 * description locks: unlike flock's, a lock that can't be had more strongly stays as it was). Never waits: -EAGAIN.
 */
enum pr_lock_mode { PR_UNLOCKED, PR_SHARED, PR_EXCLUSIVE };
int pr_tree_lock(struct pr_relay *relay, uint64_t tree, const char *path, unsigned byte, enum pr_lock_mode mode);

/* What `path` names now, without opening it; `backing.backing` is not filled in. `tree` 0: any path of the process. */
int pr_generation_stat(struct pr_relay *relay, uint64_t tree, const char *path, struct pr_generation_info *info);

/*
 * Whether `path` still names this generation: one inode on one device, unchanged in size, mtime and ctime, but for what
 * is changed under a lease right now. 1, 0, or -errno as above.
 */
int pr_generation_is_at(struct pr_relay *relay, uint64_t generation, uint64_t tree, const char *path);

/*
 * Opens the file, of which at most `limit` bytes are served; inside a tree no link may lead out of it. -EINVAL when it
 * is nothing that has pages, -ENOMEM where it has to be mapped and the address space has no room.
 */
int pr_generation_open(struct pr_relay *relay, uint64_t tree, const char *path, uint64_t limit, uint64_t *generation,
                       struct pr_generation_info *info);

/*
 * How far the file was changed in place before it was opened. Where the relay knows that already, from another opening
 * or a change of its own, it stays, and is filled in.
 */
int pr_generation_set_version(struct pr_relay *relay, uint64_t generation, uint64_t *epoch, uint64_t *version);

/* Whether its content is still at this epoch and version, and nobody may be changing bytes of it: 1, 0. */
int pr_generation_is_settled(struct pr_relay *relay, uint64_t generation, uint64_t epoch, uint64_t version);

/* No new references; its descriptor, and its mapping, go when the last reference does. */
int pr_generation_close(struct pr_relay *relay, uint64_t generation);

/*
 * The same, for a file that has lost its name: an event tells when no reference to any page of it is left, and its
 * descriptors are closed.
 */
int pr_generation_retire(struct pr_relay *relay, uint64_t generation);

/*
 * What a witness has seen: these engines (by bit) copy from this generation, so that its pages are free when the socket
 * has taken the bytes. All others are held as if they did not, but for copy and stream.
 */
int pr_generation_set_copying(struct pr_relay *relay, uint64_t generation, unsigned engines);

/* For the portable engine, which reads through it: valid while the caller has a reference. */
int pr_generation_descriptor(struct pr_relay *relay, uint64_t generation);

/*
 * For the portable engine, of what can only be mapped (devdax): where bytes of the mapping are, at most `*length`,
 * which becomes 0 at its end; valid while the caller has a reference. They are read by pr_copy_mapped, which answers
 * -EFAULT where a load would be SIGBUS. Any thread.
 */
const char *pr_generation_at(struct pr_relay *relay, uint64_t generation, uint64_t offset, size_t *length);
int pr_copy_mapped(const char *from, void *into, size_t length);

/* References. */

/* A piece of a body: bytes of the generation (an extent), or literal bytes between them. */
struct pr_segment {
    const char *literal; /* NULL for an extent */
    uint64_t offset, length;
};

/*
 * Takes one reference on the pages of all extents, for one transmission; literals are copied. -ESTALE when the
 * generation is no longer at the epoch and version that the caller judged, or is closed, or its file has changed;
 * -ERANGE when an extent lies outside of it; -EAGAIN when a writer has pages of it, or waits for them.
 *
 * `place` (0 for none) is a granted place in the queue: it ends with the call, but for -ESTALE and -EAGAIN.
 */
int pr_hold(struct pr_relay *relay, uint64_t generation, uint64_t epoch, uint64_t version, enum pr_engine engine,
            uint64_t place, const struct pr_segment *segments, size_t count, uint64_t *transmission);

/* For the portable engine: so many more bytes were copied out of the pages. */
int pr_advance(struct pr_relay *relay, uint64_t transmission, uint64_t bytes);

/* Ends a transmission that no connection carries. */
int pr_release(struct pr_relay *relay, uint64_t transmission, enum pr_outcome outcome);

enum pr_reference_state { PR_REFERENCE_UNSENT, PR_REFERENCE_SENT, PR_REFERENCE_QUARANTINED };

struct pr_reference_info {
    uint64_t id, generation, first, last, bytes;
    enum pr_reference_state state;
    enum pr_engine engine;
    char peer[64]; /* empty before a connection has it */
    enum pr_peer_kind peer_kind;
    double age_seconds;
};

struct pr_page {
    size_t count;
    uint64_t next; /* an id, behind which there is more; 0 at the end */
};

/*
 * The references of one generation (0: of all) whose ids are above `after`, in the order of their ids: of the first
 * `capacity` (1 or more) those that are left after a look at their connections. 0 or -ENOMEM.
 */
int pr_references(struct pr_relay *relay, uint64_t generation, uint64_t after, struct pr_reference_info *into,
                  size_t capacity, struct pr_page *page);

/*
 * Leases.
 *
 * Whoever wants pages that somebody else has waits in one queue for each file, in the order of asking: a claim is
 * granted when nothing that it can't be shared with is held, or was asked for earlier. So readers can't keep a writer
 * out by coming again and again, nor writers a reader.
 */

/* What a writer has to wait for. */
enum pr_needs {
    PR_NEEDS_DONE,     /* references to its pages, until they are done: it changes the pages themselves */
    PR_NEEDS_ACCEPTED, /* until the socket has the bytes: it writes to fresh pages */
    PR_NEEDS_NOTHING,  /* no reference, only other writers: it changes no byte that is held */
};

/*
 * Asks for a lease on whole pages that cover `length` bytes from `offset`, up to UINT64_MAX for no end. 1: it is
 * granted; 0: an event will tell (never when `wait` is false: then -EAGAIN); -EBUSY: pages are quarantined, so that
 * nobody can say when they can be had; -EUSERS: too many writers of this file wait already.
 */
int pr_lease(struct pr_relay *relay, uint64_t generation, uint64_t offset, uint64_t length, enum pr_needs needs,
             bool wait, uint64_t *lease);

/*
 * Bytes are about to change, or may have changed without notice: the version moves, in this epoch. Fills in the new
 * one. -EBADF for a lease that isn't granted.
 */
int pr_lease_begin(struct pr_relay *relay, uint64_t lease, uint64_t epoch, uint64_t *version);

/* The file's size or time is about to change, but no byte that is served: the version stays. */
int pr_lease_touch(struct pr_relay *relay, uint64_t lease);

/*
 * Ends a lease, or the waiting for one. Where bytes could change under it, what `generation` (may be 0) knows of its
 * file's time is brought up to date first; `info` (may be NULL) tells.
 */
int pr_lease_end(struct pr_relay *relay, uint64_t lease, uint64_t generation, struct pr_generation_info *info);

/* A reader's place in the queue, for pr_hold; results as of pr_lease. */
int pr_place(struct pr_relay *relay, uint64_t generation, const struct pr_segment *segments, size_t count,
             uint64_t *place);
int pr_place_end(struct pr_relay *relay, uint64_t place);

/*
 * For the writers that wait: looks at what is in their way, and breaks off what a writer has waited for since
 * `break_seconds`. Returns how many of those that it looked at are in the way: it looks at so many in one go.
 */
int pr_press(struct pr_relay *relay, double break_seconds);

/* Connections. */

/*
 * Has the lanes accept the connections of a listening socket: they answer those that begin with a request that an open
 * pattern is for, and an event tells of all others. Duplicates the descriptor. -EINVAL when it does not listen for TCP,
 * -EXDEV where lanes sit on several NUMA nodes: which one a connection belongs to is known with its first request.
 */
int pr_door_open(struct pr_relay *relay, int fd, uint64_t *door);

/* Closes that duplicate: when it is the last descriptor, nobody can connect any more. */
int pr_door_close(struct pr_relay *relay, uint64_t door);

/*
 * A connection that has arrived is Node's from now on; what the lane has read of it is asked for before (pr_unread).
 * Returns a descriptor that the caller closes, or -errno, and it is closed. Where descriptors are short that is the
 * relay's own, which has `forgotten` the connection: it can be adopted like any other.
 */
int pr_connection_take(struct pr_relay *relay, uint64_t connection, enum pr_peer_kind *kind, bool *forgotten);

/* Duplicates the descriptor, finds out who the peer is, gives it a lane (on `node`, where one is). */
int pr_connection_adopt(struct pr_relay *relay, int fd, bool unaskable, int node, uint64_t *connection,
                        enum pr_peer_kind *kind);

/* For the portable engine: the transmission will be read, not sent, whatever engine it was held for. */
int pr_change_to_stream(struct pr_relay *relay, uint64_t transmission);

/*
 * Sends a held transmission: the head (copied, counted nowhere), then the body. 1 when the socket has taken all of it;
 * 0 when a lane goes on, and an event will tell; -errno when it was broken off at once, after `sent` bytes of the body
 * (may be NULL), or could not be sent on this connection at all: then the caller still has it, and releases it.
 */
int pr_send(struct pr_relay *relay, uint64_t connection, uint64_t transmission, const char *head, size_t head_length,
            uint64_t *sent);

/*
 * May a FIN go out now? 1, or 0: an event will tell. Not in mid-body; and not while bytes to a local peer are undone:
 * one that has sent its own FIN vanishes from the kernel's tables with ours, while its process can still read the pages
 * in its queue.
 */
int pr_connection_finish(struct pr_relay *relay, uint64_t connection);

/* Breaks off a connection that Node owns: no more bytes, and the peer can tell. */
int pr_connection_break(struct pr_relay *relay, uint64_t connection);

/* Node has closed its descriptor. Ours closes when nothing of the connection is undone. */
int pr_connection_close(struct pr_relay *relay, uint64_t connection);

/*
 * Express: requests that a lane answers by itself.
 *
 * A connection that Node owns, and whose last response is out, can be granted to its lane together with the request
 * that was judged last. From then on the lane answers requests that are the same but for the value of Range, and gives
 * the connection back, with all else, as soon as one is not, or the grant is over.
 */
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

/* Why a connection came back. */
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

/*
 * Grants; the grant and its strings are copied. The caller has stopped reading the socket, and every byte that it has
 * read of it was a request that is answered. Fills in the number (may be NULL) of the pattern that the lanes answer by:
 * an event tells when they do so no more. -EBUSY when the connection is not Node's, -ENOMEM, or what epoll_ctl says:
 * then it is as before.
 */
int pr_grant(struct pr_relay *relay, uint64_t connection, const struct pr_grant *grant, uint64_t *pattern);

/*
 * What a lane has read of a connection that came back, and not answered: to be read before the socket is. Returns how
 * much that is; it is taken when it fits.
 */
size_t pr_unread(struct pr_relay *relay, uint64_t connection, void *into, size_t capacity);

/* All connections come back, each after the response that it is in, and no pattern is open any more. */
void pr_grants_end(struct pr_relay *relay);

/* An answer of a lane, for the log. */
struct pr_answer {
    uint64_t connection, pattern;
    uint64_t offset, length, sent; /* in the region, of the body */
    enum pr_engine engine;
    enum pr_outcome outcome;
    int error;
    uint64_t took, ago; /* ns: from the request to its end, and since that */
    struct pr_peer peer;
};

/* The answers that were not taken yet, at most `capacity`, the oldest first. */
size_t pr_answers(struct pr_relay *relay, struct pr_answer *into, size_t capacity);

/* Events. */

enum pr_event_kind {
    PR_EVENT_ACCEPTED,  /* a lane has given the socket the last byte; the connection is Node's again */
    PR_EVENT_BROKEN,    /* a lane broke the transmission off; `error` says why */
    PR_EVENT_DRAINED,   /* the FIN that was asked for may go out */
    PR_EVENT_STALLED,   /* a connection that Node owns has held pages for too long: break it */
    PR_EVENT_GRANTED,   /* a claim was granted, or with `error` EBUSY refused and gone */
    PR_EVENT_UNWANTED,  /* a transmission that no connection carries holds a writer up for too long: release it */
    PR_EVENT_GONE,      /* nothing refers to a retired generation's file any more */
    PR_EVENT_RETURNED,  /* a granted connection is Node's again, after so many answers (`bytes`); `error`: broken off */
    PR_EVENT_ANSWERS,   /* half of the room for answers is used */
    PR_EVENT_FORGOTTEN, /* nothing is answered by a pattern any more */
    PR_EVENT_ARRIVED,   /* as RETURNED, of a connection that a lane has accepted, and Node does not know yet: take it */
};

struct pr_event {
    enum pr_event_kind kind : 8;
    enum pr_outcome outcome : 8;
    int16_t error;
    uint64_t bytes; /* of the body, that the socket took (ACCEPTED, BROKEN) */
    uint64_t id;    /* of the transmission (ACCEPTED, BROKEN, UNWANTED), connection, claim, generation or pattern */
};

size_t pr_events(struct pr_relay *relay, struct pr_event *into, size_t capacity);

/*
 * Runs network work on every CPU of the process. When the reader ran on another CPU than the sender, buffers that it
 * has read stay parked on the sender's, with their pages, until that CPU handles a packet again. Nobody can see those
 * bytes, but a call that waits for page references (truncate, punch, the last close on fsdax) can hang on them.
 * Blocks for some 50 µs a CPU. Returns how many CPUs were reached.
 */
int pr_nudge(void);

/*
 * Nudges again and again, on a thread of its own, while a call may wait for page references: buffers can be parked at
 * any time meanwhile, so once is not enough.
 */
struct pr_nudging {
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t told;
    bool running, over;
};

void pr_nudging_begin(struct pr_nudging *nudging);
void pr_nudging_end(struct pr_nudging *nudging);

/* What happened so far. */

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
    uint64_t grants, granted;         /* given so far, connections that have one now */
    uint64_t patterns, open_patterns; /* that are in use; of these, that any connection may be answered by */
    uint64_t answers_whole, answers_ranged;
    uint64_t whole_by_engine[PR_ENGINE_COUNT], ranged_by_engine[PR_ENGINE_COUNT];
    uint64_t returns[PR_RETURN_COUNT];
    size_t allocated_bytes;
};

void pr_counters(struct pr_relay *relay, struct pr_counters *into);

struct pr_lane_info {
    unsigned connections;
    int node;
    double cpu_seconds; /* of its thread */
};

/* The lanes, at most `capacity`; returns how many there are. */
size_t pr_lanes(struct pr_relay *relay, struct pr_lane_info *into, size_t capacity);

enum pr_outcome pr_outcome_of(int error);

#endif

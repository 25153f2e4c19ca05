/*
 * A lane: one thread with its own epoll that carries transmissions to slow readers, looks at what is undone, and
 * breaks off what makes no progress.
 */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/sys.h"
#include "http/express.h"
#include "http/window.h"
#include "state.h"
#include "wire/zerocopy.h"

/* What one connection may send before the next has its turn (docs/performance.md). */
enum { TURN_BYTES = 256 << 10 };

/* What an answer costs at least: one byte takes as long as 4 KiB, and a client can ask for many at once. */
enum { LEAST_BYTES = 4 << 10 };

/* The longest sleep of a lane that has connections: the coarse timer of the done rule. */
#define TICK 250000000u /* ns */

enum { EVENTS_AT_ONCE = 64, LOOKS_AT_ONCE = 64 };

bool pr_is_with_lane(const struct pr_connection *connection) {
    return connection->owner == PR_OWNER_LANE && (connection->current || connection->express);
}

bool pr_lane_ready(struct pr_connection *connection) {
    struct pr_lane *lane = connection->lane;
    if (pr_list_empty(&connection->ready)) pr_list_append(&lane->ready, &connection->ready);
    return lane->asleep;
}

void pr_lane_wake(struct pr_lane *lane) {
    uint64_t one = 1;
    ssize_t written = write(lane->wake, &one, sizeof one);
    (void)written; /* it counts to 2^64 before it is full */
}

/* One turn of one connection. */

static int register_with_epoll(struct pr_connection *connection) {
    if (connection->in_epoll) return 0;
    /* Edge-triggered: an idle connection of Node's costs nothing. Errors and hang-ups come unasked. */
    struct epoll_event event = {.events = EPOLLOUT | EPOLLET, .data.u64 = connection->id};
    if (pr_sys.epoll_ctl(connection->lane->epoll, EPOLL_CTL_ADD, connection->fd, &event) < 0) return -errno;
    connection->in_epoll = true;
    return 0;
}

static void accepted(struct pr_connection *connection) {
    struct pr_relay *relay = connection->relay;
    pr_lock(relay);
    const struct pr_transmission *transmission = connection->current;
    struct pr_event event = {.kind = PR_EVENT_ACCEPTED, .bytes = transmission->sent, .id = transmission->id};
    connection->lane->now = connection->progress_at;
    pr_accepted(connection);
    if (!connection->express) pr_event_add(relay, event);
    pr_tell_if_drained(connection);
    pr_unlock(relay);
}

/* Node closes a connection also because its client has reset it: then it is the client who went away. */
static int why_aborted(const struct pr_connection *connection) {
    struct tcp_info info = {0};
    socklen_t length = sizeof info;
    getsockopt(connection->fd, IPPROTO_TCP, TCP_INFO, &info, &length);
    return info.tcpi_state == TCP_CLOSE ? -ECONNRESET : connection->abort;
}

/* Sends on, and takes what was sent off the budget. */
static int carry(struct pr_connection *connection, uint64_t *budget) {
    struct pr_transmission *transmission = connection->current;
    uint64_t before = transmission->sent;
    int result = register_with_epoll(connection);
    if (result == 0 && connection->ledger) pr_zerocopy_drain(connection);
    if (result == 0) result = pr_push(connection, transmission, *budget);
    bool lent = transmission->head == connection->lane->head;
    int kept = lent ? pr_keep_rest_of_head(transmission) : 0;
    uint64_t sent = transmission->sent - before, cost = sent > LEAST_BYTES ? sent : LEAST_BYTES;
    *budget -= cost < *budget ? cost : *budget;
    return result >= 0 && kept < 0 ? kept : result;
}

static void turn_again(struct pr_connection *connection) {
    pr_lock(connection->relay);
    pr_lane_ready(connection);
    pr_unlock(connection->relay);
}

/*
 * Sends until the socket or the budget is spent: PR_PUSHED_FULL, PR_PUSHED_BUDGET. PR_PUSHED_ALL: nothing is left to
 * send, and the connection may be Node's again.
 */
static int send_in_turn(struct pr_connection *connection) {
    for (uint64_t budget = TURN_BYTES;;) {
        if (!connection->current && budget == 0) return PR_PUSHED_BUDGET;
        if (!connection->current && !pr_express_next(connection)) return PR_PUSHED_ALL;
        bool granted = connection->express != NULL;
        int result = carry(connection, &budget);
        if (result != PR_PUSHED_ALL) return result;
        accepted(connection);
        if (!granted) return PR_PUSHED_ALL;
    }
}

static void turn(struct pr_connection *connection) {
    pr_window_clear(connection->lane);
    connection->lane->now = pr_now();
    int result = connection->abort ? why_aborted(connection) : send_in_turn(connection);
    if (result == PR_PUSHED_ALL) return;
    if (result >= 0 && !pr_window_keep(connection)) result = -ENOMEM;
    if (result < 0) {
        pr_window_clear(connection->lane); /* what it still asked for is nobody else's */
        pr_break_off(connection, result);
    } else if (result == PR_PUSHED_BUDGET) { /* of PR_PUSHED_FULL epoll will tell */
        turn_again(connection);
    }
}

/*
 * The next that has something to send, pinned; the one before is unpinned under the same lock. An epoll event may have
 * put others in the list: Node owns those.
 */
static struct pr_connection *take_ready(struct pr_lane *lane, struct pr_connection *before) {
    struct pr_connection *taken = NULL;
    pr_lock(lane->relay);
    if (before) before->pins--;
    if (before) pr_connection_settle(before);
    while (!taken && !pr_list_empty(&lane->ready)) {
        struct pr_connection *connection = pr_container(lane->ready.next, struct pr_connection, ready);
        pr_list_remove(&connection->ready);
        if (!pr_is_with_lane(connection)) continue;
        connection->pins++;
        taken = connection;
    }
    pr_unlock(lane->relay);
    return taken;
}

/* One turn for each that is ready now; those that become ready meanwhile wait for the next round. */
static void take_turns(struct pr_lane *lane) {
    size_t waiting = 0;
    pr_lock(lane->relay);
    pr_list_each(node, &lane->ready) waiting++;
    pr_unlock(lane->relay);
    struct pr_connection *connection = NULL;
    for (; waiting > 0; waiting--) {
        connection = take_ready(lane, connection);
        if (!connection) return;
        turn(connection);
    }
    if (connection) pr_connection_unpin(connection);
}

/* The clock: what is due to be looked at, and what has stalled. */

static bool in_flight(const struct pr_connection *connection) {
    return connection->current || !pr_list_empty(&connection->undone);
}

static bool stalled(const struct pr_connection *connection, uint64_t now) {
    return in_flight(connection) && !connection->broken && now > connection->progress_at + connection->relay->max_hold;
}

/* Under the lock. What Node owns is Node's to break: it is told, once. */
static bool lane_breaks(struct pr_connection *connection, uint64_t now) {
    if (!stalled(connection, now)) return false;
    if (connection->owner == PR_OWNER_LANE) return true;
    if (!connection->stall_reported) {
        connection->stall_reported = true;
        pr_event_add(connection->relay, (struct pr_event){.kind = PR_EVENT_STALLED, .id = connection->id});
    }
    return false;
}

/* Pins the connections that are due, and sets the time of the next look. */
static size_t take_due(struct pr_lane *lane, struct pr_connection **into, uint64_t now) {
    size_t count = 0;
    pr_lock(lane->relay);
    lane->next_look = lane->stalled_at = UINT64_MAX;
    pr_list_each(node, &lane->watch) {
        struct pr_connection *connection = pr_container(node, struct pr_connection, watch);
        if (in_flight(connection) && connection->progress_at < lane->stalled_at)
            lane->stalled_at = connection->progress_at;
        if (connection->look_at <= now && count < LOOKS_AT_ONCE) {
            pr_look_later(connection);
            connection->pins++;
            into[count++] = connection;
        }
        if (connection->look_at < lane->next_look) lane->next_look = connection->look_at;
    }
    pr_unlock(lane->relay);
    return count;
}

static void look_and_break(struct pr_connection *connection, struct pr_prober *prober, uint64_t now) {
    pr_look(connection, prober);
    pr_lock(connection->relay);
    bool breaks = lane_breaks(connection, now);
    pr_unlock(connection->relay);
    if (breaks) pr_break_off(connection, -ETIMEDOUT);
}

static void look_at_due(struct pr_lane *lane) {
    struct pr_connection *connections[LOOKS_AT_ONCE];
    uint64_t now = pr_now();
    pr_lock(lane->relay);
    bool nothing_due = lane->next_look > now;
    pr_unlock(lane->relay);
    if (nothing_due) return;
    size_t count = take_due(lane, connections, now);
    for (size_t index = 0; index < count; index++) {
        look_and_break(connections[index], &lane->prober, now);
        pr_connection_unpin(connections[index]);
    }
}

/* The thread. */

/* Under the lock. */
static void heard(struct pr_lane *lane, const struct epoll_event *event) {
    struct pr_relay *relay = lane->relay;
    struct pr_connection *connection = pr_slots_find(&relay->slots, PR_KIND_CONNECTION, event->data.u64);
    if (connection && pr_is_with_lane(connection)) {
        bool ended = (event->events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0;
        if (connection->express && ended) connection->express->ended = true;
        pr_lane_ready(connection);
    } else if (connection && (event->events & (EPOLLERR | EPOLLHUP))) {
        connection->look_at = lane->next_look = pr_now(); /* a reset can end what is undone */
    } else if (pr_slots_find(&relay->slots, PR_KIND_DOOR, event->data.u64)) {
        lane->accept_at = 0;
    }
}

static void hear(struct pr_lane *lane, const struct epoll_event *events, int count) {
    pr_lock(lane->relay);
    for (int index = 0; index < count; index++)
        if (events[index].data.u64 != 0) heard(lane, &events[index]);
    pr_unlock(lane->relay);
}

/* Milliseconds, or -1 for no limit. Tells the others that a wake-up is needed from here on. */
static int fall_asleep(struct pr_lane *lane) {
    pr_lock(lane->relay);
    uint64_t now = pr_now(), until = lane->connections > 0 ? now + TICK : UINT64_MAX;
    if (lane->next_look < until) until = lane->next_look;
    if (lane->accept_at < until) until = lane->accept_at;
    lane->asleep = pr_list_empty(&lane->ready);
    int timeout = !lane->asleep         ? 0
                  : until == UINT64_MAX ? -1
                  : until <= now        ? 0
                                        : (int)((until - now + 999999) / 1000000);
    pr_unlock(lane->relay);
    return timeout;
}

static bool wake_up(struct pr_lane *lane) {
    pr_lock(lane->relay);
    lane->asleep = false;
    bool stop = lane->stop;
    pr_unlock(lane->relay);
    return !stop;
}

static void *run(void *argument) {
    struct pr_lane *lane = argument;
    struct epoll_event events[EVENTS_AT_ONCE];
    do {
        int count = epoll_wait(lane->epoll, events, EVENTS_AT_ONCE, fall_asleep(lane));
        hear(lane, events, count);
        lane->checked = 0;
        pr_doors_answer(lane);
        look_at_due(lane);
        pr_express_expire(lane);
        take_turns(lane);
    } while (wake_up(lane));
    return NULL;
}

/* Starting and stopping. */

/* "0-3,8": the CPUs of a node; an empty set where it has none or can't be read. */
static void cpus_of_node(int node, cpu_set_t *cpus) {
    char path[64];
    unsigned first, last;
    CPU_ZERO(cpus);
    snprintf(path, sizeof path, "/sys/devices/system/node/node%d/cpulist", node);
    FILE *file = fopen(path, "re");
    if (!file) return;
    while (fscanf(file, "%u", &first) == 1) {
        last = first;
        if (fscanf(file, "-%u", &last) < 0) last = first;
        for (unsigned cpu = first; cpu <= last && cpu < CPU_SETSIZE; cpu++) CPU_SET(cpu, cpus);
        if (fgetc(file) != ',') break;
    }
    fclose(file);
}

/* Nodes with CPUs, in order; at least one. */
static unsigned nodes_with_cpus(int *nodes, unsigned capacity) {
    unsigned count = 0;
    for (int node = 0; node < 64 && count < capacity; node++) {
        cpu_set_t cpus;
        cpus_of_node(node, &cpus);
        if (CPU_COUNT(&cpus) > 0) nodes[count++] = node;
    }
    if (count == 0) nodes[count++] = 0;
    return count;
}

static int start_lane(struct pr_lane *lane, bool bind_to_node) {
    int result = pr_prober_open(&lane->prober);
    if (result == 0) result = pr_express_open(lane);
    if (result < 0) return result;
    lane->epoll = epoll_create1(EPOLL_CLOEXEC);
    lane->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (lane->epoll < 0 || lane->wake < 0) return -errno;
    /* Each write is an edge, so nobody has to read it. */
    struct epoll_event event = {.events = EPOLLIN | EPOLLET, .data.u64 = 0};
    if (pr_sys.epoll_ctl(lane->epoll, EPOLL_CTL_ADD, lane->wake, &event) < 0) return -errno;

    /* Signals are the main thread's; a write to a closed socket must not end the process from here either. */
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    result = -pthread_create(&lane->thread, NULL, run, lane);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (result < 0) return result;
    lane->started = true;
    pthread_setname_np(lane->thread, "pagerelay-lane");
    cpu_set_t cpus;
    cpus_of_node(lane->node, &cpus);
    if (bind_to_node && CPU_COUNT(&cpus) > 0) pthread_setaffinity_np(lane->thread, sizeof cpus, &cpus);
    return 0;
}

int pr_lanes_start(struct pr_relay *relay) {
    int nodes[64];
    unsigned node_count = nodes_with_cpus(nodes, 64), count = relay->options.lanes;
    relay->lanes = pr_allocate(count, sizeof *relay->lanes);
    if (!relay->lanes) return -ENOMEM;
    relay->lane_count = count;
    for (unsigned index = 0; index < count; index++) {
        struct pr_lane *lane = &relay->lanes[index];
        *lane = (struct pr_lane){.relay = relay, .epoll = -1, .wake = -1, .prober = {.diag = -1, .route = -1}};
        lane->node = nodes[index % node_count];
        lane->next_look = lane->stalled_at = lane->accept_at = UINT64_MAX;
        pr_list_init(&lane->ready);
        pr_list_init(&lane->watch);
        pr_list_init(&lane->granted);
    }
    int result = 0;
    for (unsigned index = 0; index < count && result == 0; index++)
        result = start_lane(&relay->lanes[index], node_count > 1);
    return result;
}

void pr_lanes_stop(struct pr_relay *relay) {
    pr_lock(relay);
    for (unsigned index = 0; index < relay->lane_count; index++) relay->lanes[index].stop = true;
    pr_unlock(relay);
    for (unsigned index = 0; index < relay->lane_count; index++) {
        struct pr_lane *lane = &relay->lanes[index];
        if (lane->started) {
            pr_lane_wake(lane);
            pthread_join(lane->thread, NULL);
        }
        if (lane->wake >= 0) close(lane->wake);
        if (lane->epoll >= 0) close(lane->epoll);
        lane->epoll = -1;
        pr_prober_close(&lane->prober);
        pr_express_close(lane);
    }
}

struct pr_lane *pr_lane_for(struct pr_relay *relay, int node) {
    struct pr_lane *best = NULL;
    for (unsigned index = 0; index < relay->lane_count; index++) {
        struct pr_lane *lane = &relay->lanes[index];
        bool nearer = best && lane->node == node && best->node != node;
        bool as_near = best && (lane->node == node) == (best->node == node);
        if (!best || nearer || (as_near && lane->connections < best->connections)) best = lane;
    }
    return best;
}

/* Telling. */

double pr_stalled_seconds(const struct pr_relay *relay) {
    uint64_t now = pr_now(), at = now;
    for (unsigned index = 0; index < relay->lane_count; index++)
        if (relay->lanes[index].stalled_at < at) at = relay->lanes[index].stalled_at;
    return (double)(now - at) / 1e9;
}

static double cpu_seconds(const struct pr_lane *lane) {
    clockid_t clock;
    struct timespec used = {0};
    if (lane->started && pthread_getcpuclockid(lane->thread, &clock) == 0) clock_gettime(clock, &used);
    return (double)used.tv_sec + (double)used.tv_nsec / 1e9;
}

size_t pr_lanes(struct pr_relay *relay, struct pr_lane_info *into, size_t capacity) {
    for (unsigned index = 0; index < relay->lane_count && index < capacity; index++) {
        const struct pr_lane *lane = &relay->lanes[index];
        into[index] = (struct pr_lane_info){.node = lane->node, .cpu_seconds = cpu_seconds(lane)};
        pr_lock(relay);
        into[index].connections = lane->connections;
        pr_unlock(relay);
    }
    return relay->lane_count;
}

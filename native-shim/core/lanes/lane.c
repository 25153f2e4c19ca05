#include "lanes/lane.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/sys.h"
#include "lanes/door.h"
#include "lanes/layer.h"
#include "wire/done.h"
#include "wire/keep.h"
#include "wire/zerocopy.h"

/* What one connection may send before the next has its turn (docs/performance.md). */
enum { TURN_BYTES = 256 << 10 };

/* What an answer costs at least: one byte takes as long as 4 KiB, and a client can ask for many at once. */
enum { LEAST_BYTES = 4 << 10 };

/* The longest sleep of a lane that has connections: the coarse timer of the done rule. */
#define TICK 250000000u /* ns */

enum { EVENTS_AT_ONCE = 64, LOOKS_AT_ONCE = 64 };

/* One turn of one connection. */

static void accepted(struct pr_connection *connection) {
    pr_connection_lock(connection);
    const struct pr_transmission *transmission = connection->current;
    struct pr_event event = {.kind = PR_EVENT_ACCEPTED, .bytes = transmission->reference.sent, .id = transmission->id};
    pr_lane_of(connection)->now = connection->progress_at;
    pr_accepted(connection);
    if (!connection->responder) pr_event_add(connection->relay, event);
    pr_tell_if_drained(connection);
    pr_connection_unlock(connection);
}

/* Node closes a connection also because its client has reset it: then it is the client who went away. */
static int why_aborted(const struct pr_connection *connection) {
    struct tcp_info info = {0};
    socklen_t length = sizeof info;
    pr_sys.getsockopt(connection->fd, IPPROTO_TCP, TCP_INFO, &info, &length);
    return info.tcpi_state == TCP_CLOSE ? -ECONNRESET : connection->abort;
}

static void spend(uint64_t *budget, uint64_t sent) {
    uint64_t cost = sent > LEAST_BYTES ? sent : LEAST_BYTES;
    *budget -= cost < *budget ? cost : *budget;
}

/* Sends on, and takes what was sent off the budget. */
static int carry(struct pr_connection *connection, uint64_t *budget) {
    struct pr_transmission *transmission = connection->current;
    uint64_t before = transmission->reference.sent;
    /* Node has to hear that who it answers has closed its side. */
    uint32_t others = connection->responder ? PR_READING_EVENTS : connection->is_fed ? EPOLLRDHUP : 0;
    uint32_t events = EPOLLOUT | others;
    /* Of what a lane reads not before it is needed: a unix socket would tell of room whenever its reader has read. */
    int result = connection->responder ? 0 : pr_poller_listen(connection, events);
    if (result == 0 && connection->ledger) pr_zerocopy_drain(connection);
    if (result == 0) result = pr_push(connection, transmission, *budget);
    if (result != PR_PUSHED_ALL) transmission->ends = false; /* more can have come when it goes on */
    if (result == PR_PUSHED_FULL && pr_poller_listen(connection, events) < 0) result = -ENOMEM;
    bool lent = transmission->head != transmission->kept_head;
    int kept = lent ? pr_keep_rest_of_head(transmission) : 0;
    spend(budget, transmission->reference.sent - before);
    return result >= 0 && kept < 0 ? kept : result;
}

static void turn_again(struct pr_connection *connection) {
    pr_connection_lock(connection);
    pr_poller_ready(connection);
    pr_connection_unlock(connection);
}

static void wait_for_bandwidth(struct pr_connection *connection) {
    pr_connection_lock(connection);
    pr_pace_wait(connection);
    pr_connection_unlock(connection);
}

static enum pr_next begin_next(struct pr_connection *connection) {
    if (connection->current) return PR_NEXT_BEGUN;
    return connection->responder ? connection->relay->lanes->serving->next(connection) : PR_NEXT_NOTHING;
}

/*
 * Sends until the socket or the budget is spent: PR_PUSHED_FULL, PR_PUSHED_BUDGET. PR_PUSHED_ALL: nothing is left to
 * send, and the connection may be Node's again.
 */
static int send_in_turn(struct pr_connection *connection) {
    for (uint64_t budget = TURN_BYTES;;) {
        if (!connection->current && budget == 0) return PR_PUSHED_BUDGET;
        enum pr_next next = begin_next(connection);
        if (next == PR_NEXT_NOTHING) return PR_PUSHED_ALL;
        if (next == PR_NEXT_ANSWERED) {
            spend(&budget, 0);
            continue;
        }
        bool reads = connection->responder != NULL;
        int result = carry(connection, &budget);
        if (result != PR_PUSHED_ALL) return result;
        accepted(connection);
        if (!reads) return PR_PUSHED_ALL;
    }
}

static void turn(struct pr_connection *connection) {
    struct pr_lane *lane = pr_lane_of(connection);
    const struct pr_serving *serving = connection->relay->lanes->serving;
    serving->begin_turn(lane);
    lane->now = pr_now();
    int result = connection->abort ? why_aborted(connection) : send_in_turn(connection);
    if (result == PR_PUSHED_ALL) return;
    if (result >= 0 && !serving->end_turn(connection)) return;
    if (result < 0) {
        serving->begin_turn(lane); /* what it still asked for is nobody else's */
        pr_break_off(connection, result);
    } else if (result == PR_PUSHED_BUDGET) { /* of PR_PUSHED_FULL epoll will tell */
        turn_again(connection);
    } else if (result == PR_PUSHED_PACED) {
        wait_for_bandwidth(connection);
    }
}

/* Under the lane's lock. Node may be sending already on one that has become its own. */
static void end_turn(struct pr_connection *connection) {
    if (pr_is_with_lane(connection)) pr_end_turn(connection);
    pr_unpin(connection);
    pr_connection_settle(connection);
}

/*
 * The next that has something to send, pinned; the one before is unpinned under the same lock. An epoll event may have
 * put others in the list: Node owns those.
 */
static struct pr_connection *take_ready(struct pr_lane *lane, struct pr_connection *before) {
    struct pr_connection *taken = NULL;
    pr_lock_part(lane->poller.part);
    if (before) end_turn(before);
    while (!taken && !pr_list_empty(&lane->poller.ready)) {
        struct pr_connection *connection = pr_container(lane->poller.ready.next, struct pr_connection, ready);
        pr_list_remove(&connection->ready);
        pr_list_remove(&connection->paced);
        if (!pr_is_with_lane(connection)) continue;
        pr_pin(connection);
        pr_begin_turn(connection);
        taken = connection;
    }
    pr_unlock_part(lane->poller.part);
    return taken;
}

/* One turn for each that is ready now; those that become ready meanwhile wait for the next round. */
static void take_turns(struct pr_lane *lane) {
    size_t waiting = 0;
    pr_lock_part(lane->poller.part);
    pr_list_each(node, &lane->poller.ready) waiting++;
    pr_unlock_part(lane->poller.part);
    struct pr_connection *connection = NULL;
    for (; waiting > 0; waiting--) {
        connection = take_ready(lane, connection);
        if (!connection) return;
        turn(connection);
    }
    if (!connection) return;
    pr_lock_part(lane->poller.part);
    end_turn(connection);
    pr_unlock_part(lane->poller.part);
}

/* The clock: what is due to be looked at, and what has stalled. */

static bool in_flight(const struct pr_connection *connection) {
    return connection->current || !pr_list_empty(&connection->undone);
}

static bool stalled(const struct pr_connection *connection, uint64_t now) {
    return in_flight(connection) && !pr_is_broken(connection) &&
           now > connection->progress_at + connection->relay->lanes->max_hold;
}

/* Under the lane's lock. What waits for its turn is not kept waiting by its client. */
static bool reads_too_slowly(struct pr_connection *connection, uint64_t now) {
    bool counts = in_flight(connection) && !pr_is_broken(connection) && pr_list_empty(&connection->ready) &&
                  pr_list_empty(&connection->paced);
    if (!counts || connection->stall_reported || !pr_rate_is_too_low(connection, now)) return false;
    pr_part_of(connection)->counters.limited[PR_LIMITED_MIN_RATE]++;
    return true;
}

/* Under the lane's lock. What Node owns is Node's to break: it is told, once. */
static bool lane_breaks(struct pr_connection *connection, uint64_t now) {
    if (!stalled(connection, now) && !reads_too_slowly(connection, now)) return false;
    if (connection->phase != PR_PHASE_NODE) return true;
    if (!connection->stall_reported) {
        connection->stall_reported = true;
        pr_event_add(connection->relay, (struct pr_event){.kind = PR_EVENT_STALLED, .id = connection->id});
    }
    return false;
}

/* Under the lane's lock: pins the connections that are due, and sets the time of the next look. */
static size_t take_due(struct pr_lane *lane, struct pr_connection **into, uint64_t now) {
    size_t count = 0;
    lane->poller.next_look = lane->stalled_at = UINT64_MAX;
    pr_list_each(node, &lane->poller.watch) {
        struct pr_connection *connection = pr_container(node, struct pr_connection, watch);
        if (in_flight(connection) && connection->progress_at < lane->stalled_at)
            lane->stalled_at = connection->progress_at;
        if (connection->look_at <= now && count < LOOKS_AT_ONCE) {
            pr_look_later(connection);
            pr_pin(connection);
            into[count++] = connection;
        }
        if (connection->look_at < lane->poller.next_look) lane->poller.next_look = connection->look_at;
    }
    return count;
}

static void look_and_break(struct pr_connection *connection, struct pr_prober *prober, uint64_t now) {
    pr_look(connection, prober);
    pr_connection_lock(connection);
    bool breaks = lane_breaks(connection, now);
    pr_connection_unlock(connection);
    if (breaks) pr_break_off(connection, -ETIMEDOUT);
}

static void look_at_due(struct pr_lane *lane) {
    struct pr_connection *connections[LOOKS_AT_ONCE];
    uint64_t now = pr_now();
    pr_lock_part(lane->poller.part);
    size_t count = lane->poller.next_look > now ? 0 : take_due(lane, connections, now);
    pr_unlock_part(lane->poller.part);
    for (size_t index = 0; index < count; index++) {
        look_and_break(connections[index], &lane->poller.prober, now);
        pr_connection_unpin(connections[index]);
    }
}

/* The thread. */

/* Under the lane's lock. */
static void heard(struct pr_lane *lane, const struct epoll_event *event) {
    struct pr_relay *relay = lane->relay;
    struct pr_connection *connection = pr_slots_find(&relay->slots, PR_KIND_CONNECTION, event->data.u64);
    /* Not by EPOLLERR alone: notices of zero-copy sends come so. A reset says EPOLLHUP too. */
    bool ended = (event->events & (EPOLLRDHUP | EPOLLHUP)) != 0;
    bool is_told = connection && ended && (connection->responder || connection->is_fed);
    if (is_told) relay->lanes->serving->peer_ended(connection);
    if (connection && (event->events & EPOLLOUT)) connection->pace.is_full = false;
    if (connection && pr_is_with_lane(connection)) {
        pr_poller_ready(connection);
    } else if (is_told) {
        return;
    } else if (connection && (event->events & (EPOLLERR | EPOLLHUP))) {
        connection->look_at = lane->poller.next_look = pr_now(); /* a reset can end what is undone */
    } else if (pr_slots_find(&relay->slots, PR_KIND_DOOR, event->data.u64)) {
        lane->accept_at = 0;
    }
}

/* What others make ready from here on is seen before the lane sleeps again: nobody has to wake it. */
static void hear(struct pr_lane *lane, const struct epoll_event *events, int count) {
    pr_lock_part(lane->poller.part);
    lane->poller.asleep = false;
    for (int index = 0; index < count; index++)
        if (events[index].data.u64 != 0) heard(lane, &events[index]);
    pr_unlock_part(lane->poller.part);
}

/* Milliseconds, or -1 for no limit. Tells the others that a wake-up is needed from here on. */
static int fall_asleep(struct pr_lane *lane) {
    pr_lock_part(lane->poller.part);
    uint64_t now = pr_now(), until = lane->poller.connections > 0 ? now + TICK : UINT64_MAX;
    if (lane->poller.next_look < until) until = lane->poller.next_look;
    if (lane->accept_at < until) until = lane->accept_at;
    uint64_t paced_until = pr_pace_end_waits(&lane->poller, now);
    if (paced_until < until) until = paced_until;
    lane->poller.asleep = pr_list_empty(&lane->poller.ready);
    int timeout = !lane->poller.asleep  ? 0
                  : until == UINT64_MAX ? -1
                  : until <= now        ? 0
                                        : (int)((until - now + 999999) / 1000000);
    pr_unlock_part(lane->poller.part);
    return timeout;
}

static void *run_lane(void *argument) {
    struct pr_lane *lane = argument;
    struct epoll_event events[EVENTS_AT_ONCE];
    do {
        int count = pr_sys.epoll_wait(lane->poller.epoll, events, EVENTS_AT_ONCE, fall_asleep(lane));
        hear(lane, events, count);
        pr_doors_answer(lane);
        look_at_due(lane);
        lane->relay->lanes->serving->expire(lane);
        take_turns(lane);
        lane->relay->lanes->serving->end_round(lane);
    } while (!lane->stop);
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
    int result = pr_poller_open(&lane->poller);
    if (result == 0) result = lane->relay->lanes->serving->open(lane);
    if (result < 0) return result;

    /* Signals are the main thread's; a write to a closed socket must not end the process from here either. */
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    result = -pthread_create(&lane->thread, NULL, run_lane, lane);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (result < 0) return result;
    lane->started = true;
    pthread_setname_np(lane->thread, "pagerelay-lane");
    cpu_set_t cpus;
    cpus_of_node(lane->poller.node, &cpus);
    if (bind_to_node && CPU_COUNT(&cpus) > 0) pthread_setaffinity_np(lane->thread, sizeof cpus, &cpus);
    return 0;
}

int pr_lanes_start(struct pr_relay *relay, unsigned count) {
    int nodes[64];
    unsigned node_count = nodes_with_cpus(nodes, 64);
    relay->lanes->list = pr_allocate(count, sizeof *relay->lanes->list);
    if (!relay->lanes->list) return -ENOMEM;
    relay->lanes->count = count;
    for (unsigned index = 0; index < count; index++) {
        struct pr_lane *lane = &relay->lanes->list[index];
        lane->relay = relay;
        lane->stalled_at = lane->accept_at = UINT64_MAX;
        lane->newcomer = -1;
        pr_poller_init(&lane->poller, &relay->parts[index + 1], nodes[index % node_count]);
    }
    int result = 0;
    for (unsigned index = 0; index < count && result == 0; index++)
        result = start_lane(&relay->lanes->list[index], node_count > 1);
    return result;
}

void pr_lanes_stop(struct pr_relay *relay) {
    struct pr_lane *lanes = relay->lanes->list;
    unsigned count = relay->lanes->count;
    for (unsigned index = 0; index < count; index++) {
        lanes[index].stop = true;
        if (lanes[index].started) pr_poller_wake(&lanes[index].poller);
    }
    for (unsigned index = 0; index < count; index++)
        if (lanes[index].started) pthread_join(lanes[index].thread, NULL);
    /* Only now: until they end, lanes wake one another. */
    for (unsigned index = 0; index < count; index++) pr_poller_close(&lanes[index].poller);
}

/* Telling. */

double pr_stalled_seconds(const struct pr_relay *relay) {
    uint64_t now = pr_now(), at = now;
    for (unsigned index = 0; index < relay->lanes->count; index++)
        if (relay->lanes->list[index].stalled_at < at) at = relay->lanes->list[index].stalled_at;
    return (double)(now - at) / 1e9;
}

static double cpu_seconds(const struct pr_lane *lane) {
    clockid_t clock;
    struct timespec used = {0};
    if (lane->started && pthread_getcpuclockid(lane->thread, &clock) == 0) clock_gettime(clock, &used);
    return (double)used.tv_sec + (double)used.tv_nsec / 1e9;
}

size_t pr_lanes(struct pr_relay *relay, struct pr_lane_info *into, size_t capacity) {
    for (unsigned index = 0; index < relay->lanes->count && index < capacity; index++) {
        const struct pr_lane *lane = &relay->lanes->list[index];
        into[index] = (struct pr_lane_info){.node = lane->poller.node, .cpu_seconds = cpu_seconds(lane)};
        pr_lock(relay);
        into[index].connections = lane->poller.connections;
        pr_unlock(relay);
    }
    return relay->lanes->count;
}

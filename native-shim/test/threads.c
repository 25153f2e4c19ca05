/*
 * Random work on relays in several threads: slow readers, resets, half-closes, closes, breaks, looks, in any order.
 * Every byte that arrives is compared, and whatever a reader has not read must still be in the table.
 */
#include "test.h"

#include <pthread.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

enum { SIZE = 4 << 20, MOST_CONNECTIONS = 64, QUEUE = 64 };

struct segment {
    uint64_t id, offset, length;
    enum pr_engine engine;
};

struct client {
    bool open, idle, broken, finishing;
    struct pair pair;
    uint64_t connection;
    struct segment queue[QUEUE];
    unsigned first, used;
};

struct worker {
    pthread_t thread;
    unsigned lanes, connections, seconds;
    uint64_t random;
    struct pr_relay *relay;
    struct region region;
    struct client clients[MOST_CONNECTIONS];
    uint64_t sends, events, checks;
};

static struct client *client_of(struct worker *worker, uint64_t connection) {
    for (unsigned index = 0; index < worker->connections; index++)
        if (worker->clients[index].open && worker->clients[index].connection == connection)
            return &worker->clients[index];
    return NULL;
}

static struct client *client_sending(struct worker *worker, uint64_t transmission) {
    for (unsigned index = 0; index < worker->connections; index++) {
        struct client *client = &worker->clients[index];
        if (!client->open || client->used == 0) continue;
        if (client->queue[(client->first + client->used - 1) % QUEUE].id == transmission) return client;
    }
    return NULL;
}

static void drain_events(struct worker *worker) {
    struct pr_event event;
    while (pr_events(worker->relay, &event, 1) == 1) {
        bool of_connection = event.kind == PR_EVENT_STALLED || event.kind == PR_EVENT_DRAINED;
        struct client *client = of_connection ? client_of(worker, event.id) : client_sending(worker, event.id);
        worker->events++;
        if (!client) continue; /* closed meanwhile */
        if (event.kind == PR_EVENT_ACCEPTED) client->idle = true;
        if (event.kind == PR_EVENT_BROKEN) client->idle = client->broken = true;
        if (event.kind == PR_EVENT_DRAINED) client->finishing = false;
        if (event.kind == PR_EVENT_STALLED) {
            int result = pr_connection_break(worker->relay, client->connection);
            CHECK(result == 0 || result == -EBUSY);
            if (result == 0) client->broken = true;
        }
    }
}

static void open_client(struct worker *worker, struct client *client) {
    *client = (struct client){.open = true, .idle = true};
    client->pair = pair_open(test_below(&worker->random, 2) ? NARROW : ROOMY);
    client->connection = adopt(worker->relay, &client->pair);
}

static void send_to(struct worker *worker, struct client *client) {
    if (!client->idle || client->broken || client->finishing || client->used == QUEUE) return;
    struct segment segment = {.engine = (enum pr_engine)test_below(&worker->random, 3)};
    segment.offset = test_below(&worker->random, SIZE);
    uint64_t most = (uint64_t)1 << test_below(&worker->random, 23), left = SIZE - segment.offset;
    segment.length = 1 + test_below(&worker->random, left < most ? left : most);
    segment.id = hold(worker->relay, &worker->region, segment.engine, segment.offset, segment.length);
    client->queue[(client->first + client->used++) % QUEUE] = segment;
    int result = pr_send(worker->relay, client->connection, segment.id, NULL, 0, NULL);
    worker->sends++;
    client->idle = result != 0;
    if (result < 0) client->broken = true;
    if (result == -ECONNRESET) pr_release(worker->relay, segment.id, PR_OUTCOME_CANCELLED);
}

static void read_some(struct worker *worker, struct client *client) {
    unsigned char block[32768], expected[32768];
    uint64_t budget = (uint64_t)1 << test_below(&worker->random, 21);
    while (budget > 0 && client->used > 0 && client->pair.peer >= 0) {
        struct segment *segment = &client->queue[client->first];
        size_t most = sizeof block < budget ? sizeof block : (size_t)budget;
        ssize_t got = recv(client->pair.peer, block, segment->length < most ? segment->length : most, MSG_DONTWAIT);
        if (got <= 0) return;
        content(segment->offset, (size_t)got, 0, expected);
        CHECK(memcmp(block, expected, (size_t)got) == 0);
        segment->offset += (uint64_t)got;
        segment->length -= (uint64_t)got;
        budget -= (uint64_t)got;
        if (segment->length > 0) continue;
        client->first = (client->first + 1) % QUEUE;
        client->used--;
    }
}

static bool listed(const struct pr_reference_info *infos, size_t count, uint64_t id) {
    for (size_t index = 0; index < count; index++)
        if (infos[index].id == id) return true;
    return false;
}

/* What is in a reader's queue now will be there when the table is asked, for it reads in this thread. */
static void check_table(struct worker *worker) {
    enum { MOST = 4096 };
    static _Thread_local struct pr_reference_info infos[MOST];
    int unread[MOST_CONNECTIONS] = {0};
    for (unsigned index = 0; index < worker->connections; index++) {
        struct client *client = &worker->clients[index];
        if (client->open && client->pair.peer >= 0) MUST(ioctl(client->pair.peer, FIONREAD, &unread[index]));
    }
    struct pr_page page;
    CHECK_EQUAL(pr_references(worker->relay, 0, 0, infos, MOST, &page), 0);
    CHECK_EQUAL(page.next, 0);
    for (unsigned index = 0; index < worker->connections; index++) {
        struct client *client = &worker->clients[index];
        if (unread[index] == 0 || client->used == 0) continue;
        const struct segment *head = &client->queue[client->first];
        if (head->engine == PR_ENGINE_COPY) continue;
        worker->checks++;
        if (!listed(infos, page.count, head->id))
            FAIL("unread but not in the table: engine %d, broken %d", head->engine, client->broken);
    }
}

static void close_client(struct worker *worker, struct client *client) {
    node_close(worker->relay, client->connection, &client->pair);
    close_peer(&client->pair);
    client->open = false;
}

static void act(struct worker *worker, struct client *client) {
    if (!client->open) {
        open_client(worker, client);
        return;
    }
    switch (test_below(&worker->random, 40)) {
    case 0:
        reset_peer(&client->pair);
        close_client(worker, client);
        break;
    case 1: close_client(worker, client); break;
    case 2:
        if (client->idle && !client->finishing) {
            int result = pr_connection_finish(worker->relay, client->connection);
            CHECK(result == 0 || result == 1);
            client->finishing = result == 0;
        }
        break;
    case 3:
        if (client->idle && pr_connection_break(worker->relay, client->connection) == 0) client->broken = true;
        break;
    case 4: shutdown(client->pair.peer, SHUT_WR); break; /* ENOTCONN after a reset */
    case 5: check_table(worker); break;
    default:
        if (client->broken && test_below(&worker->random, 8) == 0)
            close_client(worker, client);
        else if (test_below(&worker->random, 2))
            send_to(worker, client);
        else
            read_some(worker, client);
    }
}

static void *work(void *argument) {
    struct worker *worker = argument;
    struct pr_options options = options_with(worker->lanes);
    options.max_hold_seconds = 0.4;
    options.max_broken_off = 4;
    worker->relay = relay_start(options);
    worker->region = region_create(worker->relay, SIZE);
    uint64_t end = pr_now() + worker->seconds * (uint64_t)1000000000;
    while (pr_now() < end) {
        act(worker, &worker->clients[test_below(&worker->random, worker->connections)]);
        drain_events(worker);
    }
    for (unsigned index = 0; index < worker->connections; index++)
        if (worker->clients[index].open) close_client(worker, &worker->clients[index]);
    wait_until(counted(worker->relay).connections == 0, 10000);
    CHECK_EQUAL(references(worker->relay), counted(worker->relay).quarantined);
    CHECK_EQUAL(counted(worker->relay).broken_off, 0);
    drain_events(worker);
    region_close(worker->relay, &worker->region);
    pr_relay_destroy(worker->relay);
    return NULL;
}

static void run_workers(struct worker *workers, unsigned count) {
    for (unsigned index = 0; index < count; index++)
        MUST(-pthread_create(&workers[index].thread, NULL, work, &workers[index]));
    for (unsigned index = 0; index < count; index++) {
        MUST(-pthread_join(workers[index].thread, NULL));
        printf("  %u lanes: %llu sends, %llu events, %llu checks of the table\n", workers[index].lanes,
               (unsigned long long)workers[index].sends, (unsigned long long)workers[index].events,
               (unsigned long long)workers[index].checks);
    }
}

static void four_relays_in_four_threads(void) {
    static struct worker workers[4];
    uint64_t seed = test_seed();
    for (unsigned index = 0; index < 4; index++)
        workers[index] =
            (struct worker){.lanes = 1 + index % 3, .connections = 8, .seconds = 4, .random = seed + index};
    run_workers(workers, 4);
}

static void one_relay_with_three_lanes_and_64_connections(void) {
    static struct worker worker;
    worker = (struct worker){.lanes = 3, .connections = MOST_CONNECTIONS, .seconds = 5, .random = test_seed()};
    run_workers(&worker, 1);
}

int main(void) {
    RUN(four_relays_in_four_threads);
    RUN(one_relay_with_three_lanes_and_64_connections);
    return 0;
}

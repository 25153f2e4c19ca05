#include "wire/layer.h"

#include <errno.h>

#include "wire/connection.h"
#include "wire/hold.h"
#include "wire/proxied.h"

int pr_wire_open(struct pr_relay *relay) {
    for (unsigned part = 0; part < relay->part_count; part++) {
        pr_pipes_init(&relay->wire->parts[part].pipes);
        pr_list_init(&relay->wire->parts[part].quarantined);
    }
    pr_clients_open(&relay->wire->clients);
    pr_list_init(&relay->wire->pollers);
    pr_list_init(&relay->wire->broken_off);
    return pr_prober_open(&relay->wire->prober);
}

static void drop_all(struct pr_list *undone, uint64_t now) {
    pr_list_each(node, undone) pr_hold_drop(pr_container(node, struct pr_transmission, undone), now);
}

static void end_connection(struct pr_connection *connection, uint64_t now) {
    pr_end_current(connection, -ECANCELED, false);
    drop_all(&connection->undone, now);
    if (!pr_node_has_closed(connection)) pr_move_to_closed(connection);
    pr_connection_settle(connection);
}

void pr_wire_end(struct pr_relay *relay, uint64_t now) {
    uint32_t cursor = 0;
    void *object;
    while ((object = pr_slots_next(&relay->slots, PR_KIND_CONNECTION, &cursor))) end_connection(object, now);
    for (unsigned part = 0; part < relay->part_count; part++) drop_all(&relay->wire->parts[part].quarantined, now);
    for (cursor = 0; (object = pr_slots_next(&relay->wire->held, PR_KIND_TRANSMISSION, &cursor));)
        pr_hold_drop(object, now);
}

void pr_wire_close(struct pr_relay *relay) {
    for (unsigned part = 0; part < relay->part_count; part++) pr_pipes_free(&relay->wire->parts[part].pipes);
    pr_slots_free(&relay->wire->held);
    pr_clients_close(&relay->wire->clients);
    pr_trusted_free(relay);
    pr_prober_close(&relay->wire->prober);
}

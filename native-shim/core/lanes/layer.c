#include "lanes/layer.h"

#include "base/sys.h"
#include "lanes/door.h"

void pr_lanes_open(struct pr_relay *relay) {
    pr_list_init(&relay->lanes->doors);
    pr_room_open(relay);
}

void pr_lanes_end(struct pr_relay *relay) {
    pr_lanes_stop(relay);
    pr_list_each(node, &relay->lanes->doors) pr_door_close(relay, pr_container(node, struct pr_door, doors)->id);
}

void pr_lanes_close(struct pr_relay *relay) {
    for (unsigned index = 0; index < relay->lanes->count; index++)
        relay->lanes->serving->close(&relay->lanes->list[index]);
    pr_room_close(relay);
    pr_free(relay->lanes->list);
}

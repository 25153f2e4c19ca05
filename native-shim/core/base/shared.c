#include "base/shared.h"

#include "base/sys.h"

void pr_lock(struct pr_relay *relay) {
    pthread_mutex_lock(&relay->lock);
}

void pr_unlock(struct pr_relay *relay) {
    struct pr_list garbage;
    pr_list_init(&garbage);
    pr_list_each(node, &relay->garbage) {
        pr_list_remove(node);
        pr_list_append(&garbage, node);
    }
    bool notify = relay->notify_due;
    relay->notify_due = false;
    pthread_mutex_unlock(&relay->lock);

    pr_list_each(node, &garbage) {
        struct pr_garbage *unused = pr_container(node, struct pr_garbage, list);
        unused->dispose(unused);
    }
    if (notify && relay->notify) relay->notify(relay->context);
}

void pr_shared_open(struct pr_relay *relay, void (*notify)(void *context), void *context) {
    pthread_mutex_init(&relay->lock, NULL);
    pr_list_init(&relay->garbage);
    relay->notify = notify;
    relay->context = context;
}

void pr_shared_close(struct pr_relay *relay) {
    pr_slots_free(&relay->slots);
    pr_free(relay->ring.events);
    pthread_mutex_destroy(&relay->lock);
}

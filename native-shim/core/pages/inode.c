#include "pages/inode.h"

#include "base/assert.h"
#include "base/sys.h"
#include "pages/layer.h"

static struct pr_inode *find(struct pr_relay *relay, uint64_t device, uint64_t number) {
    pr_list_each(node, &relay->pages->inodes) {
        struct pr_inode *inode = pr_container(node, struct pr_inode, inodes);
        if (inode->device == device && inode->number == number) return inode;
    }
    return NULL;
}

struct pr_inode *pr_inode_take(struct pr_relay *relay, uint64_t device, uint64_t number) {
    struct pr_inode *inode = find(relay, device, number);
    if (!inode) {
        inode = pr_allocate(1, sizeof *inode);
        if (!inode) return NULL;
        inode->device = device;
        inode->number = number;
        inode->relay = relay;
        pr_list_init(&inode->references);
        pr_list_init(&inode->claims);
        pr_list_init(&inode->inodes);
        pr_list_append(&relay->pages->inodes, &inode->inodes);
    }
    inode->generations++;
    return inode;
}

void pr_inode_give(struct pr_inode *inode) {
    pr_assert(inode->generations > 0);
    if (--inode->generations > 0) return;
    pr_assert(pr_list_empty(&inode->references) && pr_list_empty(&inode->claims));
    struct pr_relay *relay = inode->relay;
    if (inode->retired) {
        pr_event_add(relay, (struct pr_event){.kind = PR_EVENT_GONE, .id = inode->retired});
        pr_events_promise(relay, -1);
    }
    pr_list_remove(&inode->inodes);
    pr_free(inode);
}

void pr_inode_retire(struct pr_inode *inode, uint64_t generation) {
    if (!inode->retired) pr_events_promise(inode->relay, 1);
    inode->retired = generation;
}

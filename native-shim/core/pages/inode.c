#include "pages/inode.h"

#include "base/assert.h"
#include "base/sys.h"
#include "pages/layer.h"

/* File systems number their files one after the other, some in steps: the upper bits of a product are spread evenly. */
static struct pr_list *bucket_of(struct pr_relay *relay, uint64_t device, uint64_t number) {
    uint64_t hash = (number ^ device << 32) * UINT64_C(0x9e3779b97f4a7c15);
    return &relay->pages->by_number[hash >> 32 & (PR_INODE_BUCKETS - 1)];
}

struct pr_inode *pr_inode_find(struct pr_relay *relay, uint64_t device, uint64_t number) {
    pr_list_each(node, bucket_of(relay, device, number)) {
        struct pr_inode *inode = pr_container(node, struct pr_inode, bucket);
        if (inode->device == device && inode->number == number) return inode;
    }
    return NULL;
}

static struct pr_inode *new_inode(struct pr_relay *relay, uint64_t device, uint64_t number) {
    struct pr_inode *inode = pr_allocate(1, sizeof *inode);
    if (!inode) return NULL;
    inode->device = device;
    inode->number = number;
    inode->relay = relay;
    pr_list_init(&inode->generations);
    pr_list_init(&inode->claims);
    pr_list_init(&inode->claimed);
    pr_list_init(&inode->bucket);
    pr_list_append(bucket_of(relay, device, number), &inode->bucket);
    return inode;
}

struct pr_inode *pr_inode_take(struct pr_relay *relay, uint64_t device, uint64_t number, struct pr_list *generation) {
    struct pr_inode *inode = pr_inode_find(relay, device, number);
    if (!inode) inode = new_inode(relay, device, number);
    if (inode) pr_list_append(&inode->generations, generation);
    return inode;
}

void pr_inode_give(struct pr_inode *inode, struct pr_list *generation) {
    pr_list_remove(generation);
    if (!pr_list_empty(&inode->generations)) return;
    pr_assert(pr_list_empty(&inode->claims));
    struct pr_relay *relay = inode->relay;
    if (inode->retired) {
        pr_event_add(relay, (struct pr_event){.kind = PR_EVENT_GONE, .id = inode->retired});
        pr_events_forgo(relay, 1);
    }
    pr_list_remove(&inode->bucket);
    pr_free(inode);
}

int pr_inode_retire(struct pr_inode *inode, uint64_t generation) {
    int result = inode->retired ? 0 : pr_events_promise(inode->relay, 1);
    if (result == 0) inode->retired = generation;
    return result;
}

#include "pages/layer.h"

#include "pages/claim.h"
#include "pages/generation.h"
#include "pages/nodes.h"
#include "pages/tree.h"

/* What lanes have let go of. */
static void settle_pages(struct pr_relay *relay) {
    pr_list_each(node, &relay->pages->claimed) pr_claims_settle(pr_container(node, struct pr_inode, claimed));
    pr_list_each(node, &relay->pages->closing) pr_generation_settle(pr_container(node, struct pr_generation, closing));
}

void pr_pages_open(struct pr_relay *relay) {
    relay->settle = settle_pages;
    pr_list_init(&relay->pages->claimed);
    pr_list_init(&relay->pages->closing);
    for (size_t at = 0; at < PR_INODE_BUCKETS; at++) pr_list_init(&relay->pages->by_number[at]);
    relay->pages->only_node = pr_only_node();
    pthread_cond_init(&relay->pages->disposed, NULL);
}

void pr_pages_end(struct pr_relay *relay) {
    uint32_t cursor = 0;
    void *object;
    while ((object = pr_slots_next(&relay->slots, PR_KIND_CLAIM, &cursor))) pr_claim_end(object);
    for (cursor = 0; (object = pr_slots_next(&relay->slots, PR_KIND_GENERATION, &cursor));) {
        struct pr_generation *generation = object;
        pr_generation_shut(generation);
    }
}

void pr_pages_close(struct pr_relay *relay) {
    uint32_t cursor = 0;
    struct pr_tree *tree;
    pr_generations_closed(relay);
    while ((tree = pr_slots_next(&relay->slots, PR_KIND_TREE, &cursor))) pr_tree_close(relay, tree->id);
    pthread_cond_destroy(&relay->pages->disposed);
}

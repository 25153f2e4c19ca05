/* A circular, doubly linked, intrusive list: no allocation, removal in constant time. */
#ifndef PR_LIST_H
#define PR_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct pr_list {
    struct pr_list *next, *previous;
};

#define pr_container(node, type, member) ((type *)(void *)((char *)(node)-offsetof(type, member)))

static inline void pr_list_init(struct pr_list *list) {
    list->next = list->previous = list;
}

static inline bool pr_list_empty(const struct pr_list *list) {
    return list->next == list;
}

/* A node that is in no list points at itself, so that taking it out twice does no harm. */
static inline void pr_list_remove(struct pr_list *node) {
    node->next->previous = node->previous;
    node->previous->next = node->next;
    pr_list_init(node);
}

static inline void pr_list_append(struct pr_list *list, struct pr_list *node) {
    node->previous = list->previous;
    node->next = list;
    list->previous->next = node;
    list->previous = node;
}

/* The body may remove `node` itself, and nothing else. */
#define pr_list_each(node, list)                                                                                       \
    for (struct pr_list *node = (list)->next, *node##_next = node->next; node != (list);                               \
         node = node##_next, node##_next = node->next)

#endif

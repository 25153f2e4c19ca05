/*
 * Numbers for objects. An id is a plain integer below 2^52 that JavaScript can keep, and that finds its object
 * only while the object lives: a stale or invented id, or one of another kind, finds nothing.
 */
#ifndef PR_SLOTS_H
#define PR_SLOTS_H

#include <stddef.h>
#include <stdint.h>

enum pr_kind {
    PR_KIND_TREE = 0,
    PR_KIND_GENERATION = 1,
    PR_KIND_CONNECTION = 2,
    PR_KIND_TRANSMISSION = 3,
    PR_KIND_CLAIM = 4,
    PR_KIND_DOOR = 5,
};

struct pr_slots {
    struct pr_slot *slots;
    uint32_t capacity, free_head, used;
};

/* 0 or -ENOMEM; fills in the id. */
int pr_slots_add(struct pr_slots *slots, enum pr_kind kind, void *object, uint64_t *id);
void *pr_slots_find(const struct pr_slots *slots, enum pr_kind kind, uint64_t id);
void pr_slots_remove(struct pr_slots *slots, uint64_t id);

/* The next object of a kind at or after *cursor (start with 0), or NULL; moves the cursor on. */
void *pr_slots_next(const struct pr_slots *slots, enum pr_kind kind, uint32_t *cursor);
void pr_slots_free(struct pr_slots *slots);

#endif

#include "base/slots.h"

#include <errno.h>
#include <string.h>

#include "base/sys.h"

/* id = serial (29 bits) | kind (3 bits) | index (20 bits) */
enum { INDEX_BITS = 20, KIND_BITS = 3, SERIAL_BITS = 29 };
#define NO_SLOT UINT32_MAX

struct pr_slot {
    void *object;
    uint32_t serial, next_free;
    enum pr_kind kind;
};

static uint64_t id_of(const struct pr_slots *slots, uint32_t index) {
    const struct pr_slot *slot = &slots->slots[index];
    return (uint64_t)slot->serial << (KIND_BITS + INDEX_BITS) | (uint64_t)slot->kind << INDEX_BITS | index;
}

static int grow(struct pr_slots *slots) {
    uint32_t capacity = slots->capacity ? slots->capacity * 2 : 64;
    if (capacity > 1u << INDEX_BITS) return -ENOMEM;
    struct pr_slot *larger = pr_allocate(capacity, sizeof *larger);
    if (!larger) return -ENOMEM;
    if (slots->slots) memcpy(larger, slots->slots, slots->capacity * sizeof *larger);
    for (uint32_t index = slots->capacity; index < capacity; index++)
        larger[index].next_free = index + 1 < capacity ? index + 1 : NO_SLOT;
    pr_free(slots->slots);
    slots->slots = larger;
    slots->free_head = slots->capacity;
    slots->capacity = capacity;
    return 0;
}

int pr_slots_add(struct pr_slots *slots, enum pr_kind kind, void *object, uint64_t *id) {
    if (slots->used == slots->capacity) {
        int result = grow(slots);
        if (result < 0) return result;
    }
    uint32_t index = slots->free_head;
    struct pr_slot *slot = &slots->slots[index];
    slots->free_head = slot->next_free;
    slots->used++;
    slot->object = object;
    slot->kind = kind;
    slot->serial = (slot->serial + 1) & ((1u << SERIAL_BITS) - 1);
    if (slot->serial == 0) slot->serial = 1;
    *id = id_of(slots, index);
    return 0;
}

static uint32_t index_of(const struct pr_slots *slots, uint64_t id) {
    uint32_t index = (uint32_t)(id & ((1u << INDEX_BITS) - 1));
    if (index >= slots->capacity || !slots->slots[index].object) return NO_SLOT;
    return id_of(slots, index) == id ? index : NO_SLOT;
}

void *pr_slots_find(const struct pr_slots *slots, enum pr_kind kind, uint64_t id) {
    uint32_t index = index_of(slots, id);
    return index != NO_SLOT && slots->slots[index].kind == kind ? slots->slots[index].object : NULL;
}

void pr_slots_remove(struct pr_slots *slots, uint64_t id) {
    uint32_t index = index_of(slots, id);
    if (index == NO_SLOT) return;
    slots->slots[index].object = NULL;
    slots->slots[index].next_free = slots->free_head;
    slots->free_head = index;
    slots->used--;
}

void *pr_slots_next(const struct pr_slots *slots, enum pr_kind kind, uint32_t *cursor) {
    while (*cursor < slots->capacity) {
        const struct pr_slot *slot = &slots->slots[(*cursor)++];
        if (slot->object && slot->kind == kind) return slot->object;
    }
    return NULL;
}

void pr_slots_free(struct pr_slots *slots) {
    pr_free(slots->slots);
    memset(slots, 0, sizeof *slots);
}

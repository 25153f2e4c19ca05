/* Many requests that are sent at once, and their answers. */
#ifndef BATCHES_H
#define BATCHES_H

#include "scene.h"

struct batch {
    char *bytes;
    size_t length;
};

static inline uint64_t offset_of(unsigned index) {
    return index * 997u % SIZE / 2;
}

static inline uint64_t length_of(unsigned index) {
    return 1 + index * 37u % 300;
}

static inline struct batch batch_of(unsigned first, unsigned end) {
    struct batch batch = {.bytes = malloc((end - first) * 256 + 1)};
    for (unsigned index = first; index < end; index++)
        batch.length += write_range(batch.bytes + batch.length, offset_of(index), length_of(index));
    return batch;
}

static inline void read_batch(const struct scene *scene, int guest, unsigned first, unsigned end) {
    for (unsigned index = first; index < end; index++) read_range(scene, guest, offset_of(index), length_of(index));
}

#endif

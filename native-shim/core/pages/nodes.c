#include "pages/nodes.h"

#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/sys.h"
#include "pages/generation.h"
#include "pages/layer.h"
#include "pages/mapping.h"

/* Looking costs some microseconds a page (mmap, mincore, get_mempolicy), each time that a region is opened. */
enum { SAMPLES = 32 };

void pr_nodes_add(struct pr_nodes *nodes, int node, unsigned pages) {
    unsigned place = 0;
    while (place < nodes->count && nodes->list[place].node != node) place++;
    if (node < 0 || place == PR_NODES_TOLD) return;
    if (place == nodes->count) nodes->list[nodes->count++].node = node;
    nodes->list[place].pages += pages;
}

int pr_nodes_most(const struct pr_nodes *nodes) {
    const struct pr_node_pages *most = NULL;
    for (unsigned place = 0; place < nodes->count; place++)
        if (!most || nodes->list[place].pages > most->pages) most = &nodes->list[place];
    return most ? most->node : -1;
}

/* "0" is one node, "0-1" and "0,2" are not. Without CONFIG_NUMA there is no such file, and one node. */
int pr_only_node(void) {
    int node = 0;
    FILE *file = fopen("/sys/devices/system/node/online", "re");
    if (!file) return 0;
    bool only = fscanf(file, "%d", &node) == 1 && fgetc(file) == '\n';
    fclose(file);
    return only ? node : -1;
}

/* Whether a look at the page, mapped at this address, finds it: a hole must not be filled, nor a disk be waited for. */
static bool is_there(const struct pr_generation *generation, void *address, uint64_t offset) {
    unsigned char state;
    switch (generation->info.backing.backing) {
    case PR_BACKING_PAGECACHE: return pr_resident(generation, offset, 1);
    case PR_BACKING_TMPFS:
    case PR_BACKING_MEMFD:
        /* To those who neither own a file nor may write it, mincore says that all of it is there (since Linux 5.2). */
        if (generation->mincore_tells) return pr_sys.mincore(address, 1, &state) == 0 && (state & 1) != 0;
        return pr_sys.lseek(generation->fd, (off_t)offset, SEEK_DATA) == (off_t)offset;
    default: return true;
    }
}

/* The node of one page, or -1. A file that is not mapped is for this page alone. */
static int node_at(const struct pr_generation *generation, uint64_t page) {
    uint64_t length = generation->info.backing.page_size, offset = page * length;
    bool mapped = generation->address != NULL;
    void *address = mapped ? (void *)(uintptr_t)(generation->address + offset) : MAP_FAILED;
    if (!mapped) address = pr_sys.mmap(NULL, (size_t)length, PROT_READ, MAP_SHARED, generation->fd, (off_t)offset);
    if (address == MAP_FAILED) return -1;
    int node = is_there(generation, address, offset) ? pr_node_of_page(address) : -1;
    if (!mapped) munmap(address, (size_t)length);
    return node;
}

/*
 * One page of each of `samples` parts of equal length, not at the same place in each: pages that are spread over nodes
 * in turn would be told as if all were on one. Multiples of the golden ratio are spread evenly, and the same each time.
 */
static uint64_t page_to_look_at(uint64_t sample, uint64_t samples, uint64_t pages) {
    uint64_t first = sample * pages / samples, length = (sample + 1) * pages / samples - first;
    uint64_t golden = (uint32_t)(sample * UINT64_C(2654435769));
    return first + (golden * length >> 32);
}

static void look_at_some(struct pr_generation *generation) {
    const struct pr_generation_info *info = &generation->info;
    uint64_t pages = (info->size + info->backing.page_size - 1) / info->backing.page_size;
    uint64_t samples = pages < SAMPLES ? pages : SAMPLES;
    if (pr_has_fillable_hole(generation) != 0 || pr_is_out_of_reach(generation)) return;
    for (uint64_t sample = 0; sample < samples; sample++) {
        int node = node_at(generation, page_to_look_at(sample, samples, pages));
        pr_nodes_add(&generation->info.nodes, node, 1);
    }
}

void pr_nodes_find(struct pr_generation *generation) {
    struct pr_backing_info *backing = &generation->info.backing;
    int known = backing->node >= 0 ? backing->node : generation->relay->pages->only_node;
    if (known >= 0)
        pr_nodes_add(&generation->info.nodes, known, 1);
    else
        look_at_some(generation);
    backing->node = pr_nodes_most(&generation->info.nodes);
}

#include "pages/mapping.h"

#include <errno.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/sys.h"
#include "pages/file.h"
#include "pages/generation.h"

/* Half of what a process can address on x86-64: a larger region would leave no room for others, or not fit at all. */
#define MOST_MAPPED (UINT64_C(1) << 46)

/* Of a file that is not mapped as a whole, for one transmission: a few turns of a lane, and little to unmap. */
enum { WINDOW_BYTES = 4 << 20 };

bool pr_is_mapped_backing(enum pr_backing backing) {
    return backing == PR_BACKING_HUGETLB || backing == PR_BACKING_FSDAX || backing == PR_BACKING_DEVDAX;
}

/* mmap and munmap count huge pages as a whole: munmap refuses a length that ends inside one. */
static size_t mapped_length(const struct pr_generation *generation) {
    uint64_t page = generation->info.backing.page_size;
    return (size_t)((generation->info.size + page - 1) / page * page);
}

int pr_generation_map(struct pr_generation *generation) {
    const struct pr_generation_info *info = &generation->info;
    if (info->size == 0 || info->size > MOST_MAPPED || !pr_is_mapped_backing(info->backing.backing)) return 0;
    /* Without MAP_NORESERVE hugetlbfs would set a huge page aside for each one that the file does not have. */
    int flags = MAP_SHARED | MAP_NORESERVE;
    void *address = pr_sys.mmap(NULL, mapped_length(generation), PROT_READ, flags, generation->fd, 0);
    if (address == MAP_FAILED) return -errno;
    generation->address = address;
    return 0;
}

void pr_generation_unmap(struct pr_generation *generation) {
    if (generation->address) munmap((void *)(uintptr_t)generation->address, mapped_length(generation));
    generation->address = NULL;
}

bool pr_is_out_of_reach(const struct pr_generation *generation) {
    return !generation->address && pr_is_mapped_backing(generation->info.backing.backing);
}

/*
 * hugetlbfs tells of no holes (its SEEK_HOLE is the end of the file), and mincore(2) knows only pages that this mapping
 * has touched; but its blocks are the pages that are there. Pages behind its end (fallocate with FALLOC_FL_KEEP_SIZE)
 * count too: more blocks than the file is long say nothing, and a file with as many pages behind its end as it has
 * holes is taken for one without holes. DAX shows a hole as the kernel's one page of zeros.
 */
int pr_has_fillable_hole(const struct pr_generation *generation) {
    struct stat status;
    if (generation->info.backing.backing != PR_BACKING_HUGETLB) return 0;
    if (pr_sys.fstat(generation->fd, &status) < 0) return -errno;
    uint64_t page = generation->info.backing.page_size, size = (uint64_t)status.st_size;
    return (uint64_t)status.st_blocks * 512 != (size + page - 1) / page * page;
}

/* Windows. */

void pr_file_window_close(struct pr_file_window *window) {
    if (window->address) munmap(window->address, window->length);
    window->address = NULL;
}

int64_t pr_file_window_move(struct pr_file_window *window, const struct pr_generation *generation, uint64_t offset) {
    uint64_t size = generation->info.size;
    if (offset >= size) return -EINVAL;
    if (!window->address || offset < window->offset || offset - window->offset >= window->length) {
        pr_file_window_close(window);
        uint64_t start = offset - offset % WINDOW_BYTES;
        size_t length = size - start < WINDOW_BYTES ? (size_t)(size - start) : WINDOW_BYTES;
        void *address = pr_sys.mmap(NULL, length, PROT_READ, MAP_SHARED, generation->fd, (off_t)start);
        if (address == MAP_FAILED) return -errno;
        *window = (struct pr_file_window){.address = address, .offset = start, .length = length};
    }
    return (int64_t)(window->offset + window->length - offset);
}

/* Holes. */

static bool fills_holes_for_good(enum pr_backing backing) {
    return backing == PR_BACKING_TMPFS || backing == PR_BACKING_MEMFD;
}

int64_t pr_data_or_hole(const struct pr_generation *generation, uint64_t offset, uint64_t length, bool *hole) {
    *hole = pr_has_fillable_hole(generation) == 1;
    if (!fills_holes_for_good(generation->info.backing.backing)) return (int64_t)length;
    return pr_file_alike(generation->fd, offset, length, hole);
}

/* Disks. */

enum { RESIDENT_PAGES = 64 };

static bool readable_at_once(const struct pr_generation *generation, uint64_t first, uint64_t pages) {
    char byte;
    struct iovec vector = {.iov_base = &byte, .iov_len = 1};
    for (uint64_t index = first; index < first + pages; index++) {
        off_t offset = (off_t)(index * generation->info.backing.page_size);
        if (pr_sys.preadv2(generation->fd, &vector, 1, offset, RWF_NOWAIT) != 1) return false;
    }
    return true;
}

bool pr_resident(const struct pr_generation *generation, uint64_t offset, uint64_t length) {
    if (generation->info.backing.backing != PR_BACKING_PAGECACHE) return true;
    uint64_t page = generation->info.backing.page_size;
    uint64_t first = offset / page, pages = (offset + length - 1) / page - first + 1;
    if (pages > RESIDENT_PAGES) return false;
    return readable_at_once(generation, first, pages);
}

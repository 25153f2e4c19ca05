/*
 * Two ways to know. Who may see the kernel's flags of each page (CAP_SYS_ADMIN) is told of large folios of every size.
 * Anybody else can see whether a range is mapped by huge pages, and on which terms the file system makes large folios:
 * without `huge=` the only ones in it are huge pages, by collapsing (MADV_COLLAPSE, which any reader may call).
 */
#include "pages/folios.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/sys.h"
#include "pages/file.h"

/* What headers before Linux 6.7 do not have (linux/fs.h, linux/mman.h, linux/kernel-page-flags.h). */
#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22
#endif
#define IS_PRESENT   (1u << 3)
#define IS_HUGE      (1u << 6)
#define KPF_HEAD     (UINT64_C(1) << 15)
#define KPF_TAIL     (UINT64_C(1) << 16)
#define PFN_BITS     ((UINT64_C(1) << 55) - 1)
#define PAGE_PRESENT (UINT64_C(1) << 63)

struct scan_region {
    uint64_t start, end, categories;
};

struct scan {
    uint64_t size, flags, start, end, walk_end, regions, region_count, most_pages;
    uint64_t inverted, all_of, any_of, wanted;
};
#define SCAN_PAGEMAP _IOWR('f', 16, struct scan)
_Static_assert(sizeof(struct scan) == 96, "as the kernel has struct pm_scan_arg");

struct view {
    uint64_t page;            /* bytes */
    int pagemap, flags;       /* `flags`: of the kernel's pages, -1 where they may not be seen */
    char *reserved, *address; /* the file from `first` on is at `address` */
    size_t reserved_length;
    uint64_t first;
};

/* How the file system makes folios, for those who can't see them. */

/* Of "… - tmpfs SOURCE OPTIONS": whether large folios may be made there. `huge=never` is not written. */
static bool line_has_no_huge(const char *line) {
    const char *rest = strstr(line, " - tmpfs ");
    return rest && !strstr(rest, ",huge=");
}

static bool mounted_without_huge(dev_t device) {
    FILE *file = fopen("/proc/self/mountinfo", "re");
    if (!file) return false;
    char *line = NULL;
    size_t capacity = 0;
    unsigned high, low;
    bool found = false, without = true;
    while (getline(&line, &capacity, file) > 0) {
        if (sscanf(line, "%*d %*d %u:%u", &high, &low) != 2 || makedev(high, low) != device) continue;
        found = true;
        without = without && line_has_no_huge(line);
    }
    free(line);
    fclose(file);
    return found && without;
}

/* A preferred size above a page says that large folios are made, also by /sys/kernel/mm/transparent_hugepage. */
static bool makes_no_large_folios(int fd, uint64_t page) {
    struct stat status;
    if (pr_sys.fstat(fd, &status) < 0 || (uint64_t)status.st_blksize != page) return false;
    /* Where this process maps no huge pages, one that is there can't be told. */
    return prctl(PR_GET_THP_DISABLE, 0, 0, 0, 0) == 0 && mounted_without_huge(status.st_dev);
}

/* A mapping of the range that the kernel can put huge pages in. */

static pthread_once_t read_once = PTHREAD_ONCE_INIT;
static uint64_t huge_page; /* bytes; 0: the kernel makes none */

static void read_huge_page(void) {
    unsigned long long size = 0;
    FILE *file = fopen("/sys/kernel/mm/transparent_hugepage/hpage_pmd_size", "re");
    if (file && fscanf(file, "%llu", &size) == 1) huge_page = size;
    if (file) fclose(file);
}

/* What huge pages are aligned to, in the file and where they are mapped. */
static uint64_t alignment(uint64_t page) {
    pthread_once(&read_once, read_huge_page);
    return huge_page > page ? huge_page : page;
}

static int open_view(struct view *view, int fd, uint64_t offset, uint64_t end) {
    view->page = (uint64_t)sysconf(_SC_PAGESIZE);
    uint64_t unit = alignment(view->page);
    view->first = offset - offset % unit;
    size_t length = (size_t)((end - view->first + unit - 1) / unit * unit);
    view->reserved_length = length + (size_t)unit;
    char *reserved = pr_sys.mmap(NULL, view->reserved_length, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (reserved == MAP_FAILED) return -errno;
    view->reserved = reserved;
    view->address = reserved + (unit - (uint64_t)(uintptr_t)reserved % unit) % unit;
    char *mapped = pr_sys.mmap(view->address, length, PROT_READ, MAP_SHARED | MAP_FIXED, fd, (off_t)view->first);
    if (mapped == MAP_FAILED) return -errno;
    view->pagemap = pr_sys.open(AT_FDCWD, "/proc/self/pagemap", false, O_RDONLY | O_CLOEXEC);
    if (view->pagemap < 0) return -errno;
    view->flags = pr_sys.open(AT_FDCWD, "/proc/kpageflags", false, O_RDONLY | O_CLOEXEC);
    return 0;
}

static void close_view(struct view *view) {
    if (view->flags >= 0) close(view->flags);
    if (view->pagemap >= 0) close(view->pagemap);
    if (view->reserved) munmap(view->reserved, view->reserved_length);
}

/* Looking. The pages are data of the file, so that touching them takes no memory for holes. */

static char *at_in(const struct view *view, uint64_t offset) {
    return view->address + (offset - view->first);
}

/*
 * A page that was touched and is not mapped any more may still be in flight: while the kernel tries to write it to
 * swap, or to move it, it is mapped nowhere. A number of 0 is one that may not be seen.
 */
static int page_is_small(const struct view *view, uint64_t entry) {
    uint64_t flags, number = entry & PFN_BITS;
    if (!(entry & PAGE_PRESENT)) return 0;
    if (number == 0) return -EPERM;
    if (pr_sys.pread(view->flags, &flags, sizeof flags, (off_t)(number * sizeof flags)) != sizeof flags) return -EIO;
    return (flags & (KPF_HEAD | KPF_TAIL)) == 0;
}

static int pages_are_small(const struct view *view, uint64_t offset, uint64_t end) {
    enum { AT_ONCE = 512 };
    uint64_t entries[AT_ONCE];
    for (uint64_t at = offset; at < end;) {
        uint64_t left = (end - at + view->page - 1) / view->page, count = left < AT_ONCE ? left : AT_ONCE;
        off_t place = (off_t)((uint64_t)(uintptr_t)at_in(view, at) / view->page * sizeof *entries);
        size_t length = (size_t)count * sizeof *entries;
        if (pr_sys.pread(view->pagemap, entries, length, place) != (ssize_t)length) return -EIO;
        for (uint64_t index = 0; index < count; index++) {
            int small = page_is_small(view, entries[index]);
            if (small != 1) return small;
        }
        at += count * view->page;
    }
    return 1;
}

/* Every page is mapped, and none as part of a huge page: for one that is not mapped, see page_is_small. */
static int is_mapped_by_pages(const struct view *view, uint64_t offset, uint64_t end) {
    struct scan_region region;
    uint64_t length = (end - offset + view->page - 1) / view->page * view->page;
    struct scan scan = {
        .size = sizeof scan,
        .start = (uint64_t)(uintptr_t)at_in(view, offset),
        .end = (uint64_t)(uintptr_t)at_in(view, offset) + length,
        .regions = (uint64_t)(uintptr_t)&region,
        .region_count = 1,
        .inverted = IS_HUGE,
        .all_of = IS_PRESENT | IS_HUGE,
        .wanted = IS_PRESENT,
    };
    int found = pr_sys.scan_pagemap(view->pagemap, SCAN_PAGEMAP, &scan);
    return found < 0 ? -errno : found == 1 && region.start == scan.start && region.end == scan.end;
}

/* `offset` is a page's. */
static int data_is_small(const struct view *view, int fd, uint64_t offset, uint64_t end) {
    size_t length = (size_t)((end - offset + view->page - 1) / view->page * view->page);
    if (pr_sys.madvise(at_in(view, offset), length, MADV_POPULATE_READ) < 0) return -errno;
    if (view->flags >= 0) {
        int small = pages_are_small(view, offset, end);
        if (small != -EPERM) return small;
    }
    if (!makes_no_large_folios(fd, view->page)) return 0;
    return is_mapped_by_pages(view, offset, end);
}

static int view_is_small(const struct view *view, int fd, uint64_t offset, uint64_t end) {
    for (uint64_t at = offset - offset % view->page; at < end;) {
        bool hole;
        int64_t alike = pr_file_alike(fd, at, end - at, &hole);
        if (alike < 0) return (int)alike;
        int small = hole ? 1 : data_is_small(view, fd, at, at + (uint64_t)alike);
        if (small != 1) return small;
        at += (uint64_t)alike;
    }
    return 1;
}

int pr_folios_are_small(int fd, uint64_t offset, uint64_t length) {
    struct view view = {.pagemap = -1, .flags = -1};
    int result = open_view(&view, fd, offset, offset + length);
    if (result == 0) result = view_is_small(&view, fd, offset, offset + length);
    close_view(&view);
    return result == 1;
}

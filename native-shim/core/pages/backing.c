#include "pages/backing.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <linux/mempolicy.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/statfs.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/sys.h"

static int read_number(const char *path, uint64_t *number) {
    FILE *file = fopen(path, "re");
    if (!file) return -errno;
    long long value;
    int result = fscanf(file, "%lld", &value) == 1 ? 0 : -EINVAL;
    fclose(file);
    if (result == 0) *number = (uint64_t)value;
    return result;
}

/* A block device has it from the device below; a devdax one is that device. */
static int node_of_device(const char *kind, dev_t device, const char *attribute) {
    char path[64];
    uint64_t node;
    snprintf(path, sizeof path, "/sys/dev/%s/%u:%u/%s", kind, major(device), minor(device), attribute);
    return read_number(path, &node) == 0 ? (int)node : -1;
}

static int devdax(const struct stat *status, struct pr_backing_info *info) {
    char path[64], target[PATH_MAX];
    unsigned high = major(status->st_rdev), low = minor(status->st_rdev);
    snprintf(path, sizeof path, "/sys/dev/char/%u:%u/subsystem", high, low);
    ssize_t length = pr_sys.readlinkat(AT_FDCWD, path, target, sizeof target - 1);
    if (length < 0) return -EINVAL;
    target[length] = '\0';
    const char *subsystem = strrchr(target, '/');
    if (!subsystem || strcmp(subsystem, "/dax") != 0) return -EINVAL;

    snprintf(path, sizeof path, "/sys/dev/char/%u:%u/size", high, low);
    int result = read_number(path, &info->size);
    if (result < 0) return result;
    snprintf(path, sizeof path, "/sys/dev/char/%u:%u/align", high, low);
    if (read_number(path, &info->page_size) < 0) info->page_size = 2u << 20;
    info->backing = PR_BACKING_DEVDAX;
    info->node = node_of_device("char", status->st_rdev, "numa_node");
    return 0;
}

/* A memfd lives on the kernel's own tmpfs mount; only the name behind the descriptor tells it apart. */
static bool is_memfd(int fd) {
    char path[64], target[32];
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    ssize_t length = pr_sys.readlinkat(AT_FDCWD, path, target, sizeof target);
    return length >= 7 && memcmp(target, "/memfd:", 7) == 0;
}

/* The file system's word (STATX_ATTR_DAX) and the mapping's: MAP_SYNC is refused where pages are not the medium's own.
 */
static bool maps_synchronously(int fd) {
    void *address = pr_sys.mmap(NULL, 1, PROT_READ, MAP_SHARED_VALIDATE | MAP_SYNC, fd, 0);
    if (address == MAP_FAILED) return false;
    munmap(address, 1);
    return true;
}

static bool is_fsdax(int fd) {
    struct statx extended;
    /* Where a filter refuses statx, the mapping's word has to do. */
    if (pr_sys.statx(fd, "", AT_EMPTY_PATH, STATX_TYPE, &extended) < 0) return maps_synchronously(fd);
    return (extended.stx_attributes_mask & STATX_ATTR_DAX) != 0 && (extended.stx_attributes & STATX_ATTR_DAX) != 0 &&
           maps_synchronously(fd);
}

static void describe_usual(const struct stat *status, struct pr_backing_info *info) {
    info->size = (uint64_t)status->st_size;
    info->page_size = (uint64_t)sysconf(_SC_PAGESIZE);
    info->node = -1;
}

void pr_backing_is_tmpfs(const struct stat *status, struct pr_backing_info *info) {
    describe_usual(status, info);
    info->backing = PR_BACKING_TMPFS;
}

static int regular_file(int fd, const struct stat *status, struct pr_backing_info *info) {
    struct statfs filesystem;
    if (pr_sys.fstatfs(fd, &filesystem) < 0) return -errno;
    describe_usual(status, info);
    if (filesystem.f_type == HUGETLBFS_MAGIC) {
        info->backing = PR_BACKING_HUGETLB;
        info->page_size = (uint64_t)filesystem.f_bsize;
    } else if (filesystem.f_type == TMPFS_MAGIC) {
        info->backing = is_memfd(fd) ? PR_BACKING_MEMFD : PR_BACKING_TMPFS;
    } else if (is_fsdax(fd)) {
        info->backing = PR_BACKING_FSDAX;
        info->node = node_of_device("block", status->st_dev, "device/numa_node");
    } else {
        info->backing = PR_BACKING_PAGECACHE;
    }
    return 0;
}

int pr_backing_of(int fd, struct pr_backing_info *info) {
    struct stat status;
    if (pr_sys.fstat(fd, &status) < 0) return -errno;
    if (S_ISREG(status.st_mode)) return regular_file(fd, &status, info);
    if (S_ISCHR(status.st_mode)) return devdax(&status, info);
    return -EINVAL;
}

/* move_pages tells of pages that are mapped already, and moves none without a list of nodes. */
static int node_by_move_pages(const void *address) {
    int node = -1;
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    void *start = (void *)(uintptr_t)((uintptr_t)address & ~((uintptr_t)page - 1));
    if (pr_sys.madvise(start, page, MADV_POPULATE_READ) < 0) return -1;
    return pr_sys.move_pages(&start, &node) == 0 && node >= 0 ? node : -1;
}

int pr_node_of_page(const void *address) {
    int node = -1;
    long result = pr_sys.get_mempolicy(&node, address, MPOL_F_NODE | MPOL_F_ADDR);
    if (result == 0) return node;
    return errno == EPERM || errno == ENOSYS ? node_by_move_pages(address) : -1;
}

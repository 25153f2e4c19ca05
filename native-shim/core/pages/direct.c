#include "pages/direct.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>

#include "base/sys.h"
#include "pages/file.h"

/* What headers before Linux 6.1 do not have: where struct statx has stx_dio_mem_align and then stx_dio_offset_align. */
#ifndef STATX_DIOALIGN
#define STATX_DIOALIGN 0x2000U
#endif
enum { DIO_ALIGNMENTS = 152 };

static uint64_t page_size(void) {
    return (uint64_t)sysconf(_SC_PAGESIZE);
}

/*
 * What a file system says of its files is believed of these two alone. btrfs also accepts direct writes to files with
 * checksums, and writes those to cached pages.
 */
static bool is_known(const struct statfs *filesystem) {
    bool known = filesystem->f_type == EXT4_SUPER_MAGIC || filesystem->f_type == XFS_SUPER_MAGIC;
    return known && (uint64_t)filesystem->f_bsize <= page_size();
}

static bool is_promised(const struct statx *status) {
    uint32_t alignments[2];
    memcpy(alignments, (const char *)status + DIO_ALIGNMENTS, sizeof alignments);
    bool told = (status->stx_mask & STATX_DIOALIGN) != 0 && alignments[0] > 0 && alignments[1] > 0;
    told = told && (status->stx_attributes & STATX_ATTR_DAX) == 0; /* there are no other pages than the medium's */
    return told && PR_DIRECT_ALIGNMENT % alignments[0] == 0 && PR_DIRECT_ALIGNMENT % alignments[1] == 0;
}

int pr_direct_alignment(int fd) {
    struct statfs filesystem;
    struct statx status;
    if (pr_sys.fstatfs(fd, &filesystem) < 0) return -errno;
    if (!is_known(&filesystem)) return -EOPNOTSUPP;
    if (pr_sys.statx(fd, "", AT_EMPTY_PATH, STATX_DIOALIGN, &status) < 0) return -errno;
    return is_promised(&status) ? 0 : -EOPNOTSUPP;
}

int pr_direct_fits(int fd, uint64_t offset, uint64_t length) {
    uint64_t page = page_size(), end = (offset + length + page - 1) / page * page;
    struct stat status;
    if (pr_direct_alignment(fd) < 0 || pr_sys.fstat(fd, &status) < 0) return 0;
    return end <= (uint64_t)status.st_size;
}

int pr_direct_open(int fd) {
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    return pr_file_open(AT_FDCWD, path, false, O_RDWR | O_DIRECT);
}

#include "pages/looks.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/sys.h"
#include "pages/tree.h"

/* Nanoseconds: half of what a list takes of one turn of the event loop. */
enum { LONGEST = 2000000 };

/* What readdir never gives as a file, and what would lead out of the folder. */
static bool is_name(const char *name) {
    return *name && strcmp(name, ".") != 0 && strcmp(name, "..") != 0;
}

static int stat_name(int folder, const char *name, struct stat *status) {
    if (!is_name(name)) return -EINVAL;
    if (pr_sys.fstatat(folder, name, status, AT_SYMLINK_NOFOLLOW) < 0) return -errno;
    return S_ISREG(status->st_mode) ? 0 : S_ISLNK(status->st_mode) ? -ELOOP : -EINVAL;
}

static void tell(const struct stat *status, double *numbers) {
    const double told[PR_LOOK_NUMBERS] = {
        (double)status->st_dev,          (double)status->st_ino,          (double)status->st_size,
        (double)status->st_mtim.tv_sec,  (double)status->st_mtim.tv_nsec, (double)status->st_ctim.tv_sec,
        (double)status->st_ctim.tv_nsec,
    };
    memcpy(numbers, told, sizeof told);
}

int pr_looks(struct pr_relay *relay, uint64_t tree, const char *folder, char *names, double *numbers, size_t most) {
    int fd = pr_tree_folder(relay, tree, *folder ? folder : "."), looks = 0;
    if (fd < 0) return fd;
    uint64_t end = pr_now() + LONGEST;
    for (char *name = names; name && (size_t)looks < most && (looks == 0 || pr_now() < end); looks++) {
        char *slash = strchr(name, '/');
        if (slash) *slash = 0;
        struct stat status;
        int result = stat_name(fd, name, &status);
        double *of_this = numbers + looks * PR_LOOK_NUMBERS;
        if (result < 0)
            *of_this = result;
        else
            tell(&status, of_this);
        name = slash ? slash + 1 : NULL;
    }
    close(fd);
    return looks;
}

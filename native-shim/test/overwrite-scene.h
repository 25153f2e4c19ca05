/* A folder for notes, and files that are overwritten in place. */
#ifndef OVERWRITE_SCENE_H
#define OVERWRITE_SCENE_H

#include "test.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "pages/direct.h"
#include "pages/overwrite.h"

enum { PAGE = 4096, CHUNK = 256 << 10, SIZE = 3 * CHUNK + 5 * PAGE + 1234, LENGTH = 64 << 10 };

#define HEADING "what it is about\n"

static uint64_t random_state;
static bool direct_is_here;
static char folder[] = "/tmp/pagerelay-overwrite-XXXXXX", note[64], elsewhere[64];

static inline unsigned files_in_folder(void) {
    unsigned count = 0;
    DIR *directory = opendir(folder);
    CHECK(directory);
    while (readdir(directory)) count++;
    closedir(directory);
    return count - 2; /* . and .. */
}

static inline void check_no_note(void) {
    CHECK_EQUAL(files_in_folder(), 0);
}

static inline struct pr_overwrite plan(int to, int from, uint64_t offset, uint64_t length, enum pr_means means) {
    return (struct pr_overwrite){
        .to = to,
        .from = from,
        .offset = offset,
        .length = length,
        .page_size = PAGE,
        .file_size = file_size(to),
        .means = means,
        .note = note,
        .heading = HEADING,
    };
}

static inline int overwrite_one(const struct pr_overwrite *what, bool *undone) {
    struct pr_overwritten ended;
    pr_overwrite_all(what, &ended, 1);
    *undone = ended.undone;
    return ended.result;
}

static inline int overwrite(int to, int from, uint64_t offset, uint64_t length, enum pr_means means) {
    struct pr_overwrite what = plan(to, from, offset, length, means);
    bool undone;
    int result = overwrite_one(&what, &undone);
    CHECK(result == 0 || undone);
    check_no_note();
    return result;
}

static inline int file_for(enum pr_means means) {
    return means == PR_MEANS_DIRECT ? file_on_disk() : file_on_tmpfs();
}

static inline void scene_begin(void) {
    pr_faults_enable();
    random_state = test_seed();
    CHECK(mkdtemp(folder));
    snprintf(note, sizeof note, "%s/note", folder);
    snprintf(elsewhere, sizeof elsewhere, "%s/elsewhere", folder);
    int disk = file_on_disk();
    direct_is_here = pr_direct_alignment(disk) == 0;
    close(disk);
    if (!direct_is_here) printf("  SKIPPED: direct writes, which /tmp does not promise\n");
}

static inline void scene_end(void) {
    MUST(rmdir(folder));
}

#endif

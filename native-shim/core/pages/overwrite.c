#include "pages/overwrite.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/falloc.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/sys.h"
#include "pages/direct.h"
#include "pages/file.h"

/* What is written at a time; where pages are punched out, also what is zeros for a moment. */
enum { CHUNK = 256 << 10 };

/* Putting back is tried so often, with pauses of so many milliseconds. */
enum { TRIES = 5, PAUSE = 50 };

/* What is put back at a time. */
enum { PIECE = 4 << 10 };

/* One overwrite under way, and what it is undone by. */
struct work {
    const struct pr_overwrite *overwrite;
    uint64_t first, end; /* the span */
    uint64_t changed;    /* from `first` up to here the file may hold other bytes than the old ones */
    char *note;          /* as it is written: the heading, and behind it */
    char *old;           /* the old bytes of the span */
    int note_fd;         /* -1: there is no note, and nothing was changed */
    int direct;          /* the file past the page cache; -1: only for direct writes it is opened so */
};

void pr_overwrite_span(const struct pr_overwrite *overwrite, uint64_t *first, uint64_t *end) {
    uint64_t page = overwrite->page_size, last = overwrite->offset + overwrite->length;
    *first = overwrite->offset;
    *end = last;
    if (overwrite->means == PR_MEANS_WAIT) return;
    *first -= *first % page;
    *end = (last + page - 1) / page * page;
    if (*end > overwrite->file_size) *end = overwrite->file_size;
}

static int keep_old(struct work *work) {
    size_t heading = strlen(work->overwrite->heading), length = (size_t)(work->end - work->first);
    work->note = pr_allocate(1, heading + length);
    if (!work->note) return -ENOMEM;
    memcpy(work->note, work->overwrite->heading, heading);
    work->old = work->note + heading;
    return pr_file_read(work->overwrite->to, work->old, length, work->first);
}

/* The note. */

/* Under another name until it is whole. */
static int write_note(struct work *work) {
    const char *path = work->overwrite->note;
    char unfinished[PATH_MAX];
    size_t length = (size_t)(work->old - work->note) + (size_t)(work->end - work->first);
    if (snprintf(unfinished, sizeof unfinished, "%s.new", path) >= (int)sizeof unfinished) return -ENAMETOOLONG;
    int fd = pr_file_open(AT_FDCWD, unfinished, false, O_WRONLY | O_CREAT | O_EXCL);
    if (fd < 0) return fd;
    int result = pr_file_write(fd, work->note, length, 0);
    if (result == 0 && pr_sys.rename(unfinished, path) < 0) result = -errno;
    if (result == 0) {
        work->note_fd = fd;
        return 0;
    }
    pr_sys.unlink(unfinished);
    close(fd);
    return result;
}

/* A note that outlived what was written since would undo that: one that can't be removed is emptied. */
static int drop_note(struct work *work) {
    if (work->note_fd < 0) return 0;
    bool gone = pr_sys.unlink(work->overwrite->note) == 0 || errno == ENOENT;
    if (!gone && pr_sys.ftruncate(work->note_fd, 0) < 0) return -errno;
    close(work->note_fd);
    work->note_fd = -1;
    return 0;
}

/* The new bytes. */

/* To the end of the last page, also behind the end of the file: only whole pages are let go, others are zeroed. */
static int punch(struct work *work, uint64_t first, uint64_t end) {
    uint64_t page = work->overwrite->page_size, whole = (end + page - 1) / page * page - first;
    int fd = work->overwrite->to, result;
    do result = pr_sys.fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)first, (off_t)whole);
    while (result < 0 && errno == EINTR);
    if (result < 0) return -errno;
    work->changed = end;
    return 0;
}

/* A direct write that fails may have written some of its bytes all the same. */
static int write_part(struct work *work, const char *bytes, uint64_t first, uint64_t end) {
    bool direct = work->direct >= 0;
    uint64_t reached = first;
    if (direct) work->changed = end;
    int result = pr_file_write_on(direct ? work->direct : work->overwrite->to, bytes, (size_t)(end - first), &reached);
    if (reached > work->changed) work->changed = reached;
    return result;
}

/* The new bytes of [first, end), and the old ones around them. */
static int write_chunk(struct work *work, char *buffer, uint64_t first, uint64_t end) {
    const struct pr_overwrite *overwrite = work->overwrite;
    uint64_t last = overwrite->offset + overwrite->length;
    uint64_t from = overwrite->offset > first ? overwrite->offset : first, to = last < end ? last : end;
    uint64_t source = from - overwrite->offset;
    char *new_bytes = buffer + (from - first);
    int result = 0;
    memcpy(buffer, work->old + (first - work->first), (size_t)(from - first));
    memcpy(buffer + (to - first), work->old + (to - work->first), (size_t)(end - to));
    if (overwrite->bytes)
        memcpy(new_bytes, (const char *)overwrite->bytes + source, (size_t)(to - from));
    else
        result = pr_file_read(overwrite->from, new_bytes, (size_t)(to - from), source);
    if (result == 0 && overwrite->means == PR_MEANS_PUNCH) result = punch(work, first, end);
    return result == 0 ? write_part(work, buffer, first, end) : result;
}

static char *aligned(char *memory) {
    uintptr_t beyond = (uintptr_t)memory % PR_DIRECT_ALIGNMENT;
    return beyond == 0 ? memory : memory + (PR_DIRECT_ALIGNMENT - beyond);
}

static int write_new(struct work *work) {
    uint64_t length = work->end - work->first;
    char *memory = pr_allocate(1, (length < CHUNK ? (size_t)length : CHUNK) + PR_DIRECT_ALIGNMENT);
    int result = memory ? 0 : -ENOMEM;
    for (uint64_t at = work->first; result == 0 && at < work->end;) {
        uint64_t next = (at / CHUNK + 1) * CHUNK < work->end ? (at / CHUNK + 1) * CHUNK : work->end;
        result = write_chunk(work, aligned(memory), at, next);
        at = next;
    }
    pr_free(memory);
    return result;
}

/* The old bytes. */

/*
 * What is old already is let be: on a full tmpfs a hole can't be filled, not even with its own zeros. After a direct
 * write that failed only the medium tells what is there.
 */
static bool is_old(const struct work *work, uint64_t at, size_t length) {
    _Alignas(PR_DIRECT_ALIGNMENT) char now[PIECE];
    int fd = work->direct >= 0 ? work->direct : work->overwrite->to;
    return work->overwrite->means != PR_MEANS_WAIT && pr_file_read(fd, now, length, at) == 0 &&
           memcmp(now, work->old + (at - work->first), length) == 0;
}

/*
 * Through the page cache, whatever the means: of the pages there that are in flight each has the old bytes, and gets
 * them once more. New bytes are in none, for the lease keeps readers out.
 */
static int put_back_once(const struct work *work) {
    int result = 0;
    for (uint64_t at = work->first; result == 0 && at < work->changed; at += PIECE) {
        size_t length = work->changed - at < PIECE ? (size_t)(work->changed - at) : PIECE;
        if (is_old(work, at, length)) continue;
        result = pr_file_write(work->overwrite->to, work->old + (at - work->first), length, at);
    }
    return result == 0 && !work->overwrite->unsynced ? pr_file_sync(work->overwrite->to) : result;
}

static bool put_back(const struct work *work) {
    if (work->changed == work->first) return true;
    for (int tries = 1; put_back_once(work) < 0; tries++) {
        if (tries == TRIES) return false;
        poll(NULL, 0, PAUSE);
    }
    return true;
}

static bool undo(struct work *work) {
    return put_back(work) && drop_note(work) == 0;
}

/*
 * Direct writes and calls that send the same pages exclude one another by the lease: it was granted when sockets had
 * accepted what was being sent, and it keeps new readers out. That nobody stores through a mapping is for the caller.
 */
static int open_direct(struct work *work) {
    if (work->overwrite->means != PR_MEANS_DIRECT) return 0;
    uint64_t page = work->overwrite->page_size;
    pr_assert(page % PR_DIRECT_ALIGNMENT == 0 && work->first % page == 0 && work->end % page == 0);
    work->direct = pr_direct_open(work->overwrite->to);
    return work->direct < 0 ? work->direct : 0;
}

/* Up to where the new bytes are in the file, but not durable. */
static int begin_overwrite(struct work *work, const struct pr_overwrite *overwrite) {
    *work = (struct work){.overwrite = overwrite, .note_fd = -1, .direct = -1};
    pr_overwrite_span(overwrite, &work->first, &work->end);
    work->changed = work->first;
    int result = open_direct(work);
    if (result == 0) result = keep_old(work);
    if (result == 0) result = write_note(work);
    return result == 0 ? write_new(work) : result;
}

static struct pr_overwritten end_overwrite(struct work *work, int result) {
    if (result == 0) result = drop_note(work);
    bool undone = result < 0 && undo(work);
    if (work->note_fd >= 0) close(work->note_fd);
    if (work->direct >= 0) close(work->direct);
    pr_free(work->note);
    return (struct pr_overwritten){.result = result, .undone = undone};
}

void pr_overwrite_all(const struct pr_overwrite *overwrites, struct pr_overwritten *ended, size_t count) {
    struct work *works = pr_allocate(count, sizeof *works);
    bool any = false;
    for (size_t at = 0; at < count; at++) {
        int result = works ? begin_overwrite(&works[at], &overwrites[at]) : -ENOMEM;
        any = any || result == 0;
        ended[at] = (struct pr_overwritten){.result = result, .undone = true};
    }
    int flushed = any && !overwrites[0].unsynced ? pr_file_sync(overwrites[0].to) : 0;
    for (size_t at = 0; works && at < count; at++) {
        int result = ended[at].result;
        ended[at] = end_overwrite(&works[at], result == 0 ? flushed : result);
    }
    pr_free(works);
}

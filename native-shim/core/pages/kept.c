#include "pages/kept.h"

#include <errno.h>

#include "base/sys.h"
#include "pages/file.h"

int pr_kept_reserve(struct pr_relay *relay, uint64_t bytes) {
    uint64_t kept = 0; /* of each part it can be below zero: what one has kept another gives back */
    for (unsigned part = 0; part < relay->part_count; part++) kept += relay->parts[part].counters.kept_bytes;
    if (bytes > PR_MOST_KEPT_FOR_ONE || kept + bytes > PR_MOST_KEPT) return -ENOBUFS;
    pr_node_part(relay)->counters.kept_bytes += bytes;
    return 0;
}

void pr_kept_forgo(struct pr_part *part, uint64_t bytes) {
    part->counters.kept_bytes -= bytes;
}

static void dispose_kept(struct pr_garbage *garbage) {
    pr_free(pr_container(garbage, struct pr_kept, garbage));
}

int pr_kept_read(int fd, const struct pr_pages *of, struct pr_kept **kept) {
    size_t length = (size_t)(of->end - of->first);
    *kept = pr_allocate(1, sizeof **kept + length);
    if (!*kept) return -ENOMEM;
    pr_garbage_init(&(*kept)->garbage, dispose_kept);
    (*kept)->users = 1;
    (*kept)->of = *of;
    int result = pr_file_read(fd, (*kept)->bytes, length, of->first);
    if (result < 0) pr_free(*kept);
    return result;
}

/* Freeing many megabytes takes a while: not under the lock. */
void pr_kept_give(struct pr_kept *kept, struct pr_part *part) {
    if (atomic_fetch_sub(&kept->users, 1) > 1) return;
    pr_kept_forgo(part, kept->of.end - kept->of.first);
    pr_discard_later(part, &kept->garbage);
}

void pr_kept_give_segment(struct pr_segment *segment, struct pr_part *part) {
    if (!segment->kept) return;
    pr_kept_give(segment->kept, part);
    segment->kept = NULL;
    segment->literal = "";
}

/* What is not sent yet of a segment, of these bytes of the file; `before`: bytes of the body in front of it. */
static bool find_unsent(const struct pr_reference *reference, const struct pr_segment *segment, uint64_t before,
                        const struct pr_pages *of, struct pr_pages *unsent) {
    uint64_t skip = reference->sent > before ? reference->sent - before : 0;
    if (segment->literal || skip >= segment->length) return false;
    uint64_t first = segment->offset + skip, end = segment->offset + segment->length;
    unsent->first = first > of->first ? first : of->first;
    unsent->end = end < of->end ? end : of->end;
    return unsent->first < unsent->end;
}

void pr_kept_widen(const struct pr_reference *reference, const struct pr_pages *of, struct pr_pages *unsent) {
    uint64_t before = 0;
    for (size_t index = 0; index < reference->segment_count; index++) {
        const struct pr_segment *segment = &reference->segments[index];
        struct pr_pages part;
        if (find_unsent(reference, segment, before, of, &part)) {
            if (part.first < unsent->first) unsent->first = part.first;
            if (part.end > unsent->end) unsent->end = part.end;
        }
        before += segment->length;
    }
}

/* Segments that are counted, and written where there is room for them. */
struct written {
    struct pr_segment *into;
    size_t count;
};

static void write_segment(struct written *written, struct pr_segment segment) {
    if (segment.length == 0) return;
    if (written->into) written->into[written->count] = segment;
    written->count++;
}

/* What lies in front of the part that is kept, the part, and what is behind it. */
static void write_split(struct written *written, struct pr_segment extent, const struct pr_pages *part,
                        struct pr_kept *kept) {
    uint64_t end = extent.offset + extent.length;
    write_segment(written, (struct pr_segment){.offset = extent.offset, .length = part->first - extent.offset});
    write_segment(written, (struct pr_segment){.literal = kept->bytes + (part->first - kept->of.first),
                                               .length = part->end - part->first,
                                               .kept = kept});
    write_segment(written, (struct pr_segment){.offset = part->end, .length = end - part->end});
    if (written->into) atomic_fetch_add(&kept->users, 1);
}

size_t pr_kept_split(const struct pr_reference *reference, struct pr_kept *kept, struct pr_segment *into) {
    struct written written = {.into = into};
    uint64_t before = 0;
    bool any = false;
    for (size_t index = 0; index < reference->segment_count; index++) {
        const struct pr_segment *segment = &reference->segments[index];
        struct pr_pages part;
        bool splits = find_unsent(reference, segment, before, &kept->of, &part);
        any |= splits;
        if (splits)
            write_split(&written, *segment, &part, kept);
        else
            write_segment(&written, *segment);
        before += segment->length;
    }
    return any ? written.count : 0;
}

#include "http/opening.h"

#include <errno.h>
#include <string.h>

#include "base/shared.h"
#include "base/sys.h"
#include "http/layer.h"
#include "pages/current.h"

/* How often the path of a region is looked at, at most. */
#define LOOK_AT_PATH 20000000u /* ns */

/* Descriptors that lanes may have opened, and Node not taken over, before they leave opening to Node. */
enum { MOST_OPENED = 1024 };

/* As it was seen, in all of its bytes. */
static bool is_as_seen(const struct pr_seen_file *file, const struct pr_generation *generation) {
    const struct pr_generation_info *info = &generation->info;
    return generation->file_size == info->size && pr_is_as_seen(file, info) && file->backing == info->backing.backing;
}

bool pr_published_is_at_version(const struct pr_inode *inode, const struct pr_publication *is) {
    return inode->epoch == is->epoch && inode->version == is->version;
}

static bool is_as_published(const struct pr_inode *inode, const struct pr_publication *is) {
    return pr_published_is_at_version(inode, is) && inode->changing == 0;
}

struct pr_generation *pr_published_generation(struct pr_relay *relay, const struct pr_published *published) {
    struct pr_generation *generation = pr_slots_find(&relay->slots, PR_KIND_GENERATION, published->is.generation);
    return generation && !generation->closed ? generation : NULL;
}

bool pr_published_is_stale(struct pr_relay *relay, const struct pr_published *published) {
    const struct pr_publication *is = &published->is;
    const struct pr_inode *inode = pr_inode_find(relay, is->file.device, is->file.inode);
    return inode && (inode->epoch > 0 || inode->version > 0 || inode->changing > 0) && !is_as_published(inode, is);
}

void pr_published_fetch(struct pr_part *part, const struct pr_published *published) {
    const struct pr_generation *generation = pr_published_generation(part->relay, published);
    if (!generation) return;
    pr_fetch(generation, offsetof(struct pr_generation, info.nodes));
    pr_fetch(&generation->held[part->index], sizeof(struct pr_list));
}

bool pr_published_is_current(struct pr_relay *relay, const struct pr_published *published, uint64_t *id,
                             struct pr_validators *validators) {
    const struct pr_generation *generation = pr_published_generation(relay, published);
    *id = generation ? generation->id : 0;
    bool is_current = generation ? !generation->cut && pr_generation_is_in_step(generation) : published->opens;
    return is_current && pr_validators_find(published, generation, validators);
}

void pr_published_may_open(struct pr_published *published, const struct pr_publication *ahead,
                           const struct pr_generation *generation) {
    const struct pr_publication *is = &published->is;
    if (!is_as_seen(&ahead->file, generation) || !pr_text_equal(is->etag, ahead->etag)) return;
    if (is->tree != ahead->tree || is->epoch != ahead->epoch || is->version != ahead->version) return;
    published->is.file = ahead->file;
    published->opens = true;
}

/* Node knows of it, or nobody needs to any more. */
static void take_out(struct pr_relay *relay, struct pr_published *published) {
    pr_list_remove(&published->opened);
    relay->http->opened_count--;
}

void pr_published_close_opened(struct pr_relay *relay, struct pr_published *published) {
    if (pr_list_empty(&published->opened)) return;
    struct pr_generation *generation = pr_published_generation(relay, published);
    take_out(relay, published);
    if (generation) pr_generation_shut(generation);
}

/* Node knows a generation by one name alone. */
static bool is_opened_by(const struct pr_generation *generation, const struct pr_publication *is) {
    return generation->tree == is->tree && strcmp(generation->path, is->name.at) == 0;
}

/*
 * Under all locks: an opening of the same file by the same name that there is already, by Node or for another spelling.
 */
static struct pr_generation *find_other(struct pr_relay *relay, const struct pr_published *published) {
    const struct pr_seen_file *file = &published->is.file;
    struct pr_inode *inode = pr_inode_find(relay, file->device, file->inode);
    if (!inode) return NULL;
    pr_list_each(node, &inode->generations) {
        struct pr_generation *generation = pr_container(node, struct pr_generation, of_inode);
        if (generation->closed || !is_opened_by(generation, &published->is)) continue;
        if (generation->id && is_as_seen(file, generation)) return generation;
    }
    return NULL;
}

/* Under all locks: 0, or why it is not to be answered from this. */
static int answer_from(struct pr_published *published, struct pr_generation *generation, uint64_t *id) {
    struct pr_inode *inode = generation->inode;
    const struct pr_publication *is = &published->is;
    if (inode->epoch == 0 && inode->version == 0 && inode->changing == 0) {
        inode->epoch = is->epoch;
        inode->version = is->version;
    }
    if (!is_as_published(inode, is) || !pr_generation_follow(generation)) return -ESTALE;
    *id = published->is.generation = generation->id;
    return 0;
}

/* Under all locks: what this lane has opened is to be told to Node. */
static int announce(struct pr_relay *relay, struct pr_published *published) {
    struct pr_http_layer *http = relay->http;
    int result = pr_events_reserve(relay, 1);
    if (result < 0) return result;
    if (http->opened_count++ == 0) pr_event_add(relay, (struct pr_event){.kind = PR_EVENT_OPENED});
    pr_list_append(&http->opened, &published->opened);
    return 0;
}

/* Under all locks: whether the file was opened meanwhile, or before, by somebody else. */
static bool is_open_elsewhere(struct pr_relay *relay, struct pr_published *published, uint64_t *id, int *result) {
    struct pr_generation *other = pr_published_generation(relay, published);
    if (!other) other = find_other(relay, published);
    if (other) *result = answer_from(published, other, id);
    return other != NULL;
}

/* Under all locks: what a lane has just opened is what the region is answered from, unless somebody else was first. */
static int keep_opened(struct pr_relay *relay, struct pr_published *published, uint64_t opened, uint64_t *id) {
    struct pr_generation *generation = pr_slots_find(&relay->slots, PR_KIND_GENERATION, opened);
    bool is_same = is_as_seen(&published->is.file, generation);
    int result = -ESTALE;
    generation->closed = true; /* or it would be found as its own other */
    if (!is_same || published->is_withdrawn) {
        pr_generation_settle(generation);
        return -ESTALE;
    }
    if (is_open_elsewhere(relay, published, id, &result)) {
        pr_generation_settle(generation);
        return result;
    }
    generation->closed = false;
    result = answer_from(published, generation, id);
    if (result == 0) result = announce(relay, published);
    if (result < 0) pr_generation_shut(generation);
    return result;
}

static bool is_shortage(int result) {
    return result == -EMFILE || result == -ENFILE || result == -ENOMEM;
}

static int open_file(struct pr_relay *relay, struct pr_published *published, uint64_t *id, uint64_t now) {
    const struct pr_publication *is = &published->is;
    struct pr_generation_info info;
    uint64_t opened;
    int result = 0;
    pr_lock(relay);
    bool is_open = is_open_elsewhere(relay, published, id, &result);
    const struct pr_seen_file seen = is->file; /* which Node may be telling again */
    bool full = relay->http->opened_count >= MOST_OPENED;
    pr_unlock(relay);
    if (is_open || full) return is_open ? result : -EMFILE;
    result = pr_generation_open_seen(relay, is->tree, is->name.at, &seen, &opened, &info);
    if (result < 0) return is_shortage(result) ? result : -ESTALE;
    pr_generation_set_copying(relay, opened, seen.copying);
    pr_lock(relay);
    result = keep_opened(relay, published, opened, id);
    if (result == 0) published->looked_at = now;
    pr_unlock(relay);
    return result;
}

int pr_published_look(struct pr_part *part, struct pr_published *published, uint64_t *id, uint64_t now) {
    const struct pr_publication *is = &published->is;
    if (*id == 0) {
        int result = open_file(part->relay, published, id, now);
        if (result < 0) return result;
    }
    /* Caches keep one version for good, so each answer of it is looked at. */
    if (!is->one_version && published->looked_at + LOOK_AT_PATH > now) return 0;
    if (pr_generation_is_still_at(part, *id, is->tree, is->name.at) != 1) return -ESTALE;
    published->looked_at = now;
    return 0;
}

/* What Node takes over. */

int pr_take_opened(struct pr_relay *relay, struct pr_opened *opened) {
    struct pr_http_layer *http = relay->http;
    int result = -ENOENT;
    pr_lock(relay);
    while (result < 0 && !pr_list_empty(&http->opened)) {
        struct pr_published *published = pr_container(http->opened.next, struct pr_published, opened);
        struct pr_generation *generation = pr_published_generation(relay, published);
        /* What was changed since is not what Node would take it for. */
        bool good = generation && is_as_seen(&published->is.file, generation) &&
                    is_as_published(generation->inode, &published->is);
        if (good) {
            published->uses++;
            *opened = (struct pr_opened){published, generation->id, generation->info};
            take_out(relay, published);
            result = 0;
        } else {
            pr_published_close_opened(relay, published);
        }
    }
    pr_unlock(relay);
    return result;
}

void pr_opened_give(struct pr_relay *relay, const struct pr_opened *opened) {
    pr_lock(relay);
    opened->published->uses--;
    pr_unlock(relay);
}

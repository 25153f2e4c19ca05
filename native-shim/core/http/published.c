#include "http/published.h"

#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "base/shared.h"
#include "base/siphash.h"
#include "base/sys.h"
#include "http/layer.h"
#include "http/opening.h"
#include "http/template.h"
#include "http/validators.h"
#include "lanes/layer.h"
#include "pages/generation.h"

/* For one more another one is forgotten, and published anew when it is asked for. */
enum { MOST_PUBLISHED = 1 << 17 };

/* Of them, that nobody has asked for. */
enum { MOST_AHEAD = 100000 };

enum { FIRST_BUCKETS = 64 };

enum { LEAST_TO_SWEEP = 16 };

/* What every answer reads of a region, and its texts. */
static void fetch_region(const struct pr_published *published) {
    pr_fetch(published, offsetof(struct pr_published, is.file));
    pr_fetch(&published[1], PR_CACHE_LINE);
}

/* By a hash that nobody outside can compute: clients can't choose paths that collide. */
static uint32_t hash_of(const struct pr_table *table, struct pr_text path) {
    return (uint32_t)pr_siphash(table->key, path.at, path.length);
}

static struct pr_list *bucket_by(const struct pr_table *table, uint32_t hash) {
    return &table->buckets[hash & (table->capacity - 1)];
}

static struct pr_list *new_buckets(size_t count) {
    struct pr_list *buckets = pr_allocate(count, sizeof *buckets);
    for (size_t at = 0; buckets && at < count; at++) pr_list_init(&buckets[at]);
    return buckets;
}

/* Room for one more. Most buckets have one region at most: another one would have to be fetched to be passed over. */
static int enlarge(struct pr_table *table) {
    if (2 * table->used < table->capacity) return 0;
    struct pr_list *before = table->buckets;
    size_t count = table->capacity, capacity = count ? 2 * count : FIRST_BUCKETS;
    struct pr_list *buckets = new_buckets(capacity);
    if (!buckets) return -ENOMEM;
    table->buckets = buckets;
    table->capacity = capacity;
    for (size_t at = 0; at < count; at++) pr_list_each(node, &before[at]) {
            struct pr_published *published = pr_container(node, struct pr_published, bucket);
            pr_list_remove(node);
            pr_list_append(bucket_by(table, published->hash), node);
        }
    pr_free(before);
    return 0;
}

struct pr_published *pr_published_find(const struct pr_relay *relay, struct pr_text path) {
    const struct pr_table *table = &relay->http->published;
    if (table->used == 0) return NULL;
    const uint32_t hash = hash_of(table, path);
    pr_list_each(node, bucket_by(table, hash)) {
        struct pr_published *published = pr_container(node, struct pr_published, bucket);
        fetch_region(published);
        if (published->hash == hash && pr_text_equal(published->is.path, path)) return published;
    }
    return NULL;
}

static void free_published(struct pr_published *published) {
    pr_template_give(published->template);
    pr_free(published);
}

static void mark_answering(const struct pr_lane *lane, uint64_t sweep) {
    if (!lane->http) return;
    pr_list_each(node, &lane->http->answering) {
        struct pr_published *published = pr_container(node, struct pr_responder, waiting)->published;
        if (published) published->seen = sweep;
    }
}

/* Frees what is withdrawn and nobody answers by, once it is as much again as was left the last time. */
static void sweep(struct pr_relay *relay) {
    struct pr_table *table = &relay->http->published;
    table->sweeps++;
    for (unsigned index = 0; index < relay->lanes->count; index++)
        mark_answering(&relay->lanes->list[index], table->sweeps);
    pr_list_each(node, &table->withdrawn) {
        struct pr_published *published = pr_container(node, struct pr_published, bucket);
        if (published->seen == table->sweeps || published->uses > 0) continue;
        pr_list_remove(node);
        table->waiting--;
        free_published(published);
    }
    table->sweep_at = 2 * table->waiting + LEAST_TO_SWEEP;
}

static void withdraw(struct pr_relay *relay, struct pr_published *published) {
    struct pr_table *table = &relay->http->published;
    if (published->is_withdrawn) return;
    published->is_withdrawn = true;
    pr_published_close_opened(relay, published);
    pr_list_remove(&published->bucket);
    pr_list_append(&table->withdrawn, &published->bucket);
    table->waiting++;
    table->used--;
    pr_node_part(relay)->counters.published--;
}

void pr_published_withdraw(struct pr_relay *relay, struct pr_published *published) {
    withdraw(relay, published);
    if (relay->http->published.waiting >= relay->http->published.sweep_at) sweep(relay);
}

static void withdraw_all(struct pr_relay *relay) {
    struct pr_table *table = &relay->http->published;
    for (size_t at = 0; at < table->capacity; at++)
        pr_list_each(node, &table->buckets[at]) withdraw(relay, pr_container(node, struct pr_published, bucket));
    sweep(relay);
}

/* One of those that nobody has used lately, for all that is known. */
static void make_room(struct pr_relay *relay) {
    struct pr_table *table = &relay->http->published;
    while (pr_list_empty(&table->buckets[table->hand])) table->hand = (table->hand + 1) & (table->capacity - 1);
    pr_published_withdraw(relay, pr_container(table->buckets[table->hand].next, struct pr_published, bucket));
}

static bool ends_with(struct pr_text text, struct pr_text end) {
    return text.length >= end.length && memcmp(text.at + text.length - end.length, end.at, end.length) == 0;
}

/* But for what is in its template. Most names are the end of their paths. */
static struct pr_published *copy_of(const struct pr_publication *given) {
    bool names_end = ends_with(given->path, given->name);
    const size_t texts = given->path.length + given->etag.length + given->last_modified.length;
    struct pr_published *published =
        pr_allocate(1, sizeof *published + texts + 1 + (names_end ? 0 : given->name.length));
    if (!published) return NULL;
    char *end = (char *)&published[1];
    published->is = *given;
    published->is.etag = pr_text_keep(&end, given->etag);
    published->is.last_modified = pr_text_keep(&end, given->last_modified);
    published->is.path = pr_text_keep(&end, given->path);
    if (names_end)
        published->is.name.at = end - given->name.length;
    else
        published->is.name = pr_text_keep(&end, given->name);
    *end = '\0';
    published->opens = given->generation == 0;
    pr_list_init(&published->bucket);
    pr_list_init(&published->opened);
    return published;
}

static bool is_lanes(enum pr_engine engine) {
    return engine != PR_ENGINE_STREAM && engine != PR_ENGINE_ZEROCOPY;
}

static int check(const struct pr_publication *given) {
    const size_t head = 2 * given->etag.length + given->last_modified.length + given->fields.length +
                        given->content_type.length + given->others.length + given->origin_fields.length;
    if (!is_lanes(given->engine) || !is_lanes(given->large)) return -EINVAL;
    if (given->path.length == 0 || given->name.length == 0) return -EINVAL;
    if (given->etag.length == 0 || given->etag.length > PR_LONGEST_TAG) return -EINVAL;
    if (given->generation == 0 && (given->file.size == 0 || given->tree == 0)) return -EINVAL;
    return head <= PR_LONGEST_FIELDS && given->path.length <= PR_LONGEST_HEAD ? 0 : -EINVAL;
}

/* Under all locks: into the table, in the place of another one. */
static int enter(struct pr_relay *relay, struct pr_published *published, struct pr_published *before) {
    struct pr_table *table = &relay->http->published;
    published->template = pr_template_take(&table->templates, &published->is);
    int result = published->template ? enlarge(table) : -ENOMEM;
    if (result < 0) return result;
    if (before) pr_published_withdraw(relay, before);
    if (table->used >= MOST_PUBLISHED) make_room(relay);
    published->hash = hash_of(table, published->is.path);
    pr_list_append(bucket_by(table, published->hash), &published->bucket);
    table->used++;
    pr_node_part(relay)->counters.published++;
    return 0;
}

/* Under all locks: Node has answered for it, and lets lanes do so. */
static int enter_open(struct pr_relay *relay, struct pr_published *published) {
    struct pr_generation *generation = pr_published_generation(relay, published);
    if (!generation || generation->info.size == 0) return -ESTALE;
    if (!pr_published_is_at_version(generation->inode, &published->is)) return -ESTALE;
    if (!pr_generation_follow(generation)) return -ESTALE;
    struct pr_published *before = pr_published_find(relay, published->is.path);
    published->size = generation->info.size;
    published->modified = generation->info.modified_seconds;
    published->looked_at = pr_now();
    /* What was published ahead can be opened again when this generation is closed. */
    if (before && before->opens) pr_published_may_open(published, &before->is, generation);
    int result = enter(relay, published, before);
    if (result == 0) relay->http->suspended = false;
    return result;
}

/* Under all locks: nobody has asked for it yet. */
static int enter_ahead(struct pr_relay *relay, struct pr_published *published) {
    struct pr_table *table = &relay->http->published;
    struct pr_published *before = pr_published_find(relay, published->is.path);
    const struct pr_generation *open = before ? pr_published_generation(relay, before) : NULL;
    published->size = published->is.file.size;
    published->modified = published->is.file.modified_seconds;
    if (pr_published_is_stale(relay, published)) return -ESTALE;
    if (!before && table->used >= MOST_AHEAD) return -ENOSPC;
    if (!open) return enter(relay, published, before);
    pr_published_may_open(before, &published->is, open);
    return -EEXIST;
}

int pr_publish(struct pr_relay *relay, const struct pr_publication *given) {
    int result = check(given);
    if (result < 0) return result;
    struct pr_published *published = copy_of(given);
    if (!published) return -ENOMEM;
    pr_lock(relay);
    result = published->opens ? enter_ahead(relay, published) : enter_open(relay, published);
    if (result < 0) free_published(published);
    pr_unlock(relay);
    return result == -EEXIST ? 0 : result;
}

void pr_published_open(struct pr_relay *relay) {
    struct pr_http_layer *http = relay->http;
    pr_list_init(&http->opened);
    pr_list_init(&http->published.templates);
    pr_list_init(&http->published.withdrawn);
    http->published.sweep_at = LEAST_TO_SWEEP;
}

void pr_changed(struct pr_relay *relay, struct pr_text path) {
    pr_lock(relay);
    struct pr_published *published = pr_published_find(relay, path);
    if (published) published->opens = false;
    if (published && !pr_published_generation(relay, published)) pr_published_withdraw(relay, published);
    pr_unlock(relay);
}

void pr_withdraw(struct pr_relay *relay) {
    pr_lock(relay);
    withdraw_all(relay);
    relay->http->suspended = true;
    pr_unlock(relay);
}

void pr_suspend(struct pr_relay *relay) {
    pr_lock(relay);
    relay->http->suspended = true;
    pr_unlock(relay);
}

bool pr_is_idle(struct pr_relay *relay) {
    struct pr_http_layer *http = relay->http;
    const struct pr_lanes_layer *lanes = relay->lanes;
    pr_lock(relay);
    uint64_t answers = 0;
    for (unsigned lane = 0; lane < lanes->count; lane++)
        if (lanes->list[lane].http) answers += lanes->list[lane].http->answers;
    bool idle = answers == http->answers_when_asked && !pr_is_any_held(relay);
    http->answers_when_asked = answers;
    pr_unlock(relay);
    return idle;
}

void pr_published_close(struct pr_relay *relay) {
    withdraw_all(relay);
    pr_free(relay->http->published.buckets);
}

/* A tree of files, which Node publishes before anybody has asked for them, and a lane's looks at them. */
#ifndef OPENING_SCENE_H
#define OPENING_SCENE_H

#include "scene.h"

#include <sys/stat.h>

#include "http/opening.h"
#include "pages/current.h"

enum { BYTES = 20000 };

static char directory[64];
static uint64_t tree;
static struct scene scene;

/* Good until the next call. */
static inline const char *path_of(const char *name) {
    static char path[128];
    snprintf(path, sizeof path, "%s/%s", directory, name);
    return path;
}

static inline void make(const char *name, unsigned revision) {
    int fd = (int)MUST(open(path_of(name), O_CREAT | O_RDWR | O_TRUNC | O_CLOEXEC, 0600));
    file_fill(fd, BYTES, revision);
    close(fd);
}

static inline void begin(void) {
    snprintf(directory, sizeof directory, "/dev/shm/pagerelay-XXXXXX");
    CHECK(mkdtemp(directory));
    scene = scene_with(options_with(1), patient(), SIZE, 0);
    CHECK_EQUAL(pr_tree_open(scene.relay, directory, &tree), 0);
    make("a", 1);
}

static inline void end(void) {
    char command[96];
    pr_withdraw(scene.relay);
    CHECK_EQUAL(pr_tree_close(scene.relay, tree), 0);
    scene_close(&scene);
    snprintf(command, sizeof command, "rm -r %s", directory);
    CHECK_EQUAL(system(command), 0);
}

/* What Node publishes of a file that it has looked at. */
static inline struct pr_publication ahead_of(const char *path, const char *name) {
    struct pr_publication given = publication_of(&scene, PR_ENGINE_COPY);
    struct pr_generation_info info;
    CHECK_EQUAL(pr_generation_stat(scene.relay, tree, name, &info), 0);
    given.path = text_of(path);
    given.name = text_of(name);
    given.generation = 0;
    given.tree = tree;
    given.file = (struct pr_seen_file){
        .device = info.device,
        .inode = info.inode,
        .size = info.size,
        .modified_seconds = info.modified_seconds,
        .modified_nanoseconds = info.modified_nanoseconds,
        .changed_seconds = info.changed_seconds,
        .changed_nanoseconds = info.changed_nanoseconds,
        .backing = PR_BACKING_TMPFS,
    };
    return given;
}

static inline void publish_ahead(const char *path, const char *name) {
    struct pr_publication given = ahead_of(path, name);
    CHECK_EQUAL(pr_publish(scene.relay, &given), 0);
}

/* Of what was found last. */
static struct pr_validators found;

static inline struct pr_published *find(const char *path, uint64_t *generation, bool *is_current) {
    pr_lock(scene.relay);
    struct pr_published *published = pr_published_find(scene.relay, text_of(path));
    *is_current = published && pr_published_is_current(scene.relay, published, generation, &found);
    if (published) published->uses++;
    pr_unlock(scene.relay);
    return published;
}

static inline void give(struct pr_published *published) {
    pr_lock(scene.relay);
    published->uses--;
    pr_unlock(scene.relay);
}

/* What a lane finds that is asked for it: 0 and the generation that it answers from, or why it does not. */
static inline int look(const char *path, uint64_t *generation) {
    bool is_current;
    struct pr_published *published = find(path, generation, &is_current);
    if (!published) return -ENOENT;
    int result = is_current ? pr_published_look(pr_node_part(scene.relay), published, generation, pr_now()) : -ESTALE;
    give(published);
    return result;
}

static inline bool is_open(uint64_t generation) {
    return pr_generation_descriptor(scene.relay, generation) >= 0;
}

/* Node takes over the next one that a lane has opened: its generation, or 0. */
static inline uint64_t take_over(void) {
    struct pr_opened opened;
    if (pr_take_opened(scene.relay, &opened) < 0) return 0;
    pr_opened_give(scene.relay, &opened);
    return opened.generation;
}

/* Node closes it, as it does with what was not asked for for long. */
static inline void let_go(uint64_t generation) {
    CHECK_EQUAL(pr_generation_close(scene.relay, generation), 0);
}

static inline void next_is_opened(void) {
    CHECK_EQUAL(next_event(scene.relay).kind, PR_EVENT_OPENED);
}

#endif

/* Trees and generations. */
#include <errno.h>
#include <stdio.h>

#include "base/shared.h"
#include "call.h"
#include "pages/current.h"
#include "pages/looks.h"
#include "pages/tree.h"

napi_value identity(napi_env env, const struct pr_generation_info *info) {
    napi_value object;
    napi_create_object(env, &object);
    set_number(env, object, "device", (double)info->device);
    set_number(env, object, "inode", (double)info->inode);
    set_number(env, object, "size", (double)info->size);
    set_number(env, object, "modifiedSeconds", (double)info->modified_seconds);
    set_number(env, object, "modifiedNanoseconds", (double)info->modified_nanoseconds);
    set_number(env, object, "changedSeconds", (double)info->changed_seconds);
    set_number(env, object, "changedNanoseconds", (double)info->changed_nanoseconds);
    return object;
}

static bool tree_and_path(napi_env env, napi_callback_info info, struct call *call, uint64_t *tree, char *path) {
    return open_call(env, info, call) && want_id(call, 1, "tree", tree) &&
           want_string(env, call->arguments[2], "path", path, PATH_CAPACITY);
}

/* What a path names; or of a generation, which is 0 otherwise, whether it is that still. */
static napi_value stat_generation(napi_env env, napi_callback_info info) {
    struct call call;
    uint64_t tree, generation;
    char path[PATH_CAPACITY];
    struct pr_generation_info found;
    if (!tree_and_path(env, info, &call, &tree, path) || !want_id(&call, 3, "generation", &generation)) return NULL;
    if (generation > 0) return number(env, pr_generation_is_still_at(pr_node_part(call.relay), generation, tree, path));
    int result = pr_generation_stat(call.relay, tree, path, &found);
    return result < 0 ? number(env, result) : identity(env, &found);
}

/* Bytes of the names of one call, which are on the stack. */
enum { NAMES_CAPACITY = 128 << 10 };

static napi_value look_at_names(napi_env env, napi_callback_info info) {
    struct call call;
    uint64_t tree;
    char folder[PATH_CAPACITY], names[NAMES_CAPACITY];
    double *numbers;
    size_t count;
    if (!open_call(env, info, &call) || !want_id(&call, 1, "tree", &tree) ||
        !want_string(env, call.arguments[2], "folder", folder, sizeof folder) ||
        !want_string(env, call.arguments[3], "names", names, sizeof names) ||
        !want_numbers(env, call.arguments[4], "numbers", &numbers, &count))
        return NULL;
    return number(env, pr_looks(call.relay, tree, folder, names, numbers, count / PR_LOOK_NUMBERS));
}

/* {"0": 3, "1": 1}: of the pages that were looked at, so many are on each node. */
static napi_value pages_by_node(napi_env env, const struct pr_nodes *nodes) {
    napi_value object;
    napi_create_object(env, &object);
    for (unsigned place = 0; place < nodes->count; place++) {
        char key[16];
        snprintf(key, sizeof key, "%d", nodes->list[place].node);
        set_number(env, object, key, (double)nodes->list[place].pages);
    }
    return object;
}

napi_value opened_file(napi_env env, uint64_t generation, const struct pr_generation_info *info) {
    napi_value object = identity(env, info);
    set_number(env, object, "id", (double)generation);
    set_number(env, object, "pageSize", (double)info->backing.page_size);
    set_number(env, object, "node", info->backing.node);
    set(env, object, "pagesByNode", pages_by_node(env, &info->nodes));
    set(env, object, "backing", string(env, backing_names[info->backing.backing]));
    return object;
}

static napi_value open_generation(struct call *call, uint64_t tree, const char *path) {
    uint64_t limit, generation;
    struct pr_generation_info found;
    if (!want_id(call, 4, "limit", &limit)) return NULL;
    int result = pr_generation_open(call->relay, tree, path, limit, &generation, &found);
    return result < 0 ? number(call->env, result) : opened_file(call->env, generation, &found);
}

static napi_value set_version(napi_env env, napi_callback_info info) {
    struct call call;
    uint64_t generation, epoch, version;
    if (!open_call(env, info, &call) || !want_id(&call, 1, "generation", &generation) ||
        !want_id(&call, 2, "epoch", &epoch) || !want_id(&call, 3, "version", &version))
        return NULL;
    int result = pr_generation_set_version(call.relay, generation, &epoch, &version);
    if (result < 0) return number(env, result);
    napi_value object;
    napi_create_object(env, &object);
    set_number(env, object, "epoch", (double)epoch);
    set_number(env, object, "version", (double)version);
    return object;
}

/* A tree; or in one, which is 0 otherwise, a generation, or a descriptor of a folder, or of a file to be written. */
static napi_value open_path(napi_env env, napi_callback_info info) {
    static const char *const kinds[] = {"tree", "generation", "folder", "file"};
    enum { TREE, GENERATION, FOLDER };
    struct call call;
    uint64_t tree, opened;
    int kind;
    char path[PATH_CAPACITY];
    if (!tree_and_path(env, info, &call, &tree, path) || !want_name(env, call.arguments[3], "kind", kinds, 4, &kind))
        return NULL;
    if (kind == GENERATION) return open_generation(&call, tree, path);
    if (kind != TREE) return number(env, (kind == FOLDER ? pr_tree_folder : pr_tree_file)(call.relay, tree, path));
    int result = pr_tree_open(call.relay, path, &opened);
    return number(env, result < 0 ? result : (double)opened);
}

static napi_value lock_tree(napi_env env, napi_callback_info info) {
    static const char *const modes[] = {"unlocked", "shared", "exclusive"};
    struct call call;
    uint64_t tree, byte;
    int mode;
    char path[PATH_CAPACITY];
    if (!tree_and_path(env, info, &call, &tree, path) || !want_integer(env, call.arguments[3], "byte", 7, &byte) ||
        !want_name(env, call.arguments[4], "mode", modes, 3, &mode))
        return NULL;
    return number(env, pr_tree_lock(call.relay, tree, path, (unsigned)byte, (enum pr_lock_mode)mode));
}

static const struct export list[] = {
    {"open", open_path},
    {"statGeneration", stat_generation},
    {"lookAtNames", look_at_names},
    {"setVersion", set_version},
    {"lockTree", lock_tree},
};
const struct exports generation_exports = EXPORTS(list);

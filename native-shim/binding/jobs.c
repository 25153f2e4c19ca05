/*
 * Work that may take long: each job runs on a thread of libuv's pool and gives a promise of what came of it, or -errno.
 */
#include <errno.h>
#include <limits.h>

#include "base/sys.h"
#include "call.h"
#include "pages/direct.h"
#include "pages/file.h"
#include "pages/folios.h"
#include "pages/overwrite.h"
#include "wire/keep.h"

/* JSON may make six bytes of each of a name's 1,024 (src/region/change/undo.ts). */
enum { HEADING_CAPACITY = 8192 };

struct job {
    int (*run)(struct job *job);
    napi_value (*answer)(napi_env env, const struct job *job); /* of one that went well; NULL: the result itself */
    napi_async_work work;
    napi_deferred deferred;
    napi_ref kept; /* the buffer that is read or filled meanwhile, or NULL */
    const void *bytes;
    size_t byte_count;
    uint64_t fd, offset;
    int what; /* of ON_FILES, and its numbers */
    uint64_t numbers[4];
    struct overwriting *overwriting; /* NULL for any other job */
    const char *mapped;
    struct pr_relay *relay;
    uint64_t lease;
    int result;
};

/* What an overwrite points to. */
struct pointed {
    napi_ref kept; /* the buffer of its bytes, or NULL */
    char note[PATH_MAX], heading[HEADING_CAPACITY];
};

/* Overwrites that go together, in one piece of memory. */
struct overwriting {
    uint32_t count;
    struct pr_overwrite *list;
    struct pointed *pointed;
    struct pr_overwritten *ended;
};

static struct overwriting *new_overwriting(uint32_t count) {
    size_t each = sizeof(struct pr_overwrite) + sizeof(struct pointed) + sizeof(struct pr_overwritten);
    struct overwriting *overwriting = pr_allocate(1, sizeof *overwriting + count * each);
    if (!overwriting) return NULL;
    overwriting->count = count;
    overwriting->list = (struct pr_overwrite *)(void *)&overwriting[1];
    overwriting->pointed = (struct pointed *)(void *)&overwriting->list[count];
    overwriting->ended = (struct pr_overwritten *)(void *)&overwriting->pointed[count];
    return overwriting;
}

static void free_overwriting(napi_env env, struct overwriting *overwriting) {
    for (uint32_t at = 0; overwriting && at < overwriting->count; at++)
        if (overwriting->pointed[at].kept) napi_delete_reference(env, overwriting->pointed[at].kept);
    pr_free(overwriting);
}

static void execute(napi_env env, void *data) {
    (void)env;
    struct job *job = data;
    job->result = job->run(job);
}

static void complete(napi_env env, napi_status status, void *data) {
    struct job *job = data;
    if (status != napi_ok) job->result = -ECANCELED;
    bool answers = job->answer && job->result >= 0;
    napi_resolve_deferred(env, job->deferred, answers ? job->answer(env, job) : number(env, job->result));
    if (job->kept) napi_delete_reference(env, job->kept);
    napi_delete_async_work(env, job->work);
    free_overwriting(env, job->overwriting);
    pr_free(job);
}

/* Takes a copy of what the job is, and what belongs to it; `buffer` may be NULL. */
static napi_value start(napi_env env, const struct job *what, napi_value buffer) {
    napi_value promise = NULL;
    struct job *job = pr_allocate(1, sizeof *job);
    if (!job) {
        free_overwriting(env, what->overwriting);
        return number(env, -ENOMEM); /* awaited, it is what a promise would give */
    }
    *job = *what;
    if (buffer) napi_create_reference(env, buffer, 1, &job->kept);
    napi_create_promise(env, &job->deferred, &promise);
    napi_create_async_work(env, NULL, string(env, "pagerelay.file"), execute, complete, job, &job->work);
    napi_queue_async_work(env, job->work);
    return promise;
}

static bool want_fd(struct call *call, size_t place, uint64_t *fd) {
    return want_integer(call->env, call->arguments[place], "fd", INT32_MAX, fd);
}

static bool want_offset(struct call *call, size_t place, const char *name, uint64_t *offset) {
    return want_integer(call->env, call->arguments[place], name, MOST_INTEGER, offset);
}

/* What is done to a file: its name, how many numbers it takes beside the descriptor, and how. Bytes stand behind those.
 */
#define ON_FILES(ON_FILE)                                                                                              \
    ON_FILE(write, 1, pr_file_write(fd, job->bytes, job->byte_count, n[0]))                                            \
    ON_FILE(sync, 0, pr_file_sync(fd))                                                                                 \
    ON_FILE(cut, 1, pr_file_cut(fd, n[0]))                                                                             \
    ON_FILE(extend, 1, pr_file_extend(fd, n[0]))                                                                       \
    ON_FILE(hasSmallFolios, 2, pr_folios_are_small(fd, n[0], n[1]))                                                    \
    ON_FILE(fitsDirect, 2, pr_direct_fits(fd, n[0], n[1]))                                                             \
    ON_FILE(copy, 4, n[1] <= INT32_MAX ? pr_file_copy(fd, n[0], (int)n[1], n[2], n[3]) : -EBADF)

#define CONSTANT(name, count, call) DO_##name,
#define NAME(name, count, call)     #name,
#define COUNT(name, count, call)    count,
#define CASE(name, count, call)                                                                                        \
    case DO_##name: return call;

enum { ON_FILES(CONSTANT) FILE_JOBS };

static int run_on_file(struct job *job) {
    const uint64_t *n = job->numbers;
    int fd = (int)job->fd;
    switch (job->what) {
        ON_FILES(CASE)
    default: return -EINVAL;
    }
}

static napi_value on_file(napi_env env, napi_callback_info info) {
    static const char *const names[FILE_JOBS] = {ON_FILES(NAME)};
    static const size_t counts[FILE_JOBS] = {ON_FILES(COUNT)};
    struct call call;
    struct job job = {.run = run_on_file};
    napi_value buffer = NULL;
    void *bytes = NULL;
    if (!take_arguments(env, info, &call) || !want_name(env, call.arguments[0], "what", names, FILE_JOBS, &job.what) ||
        !want_fd(&call, 1, &job.fd))
        return NULL;
    for (size_t place = 0; place < counts[job.what]; place++)
        if (!want_offset(&call, 2 + place, "number", &job.numbers[place])) return NULL;
    if (job.what == DO_write) {
        buffer = call.arguments[2 + counts[DO_write]];
        if (!want_bytes(env, buffer, "bytes", &bytes, &job.byte_count)) return NULL;
        job.bytes = bytes;
    }
    /* Three calls that never wait: a thread of the pool would take longer to begin. */
    return job.what == DO_fitsDirect ? number(env, run_on_file(&job)) : start(env, &job, buffer);
}

/* How they ended is told beside how the job did, which always ends well. */
static int run_overwrites(struct job *job) {
    struct overwriting *overwriting = job->overwriting;
    pr_overwrite_all(overwriting->list, overwriting->ended, overwriting->count);
    return 0;
}

static napi_value overwritten(napi_env env, const struct job *job) {
    const struct overwriting *overwriting = job->overwriting;
    napi_value list, object, undone;
    napi_create_array_with_length(env, overwriting->count, &list);
    for (uint32_t at = 0; at < overwriting->count; at++) {
        napi_create_object(env, &object);
        set_number(env, object, "errno", overwriting->ended[at].result);
        napi_get_boolean(env, overwriting->ended[at].undone, &undone);
        set(env, object, "undone", undone);
        napi_set_element(env, list, at, object);
    }
    return list;
}

/* Where the new bytes are: in a file by its descriptor, or in `*buffer`, as many as there are to be. */
static bool want_source(napi_env env, napi_value object, struct pr_overwrite *what, napi_value *buffer) {
    napi_value source;
    napi_valuetype type;
    uint64_t from;
    void *bytes = NULL;
    size_t length;
    if (!want_property(env, object, "from", &source) || napi_typeof(env, source, &type) != napi_ok) return false;
    if (type == napi_number) {
        if (!want_integer(env, source, "from", INT32_MAX, &from)) return false;
        what->from = (int)from;
        return true;
    }
    if (!want_bytes(env, source, "from", &bytes, &length)) return false;
    what->bytes = bytes;
    *buffer = source;
    if (bytes && length == what->length) return true;
    napi_throw_type_error(env, "ERR_INVALID_ARG", "from must have as many bytes as are overwritten");
    return false;
}

/* Direct writes are of whole pages. */
static bool is_inside(const struct pr_overwrite *what) {
    uint64_t first, end;
    if (what->page_size == 0 || what->offset > what->file_size || what->length > what->file_size - what->offset)
        return false;
    pr_overwrite_span(what, &first, &end);
    return what->means != PR_MEANS_DIRECT || (what->page_size % PR_DIRECT_ALIGNMENT == 0 && end % what->page_size == 0);
}

static bool want_place(napi_env env, napi_value object, struct pr_overwrite *what) {
    static const char *const names[PR_MEANS_COUNT] = {"wait", "punch", "direct"};
    napi_value means;
    uint64_t to;
    int place;
    if (!integer_property(env, object, "to", INT32_MAX, &to) ||
        !integer_property(env, object, "offset", MOST_INTEGER, &what->offset) ||
        !integer_property(env, object, "length", MOST_INTEGER, &what->length) ||
        !integer_property(env, object, "pageSize", 1 << 30, &what->page_size) ||
        !integer_property(env, object, "fileSize", MOST_INTEGER, &what->file_size) ||
        !want_property(env, object, "means", &means) ||
        !want_name(env, means, "means", names, PR_MEANS_COUNT, &place) ||
        !boolean_property(env, object, "unsynced", &what->unsynced))
        return false;
    what->to = (int)to;
    what->means = (enum pr_means)place;
    if (is_inside(what)) return true;
    napi_throw_type_error(env, "ERR_INVALID_ARG", "the overwrite must lie inside the file");
    return false;
}

static bool want_overwrite(napi_env env, napi_value object, struct pr_overwrite *what, struct pointed *pointed) {
    napi_value buffer = NULL;
    what->note = pointed->note;
    what->heading = pointed->heading;
    if (!want_place(env, object, what) || !string_property(env, object, "note", pointed->note, sizeof pointed->note) ||
        !string_property(env, object, "heading", pointed->heading, sizeof pointed->heading) ||
        !want_source(env, object, what, &buffer))
        return false;
    if (buffer) napi_create_reference(env, buffer, 1, &pointed->kept);
    return true;
}

static bool want_overwrites(napi_env env, napi_value list, struct overwriting *overwriting) {
    for (uint32_t at = 0; at < overwriting->count; at++) {
        napi_value object;
        if (napi_get_element(env, list, at, &object) != napi_ok ||
            !want_overwrite(env, object, &overwriting->list[at], &overwriting->pointed[at]))
            return false;
    }
    return true;
}

/* Overwrites of one file, which go together: a promise of how each ended. */
static napi_value file_overwrite(napi_env env, napi_callback_info info) {
    enum { MOST_TOGETHER = 128 };
    struct call call;
    struct job job = {.run = run_overwrites, .answer = overwritten};
    uint32_t count = 0;
    if (!take_arguments(env, info, &call)) return NULL;
    if (napi_get_array_length(env, call.arguments[0], &count) != napi_ok || count == 0 || count > MOST_TOGETHER) {
        napi_throw_type_error(env, "ERR_INVALID_ARG", "overwrites must be an array of 1 to 128");
        return NULL;
    }
    job.overwriting = new_overwriting(count);
    if (!job.overwriting) return number(env, -ENOMEM);
    if (want_overwrites(env, call.arguments[0], job.overwriting)) return start(env, &job, NULL);
    free_overwriting(env, job.overwriting);
    return NULL;
}

static int run_read(struct job *job) {
    return pr_copy_mapped(job->mapped, (void *)(uintptr_t)job->bytes, job->byte_count);
}

/* Into a buffer, out of a generation that the caller holds: a promise of the number of bytes. */
static napi_value read_mapped(napi_env env, napi_callback_info info) {
    struct call call;
    struct job job = {.run = run_read};
    uint64_t generation;
    void *bytes = NULL;
    if (!open_call(env, info, &call) || !want_id(&call, 1, "generation", &generation) ||
        !want_bytes(env, call.arguments[2], "buffer", &bytes, &job.byte_count) ||
        !want_offset(&call, 3, "offset", &job.offset))
        return NULL;
    if (job.byte_count > INT32_MAX) job.byte_count = INT32_MAX;
    job.mapped = pr_generation_at(call.relay, generation, job.offset, &job.byte_count);
    job.bytes = bytes;
    return start(env, &job, call.arguments[2]);
}

static int run_keep(struct job *job) {
    return pr_lease_keep(job->relay, job->lease, false);
}

/* Neither the lease nor the relay may end before the promise is kept. What is done at once is a number. */
static napi_value keep_unsent(napi_env env, napi_callback_info info) {
    struct call call;
    struct job job = {.run = run_keep};
    if (!open_call(env, info, &call) || !want_id(&call, 1, "lease", &job.lease)) return NULL;
    job.relay = call.relay;
    int result = pr_lease_keep(job.relay, job.lease, true);
    return result == -EAGAIN ? start(env, &job, NULL) : number(env, result);
}

static const struct export list[] = {
    {"onFile", on_file},
    {"fileOverwrite", file_overwrite},
    {"readMapped", read_mapped},
    {"keepUnsent", keep_unsent},
};
const struct exports job_exports = EXPORTS(list);

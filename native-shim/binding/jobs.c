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
    int result;
};

/* An overwrite, and what it points to. */
struct overwriting {
    struct pr_overwrite what;
    char note[PATH_MAX], heading[HEADING_CAPACITY];
    int result;
    bool undone;
};

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
    pr_free(job->overwriting);
    pr_free(job);
}

/* Takes a copy of what the job is, and what belongs to it; `buffer` may be NULL. */
static napi_value start(napi_env env, const struct job *what, napi_value buffer) {
    napi_value promise = NULL;
    struct job *job = pr_allocate(1, sizeof *job);
    if (!job) {
        pr_free(what->overwriting);
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
    return start(env, &job, buffer);
}

/* How it ended is told beside how the job did, which always ends well. */
static int run_overwrite(struct job *job) {
    struct overwriting *overwriting = job->overwriting;
    overwriting->result = pr_overwrite(&overwriting->what, &overwriting->undone);
    return 0;
}

static napi_value overwritten(napi_env env, const struct job *job) {
    napi_value object, undone;
    napi_create_object(env, &object);
    set_number(env, object, "errno", job->overwriting->result);
    napi_get_boolean(env, job->overwriting->undone, &undone);
    set(env, object, "undone", undone);
    return object;
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
        !want_property(env, object, "means", &means) || !want_name(env, means, "means", names, PR_MEANS_COUNT, &place))
        return false;
    what->to = (int)to;
    what->means = (enum pr_means)place;
    if (is_inside(what)) return true;
    napi_throw_type_error(env, "ERR_INVALID_ARG", "the overwrite must lie inside the file");
    return false;
}

static bool want_overwrite(napi_env env, napi_value object, struct overwriting *overwriting, napi_value *buffer) {
    overwriting->what.note = overwriting->note;
    overwriting->what.heading = overwriting->heading;
    return want_place(env, object, &overwriting->what) &&
           string_property(env, object, "note", overwriting->note, sizeof overwriting->note) &&
           string_property(env, object, "heading", overwriting->heading, sizeof overwriting->heading) &&
           want_source(env, object, &overwriting->what, buffer);
}

static napi_value file_overwrite(napi_env env, napi_callback_info info) {
    struct call call;
    napi_value buffer = NULL;
    if (!take_arguments(env, info, &call)) return NULL;
    struct job job = {.run = run_overwrite, .answer = overwritten};
    job.overwriting = pr_allocate(1, sizeof *job.overwriting);
    if (!job.overwriting) return number(env, -ENOMEM);
    if (!want_overwrite(env, call.arguments[0], job.overwriting, &buffer)) {
        pr_free(job.overwriting);
        return NULL;
    }
    return start(env, &job, buffer);
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

static const struct export list[] = {
    {"onFile", on_file},
    {"fileOverwrite", file_overwrite},
    {"readMapped", read_mapped},
};
const struct exports job_exports = EXPORTS(list);

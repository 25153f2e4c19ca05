/* Work on files that may take long: each runs on a thread of libuv's pool and gives a promise of 0 or -errno. */
#include <errno.h>

#include "../core/file.h"
#include "../core/sys.h"
#include "call.h"

struct job {
    int (*run)(struct job *job);
    napi_async_work work;
    napi_deferred deferred;
    napi_ref kept; /* the buffer whose bytes are read meanwhile, or NULL */
    const void *bytes;
    size_t byte_count;
    uint64_t fd, offset, size;
    struct pr_overwrite overwrite;
    uint64_t from_offset;
    int result;
};

static void execute(napi_env env, void *data) {
    (void)env;
    struct job *job = data;
    job->result = job->run(job);
}

static void complete(napi_env env, napi_status status, void *data) {
    struct job *job = data;
    if (status != napi_ok) job->result = -ECANCELED;
    napi_resolve_deferred(env, job->deferred, number(env, job->result));
    if (job->kept) napi_delete_reference(env, job->kept);
    napi_delete_async_work(env, job->work);
    pr_free(job);
}

/* Takes a copy of what the job is; `buffer` may be NULL. */
static napi_value start(napi_env env, const struct job *what, napi_value buffer) {
    napi_value promise = NULL;
    struct job *job = pr_allocate(1, sizeof *job);
    if (!job) {
        napi_throw_error(env, "ERR_SYSTEM", "no memory");
        return NULL;
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

static int run_write(struct job *job) {
    return pr_file_write((int)job->fd, job->bytes, job->byte_count, job->offset);
}

static napi_value file_write(napi_env env, napi_callback_info info) {
    struct call call;
    struct job job = {.run = run_write};
    void *bytes = NULL;
    if (!take_arguments(env, info, &call) || !want_fd(&call, 0, &job.fd) ||
        !want_bytes(env, call.arguments[1], "bytes", &bytes, &job.byte_count) ||
        !want_offset(&call, 2, "offset", &job.offset))
        return NULL;
    job.bytes = bytes;
    return start(env, &job, call.arguments[1]);
}

static int run_sync(struct job *job) {
    return pr_file_sync((int)job->fd);
}

static napi_value file_sync(napi_env env, napi_callback_info info) {
    struct call call;
    struct job job = {.run = run_sync};
    if (!take_arguments(env, info, &call) || !want_fd(&call, 0, &job.fd)) return NULL;
    return start(env, &job, NULL);
}

static int run_cut(struct job *job) {
    return pr_file_cut((int)job->fd, job->size);
}

static int run_extend(struct job *job) {
    return pr_file_extend((int)job->fd, job->size);
}

static napi_value resize(napi_env env, napi_callback_info info, int (*run)(struct job *job)) {
    struct call call;
    struct job job = {.run = run};
    if (!take_arguments(env, info, &call) || !want_fd(&call, 0, &job.fd) || !want_offset(&call, 1, "size", &job.size))
        return NULL;
    return start(env, &job, NULL);
}

static napi_value file_cut(napi_env env, napi_callback_info info) {
    return resize(env, info, run_cut);
}

static napi_value file_extend(napi_env env, napi_callback_info info) {
    return resize(env, info, run_extend);
}

static int run_copy(struct job *job) {
    return pr_file_copy(job->overwrite.from, job->from_offset, job->overwrite.to, job->offset, job->size);
}

static napi_value file_copy(napi_env env, napi_callback_info info) {
    struct call call;
    struct job job = {.run = run_copy};
    uint64_t from, to;
    if (!take_arguments(env, info, &call) || !want_fd(&call, 0, &from) ||
        !want_offset(&call, 1, "fromOffset", &job.from_offset) || !want_fd(&call, 2, &to) ||
        !want_offset(&call, 3, "toOffset", &job.offset) || !want_offset(&call, 4, "length", &job.size))
        return NULL;
    job.overwrite.from = (int)from;
    job.overwrite.to = (int)to;
    return start(env, &job, NULL);
}

static int run_overwrite(struct job *job) {
    return pr_file_overwrite(&job->overwrite);
}

static bool want_number_property(napi_env env, napi_value object, const char *key, uint64_t most, uint64_t *value) {
    napi_value property;
    return want_property(env, object, key, &property) && want_integer(env, property, key, most, value);
}

static napi_value file_overwrite(napi_env env, napi_callback_info info) {
    struct call call;
    struct job job = {.run = run_overwrite};
    struct pr_overwrite *overwrite = &job.overwrite;
    uint64_t to, from;
    napi_value fresh;
    if (!take_arguments(env, info, &call)) return NULL;
    napi_value object = call.arguments[0];
    if (!want_number_property(env, object, "to", INT32_MAX, &to) ||
        !want_number_property(env, object, "from", INT32_MAX, &from) ||
        !want_number_property(env, object, "offset", MOST_INTEGER, &overwrite->offset) ||
        !want_number_property(env, object, "length", MOST_INTEGER, &overwrite->length) ||
        !want_number_property(env, object, "pageSize", 1 << 30, &overwrite->page_size) ||
        !want_number_property(env, object, "fileSize", MOST_INTEGER, &overwrite->file_size) ||
        !want_property(env, object, "fresh", &fresh) || !want_boolean(env, fresh, "fresh", &overwrite->fresh))
        return NULL;
    if (overwrite->page_size == 0 || overwrite->offset > overwrite->file_size ||
        overwrite->length > overwrite->file_size - overwrite->offset) {
        napi_throw_type_error(env, "ERR_INVALID_ARG", "the overwrite must lie inside the file");
        return NULL;
    }
    overwrite->to = (int)to;
    overwrite->from = (int)from;
    return start(env, &job, NULL);
}

static const struct export list[] = {
    {"fileWrite", file_write},   {"fileSync", file_sync}, {"fileCut", file_cut},
    {"fileExtend", file_extend}, {"fileCopy", file_copy}, {"fileOverwrite", file_overwrite},
};
const struct exports job_exports = EXPORTS(list);

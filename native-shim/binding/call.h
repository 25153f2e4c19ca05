/* A call from JavaScript: its arguments, and the relay that the first of them is. */
#ifndef PR_CALL_H
#define PR_CALL_H

#include "base/list.h"
#include "base/words.h"
#include "pages/generation.h"
#include "values.h"
#include "wire/peer.h"

#define MOST_INTEGER ((uint64_t)9007199254740991)

enum { MOST_ARGUMENTS = 9, MOST_LANES = 256 };

/* Of a path, with its end. */
enum { PATH_CAPACITY = 4096 };

/* One relay of one environment: what the object is wrapped around by which JavaScript has it. */
struct handle {
    struct pr_list of_thread;
    struct pr_relay *relay; /* NULL once closed */
    napi_threadsafe_function events;
    napi_env env;
};

struct call {
    napi_env env;
    size_t count;
    napi_value arguments[MOST_ARGUMENTS];
    struct pr_relay *relay;
};

bool take_arguments(napi_env env, napi_callback_info info, struct call *call);

/* From here on the handle is one that a value can be, until it is forgotten. */
void know_handle(struct handle *handle);

/* The relay that a value is, open or closed; NULL after a TypeError. */
struct handle *handle_of(napi_env env, napi_value value);

/* The first argument is an open relay. */
bool open_call(napi_env env, napi_callback_info info, struct call *call);

bool want_id(struct call *call, size_t place, const char *name, uint64_t *id);

struct pr_log;

/* A log that is open; false after a TypeError. */
bool want_log(napi_env env, napi_value value, struct pr_log **log);

extern const char *const backing_names[PR_BACKING_COUNT];
extern const char *const peer_names[PR_PEER_UNASKABLE + 1];

/* What a file is, for JavaScript. */
napi_value identity(napi_env env, const struct pr_generation_info *info);
/* The same of one that is open. */
napi_value opened_file(napi_env env, uint64_t generation, const struct pr_generation_info *info);

/* What a file of this folder adds to the module. */
struct export {
    const char *name;
    napi_callback function;
};
struct exports {
    const struct export *list;
    size_t count;
};
#define EXPORTS(list)                                                                                                  \
    { list, sizeof list / sizeof *list }
extern const struct exports relay_exports, generation_exports, hold_exports, connection_exports, counter_exports,
    process_exports, lease_exports, job_exports, responder_exports, log_exports, act_exports;

#ifdef PR_TESTING /* native-shim/testing/ */
struct pr_pretence;
bool want_pretence(napi_env env, napi_value options, struct pr_pretence *pretence);
extern const struct exports testing_exports;
#endif

#endif

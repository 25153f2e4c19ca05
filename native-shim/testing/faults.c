#include "faults.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>

static pthread_mutex_t fault_lock = PTHREAD_MUTEX_INITIALIZER;
static bool routed;
static atomic_bool armed; /* a fault was set at least once: before, no call waits for the lock */
static struct fault {
    int error;
    unsigned skip, count;
} faults[PR_CALL_COUNT];

static bool fails(enum pr_call call) {
    if (!atomic_load(&armed)) return false;
    pthread_mutex_lock(&fault_lock);
    struct fault *fault = &faults[call];
    bool hit = fault->count > 0 && fault->skip == 0;
    if (hit)
        fault->count--;
    else if (fault->count > 0)
        fault->skip--;
    int error = fault->error;
    pthread_mutex_unlock(&fault_lock);
    if (hit) errno = error;
    return hit;
}

#define SWITCHED(number, name, real, type, failure, parameters, arguments)                                             \
    static type switched_##name parameters {                                                                           \
        return fails(PR_CALL_##number) ? failure : pr_sys_real.name arguments;                                         \
    }
PR_CALLS(SWITCHED)

#define ROUTED(number, name, real, type, failure, parameters, arguments) .name = switched_##name,
static const struct pr_sys switched = {PR_CALLS(ROUTED)};

void pr_faults_enable(void) {
    pthread_mutex_lock(&fault_lock);
    if (!routed) pr_sys = switched;
    routed = true;
    pthread_mutex_unlock(&fault_lock);
}

void pr_fault_set(enum pr_call call, int error, unsigned skip, unsigned count) {
    pthread_mutex_lock(&fault_lock);
    faults[call] = (struct fault){.error = error, .skip = skip, .count = count};
    atomic_store(&armed, true);
    pthread_mutex_unlock(&fault_lock);
}

#define NAMED(number, name, real, type, failure, parameters, arguments) #name,
static const char *const names[PR_CALL_COUNT] = {PR_CALLS(NAMED)};

const char *pr_call_name(enum pr_call call) {
    return names[call];
}

int pr_call_by_name(const char *name) {
    for (int call = 0; call < PR_CALL_COUNT; call++)
        if (strcmp(names[call], name) == 0) return call;
    return -1;
}

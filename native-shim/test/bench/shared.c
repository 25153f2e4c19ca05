/*
 * Counts what threads do to memory that they share. The core is compiled for ThreadSanitizer, whose hooks are these
 * here: each atomic read-modify-write, and each taking and giving back of a mutex, which is one too, is written down
 * with its cache line and its thread. A line is shared when several threads have done so.
 */
#include "shared.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <string.h>
#include <time.h>

enum { THREADS = 64, LINES = 1 << 14, LINE = 64 };

struct line {
    uintptr_t number; /* 0: free */
    uint64_t changes, nanoseconds;
};

struct thread {
    struct line lines[LINES];
    uintptr_t line; /* of the mutex that was taken last, since when */
    uint64_t since;
};

static struct thread *threads[THREADS];
static struct thread memory[THREADS];
static atomic_uint used;
static atomic_bool counting;
static _Thread_local struct thread *own;

static struct line *line_of(struct thread *thread, uintptr_t number) {
    size_t at = (number * 0x9E3779B97F4A7C15u >> 40) % LINES;
    while (thread->lines[at].number != number && thread->lines[at].number != 0) at = (at + 1) % LINES;
    return &thread->lines[at];
}

static struct line *line_here(const volatile void *address) {
    unsigned place;
    if (!own && (place = atomic_fetch_add(&used, 1)) < THREADS) own = threads[place] = &memory[place];
    if (!own) __builtin_trap();
    struct line *line = line_of(own, (uintptr_t)address / LINE);
    line->number = (uintptr_t)address / LINE;
    return line;
}

static void count(const volatile void *address) {
    if (atomic_load_explicit(&counting, memory_order_relaxed)) line_here(address)->changes++;
}

static uint64_t now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

void shared_begin(void) {
    memset(memory, 0, sizeof memory);
    counting = true;
}

static bool is_shared(uintptr_t number) {
    unsigned threads_of_line = 0;
    for (unsigned index = 0; index < THREADS; index++)
        if (threads[index] && line_of(threads[index], number)->changes > 0) threads_of_line++;
    return threads_of_line > 1;
}

struct shared_changes shared_end(void) {
    struct shared_changes all = {0};
    counting = false;
    for (unsigned index = 0; index < THREADS; index++)
        for (unsigned at = 0; threads[index] && at < LINES; at++) {
            const struct line *line = &threads[index]->lines[at];
            if (line->changes == 0 || !is_shared(line->number)) continue;
            all.changes += line->changes;
            all.nanoseconds += line->nanoseconds;
        }
    return all;
}

/* Mutexes: the time is that of waiting for one and of having it. */

int __real_pthread_mutex_lock(pthread_mutex_t *mutex);
int __real_pthread_mutex_unlock(pthread_mutex_t *mutex);
int __wrap_pthread_mutex_lock(pthread_mutex_t *mutex);
int __wrap_pthread_mutex_unlock(pthread_mutex_t *mutex);
int __real_pthread_cond_wait(pthread_cond_t *condition, pthread_mutex_t *mutex);
int __wrap_pthread_cond_wait(pthread_cond_t *condition, pthread_mutex_t *mutex);

/* The innermost alone is timed: the core holds several only where it holds all. */
int __wrap_pthread_mutex_lock(pthread_mutex_t *mutex) {
    uint64_t since = now();
    count(mutex);
    int result = __real_pthread_mutex_lock(mutex);
    if (own) own->line = (uintptr_t)mutex / LINE, own->since = since;
    return result;
}

static void count_time(const pthread_mutex_t *mutex) {
    if (own && own->line == (uintptr_t)mutex / LINE && counting) line_here(mutex)->nanoseconds += now() - own->since;
}

int __wrap_pthread_mutex_unlock(pthread_mutex_t *mutex) {
    count(mutex);
    count_time(mutex);
    return __real_pthread_mutex_unlock(mutex);
}

/* While it waits for the condition it does not have the mutex. */
int __wrap_pthread_cond_wait(pthread_cond_t *condition, pthread_mutex_t *mutex) {
    count(mutex);
    count_time(mutex);
    int result = __real_pthread_cond_wait(condition, mutex);
    count(mutex);
    if (own) own->line = (uintptr_t)mutex / LINE, own->since = now();
    return result;
}

/* Atomic operations. */

/* clang-format off */
#define CHANGE(bits, name)                                                                                             \
    uint##bits##_t __tsan_atomic##bits##_##name(volatile uint##bits##_t *at, uint##bits##_t value, int order);         \
    uint##bits##_t __tsan_atomic##bits##_##name(volatile uint##bits##_t *at, uint##bits##_t value, int order) {        \
        (void)order;                                                                                                   \
        count(at);                                                                                                     \
        return __atomic_##name(at, value, __ATOMIC_SEQ_CST);                                                           \
    }
#define ACCESS(bits)                                                                                                   \
    uint##bits##_t __tsan_atomic##bits##_load(const volatile uint##bits##_t *at, int order);                           \
    uint##bits##_t __tsan_atomic##bits##_load(const volatile uint##bits##_t *at, int order) {                          \
        (void)order;                                                                                                   \
        return __atomic_load_n(at, __ATOMIC_SEQ_CST);                                                                  \
    }                                                                                                                  \
    void __tsan_atomic##bits##_store(volatile uint##bits##_t *at, uint##bits##_t value, int order);                    \
    void __tsan_atomic##bits##_store(volatile uint##bits##_t *at, uint##bits##_t value, int order) {                   \
        (void)order;                                                                                                   \
        __atomic_store_n(at, value, __ATOMIC_SEQ_CST);                                                                 \
    }                                                                                                                  \
    uint##bits##_t __tsan_atomic##bits##_exchange(volatile uint##bits##_t *at, uint##bits##_t value, int order);       \
    uint##bits##_t __tsan_atomic##bits##_exchange(volatile uint##bits##_t *at, uint##bits##_t value, int order) {      \
        (void)order;                                                                                                   \
        count(at);                                                                                                     \
        return __atomic_exchange_n(at, value, __ATOMIC_SEQ_CST);                                                       \
    }                                                                                                                  \
    CHANGE(bits, fetch_add) CHANGE(bits, fetch_sub) CHANGE(bits, fetch_or) CHANGE(bits, fetch_and)
/* clang-format on */
ACCESS(8)
ACCESS(32)
ACCESS(64)

/* Everything else. */

#define HOOK(name, ...)                                                                                                \
    void __tsan_##name(__VA_ARGS__);                                                                                   \
    void __tsan_##name(__VA_ARGS__) {                                                                                  \
    }
#define PLAIN(bytes)                                                                                                   \
    HOOK(read##bytes, void *at)                                                                                        \
    HOOK(write##bytes, void *at)                                                                                       \
    HOOK(unaligned_read##bytes, void *at) HOOK(unaligned_write##bytes, void *at)
#pragma GCC diagnostic ignored "-Wunused-parameter"
HOOK(init, void)
HOOK(func_entry, void *at)
HOOK(func_exit, void)
HOOK(read_range, void *at, unsigned long length)
HOOK(write_range, void *at, unsigned long length)
PLAIN(1) PLAIN(2) PLAIN(4) PLAIN(8) PLAIN(16)

#include "http/log.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include "base/sys.h"

struct pr_log {
    pthread_mutex_t lock;
    pthread_cond_t told;
    pr_log_written *written;
    void *context;
    char *piece; /* NULL: nothing is to be written */
    size_t length;
    int fd;
    bool closed;
};

/* Somebody else may have set O_NONBLOCK on the descriptor. */
static void await_room(int fd) {
    struct pollfd room = {.fd = fd, .events = POLLOUT};
    poll(&room, 1, -1);
}

static int write_all(int fd, const char *bytes, size_t length, size_t *done) {
    while (*done < length) {
        ssize_t written = pr_sys.write(fd, bytes + *done, length - *done);
        if (written > 0)
            *done += (size_t)written;
        else if (written == 0)
            return ENOSPC;
        else if (errno == EAGAIN)
            await_room(fd);
        else if (errno != EINTR)
            return errno;
    }
    return 0;
}

static void log_free(struct pr_log *log) {
    pthread_cond_destroy(&log->told);
    pthread_mutex_destroy(&log->lock);
    pr_free(log->piece);
    pr_free(log);
}

static void *run(void *argument) {
    struct pr_log *log = argument;
    pthread_mutex_lock(&log->lock);
    for (;;) {
        while (!log->piece && !log->closed) pthread_cond_wait(&log->told, &log->lock);
        if (log->closed) break;
        size_t done = 0;
        pthread_mutex_unlock(&log->lock);
        int error = write_all(log->fd, log->piece, log->length, &done);
        pthread_mutex_lock(&log->lock);
        pr_free(log->piece);
        log->piece = NULL;
        /* Under the lock: after pr_log_close there is nobody to be told. */
        if (!log->closed) log->written(log->context, done, error);
    }
    pthread_mutex_unlock(&log->lock);
    log_free(log);
    return NULL;
}

/* Signals are for the process's own threads to take. */
static int start_thread(struct pr_log *log) {
    pthread_attr_t attributes;
    pthread_t thread;
    sigset_t all, before;
    sigfillset(&all);
    pthread_attr_init(&attributes);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int result = -pthread_create(&thread, &attributes, run, log);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attributes);
    return result;
}

int pr_log_open(int fd, pr_log_written *written, void *context, struct pr_log **log) {
    struct pr_log *made = pr_allocate(1, sizeof *made);
    if (!made) return -ENOMEM;
    made->fd = fd;
    made->written = written;
    made->context = context;
    pthread_mutex_init(&made->lock, NULL);
    pthread_cond_init(&made->told, NULL);
    int result = start_thread(made);
    if (result < 0)
        log_free(made);
    else
        *log = made;
    return result;
}

int pr_log_write(struct pr_log *log, const void *bytes, size_t length) {
    int result = 0;
    pthread_mutex_lock(&log->lock);
    if (log->piece)
        result = -EBUSY;
    else if (!(log->piece = pr_allocate(1, length > 0 ? length : 1)))
        result = -ENOMEM;
    if (result == 0) {
        memcpy(log->piece, bytes, length);
        log->length = length;
        pthread_cond_signal(&log->told);
    }
    pthread_mutex_unlock(&log->lock);
    return result;
}

void pr_log_close(struct pr_log *log) {
    pthread_mutex_lock(&log->lock);
    log->closed = true;
    pthread_cond_signal(&log->told);
    pthread_mutex_unlock(&log->lock);
}

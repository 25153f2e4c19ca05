#include "http/log.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/sys.h"

/* Bytes of lines that wait to be written; what comes beyond them is lost. */
enum { QUEUE = 1 << 20 };

/* Lines of so many nanoseconds are written together: waking the thread for each would cost more than the line. */
enum { GATHER = 5000000 };

struct pr_log {
    pthread_mutex_t lock;
    pthread_cond_t told;
    pr_log_written *written; /* NULL: nobody is to be told any more */
    void *context;
    char *piece; /* NULL: nothing is to be written */
    size_t length;
    char *queue, *writing; /* of QUEUE bytes each, from the first line on; the second is the thread's */
    size_t queued;
    uint64_t lost;
    bool is_writing; /* lines of the queue */
    bool torn;       /* the last byte that was written is within a line */
    unsigned users;
    int fd;
    int next; /* a file that takes the place of the one behind `fd`; -1 for none */
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

/* A line that a full file system has cut is ended first: what follows begins on a line of its own. */
static int write_lines(struct pr_log *log, const char *bytes, size_t length, size_t *done) {
    size_t ended = 0;
    int error = log->torn ? write_all(log->fd, "\n", 1, &ended) : 0;
    if (error != 0) return error;
    log->torn = false;
    return write_all(log->fd, bytes, length, done);
}

static void log_free(struct pr_log *log) {
    pthread_cond_destroy(&log->told);
    pthread_mutex_destroy(&log->lock);
    pr_free(log->piece);
    pr_free(log->queue);
    pr_free(log->writing);
    pr_free(log);
}

static uint64_t lines_in(const char *bytes, size_t length) {
    uint64_t lines = 0;
    for (const char *at = bytes, *end = bytes + length; (at = memchr(at, '\n', (size_t)(end - at))); at++) lines++;
    return lines;
}

/* Under the lock, which it gives up while it writes. */
static void write_piece(struct pr_log *log) {
    size_t done = 0;
    pthread_mutex_unlock(&log->lock);
    int error = write_lines(log, log->piece, log->length, &done);
    if (error != 0 && done > 0) log->torn = log->piece[done - 1] != '\n';
    pthread_mutex_lock(&log->lock);
    pr_free(log->piece);
    log->piece = NULL;
    /* Under the lock: after pr_log_end there is nobody to be told. */
    if (log->written) log->written(log->context, done, error);
}

/* The same. */
static void write_queue(struct pr_log *log) {
    char *lines = log->queue;
    size_t length = log->queued, done = 0;
    log->queue = log->writing;
    log->writing = lines;
    log->queued = 0;
    log->is_writing = true;
    pthread_mutex_unlock(&log->lock);
    int error = write_lines(log, lines, length, &done);
    uint64_t lost = error != 0 ? lines_in(lines + done, length - done) : 0;
    if (error != 0 && done > 0) log->torn = lines[done - 1] != '\n';
    pthread_mutex_lock(&log->lock);
    log->lost += lost;
    log->is_writing = false;
}

/* Under the lock. The file is a new one, so no line in it is torn. */
static void change_file(struct pr_log *log) {
    if (log->next < 0) return;
    if (pr_sys.dup_to(log->next, log->fd) >= 0) log->torn = false;
    close(log->next);
    log->next = -1;
}

static void gather(struct pr_log *log) {
    struct timespec moment = {.tv_nsec = GATHER};
    pthread_mutex_unlock(&log->lock);
    nanosleep(&moment, NULL);
    pthread_mutex_lock(&log->lock);
}

static void *run(void *argument) {
    struct pr_log *log = argument;
    pthread_mutex_lock(&log->lock);
    while (log->users > 0 || log->queued > 0 || log->piece) {
        if (log->next >= 0)
            change_file(log);
        else if (log->piece)
            write_piece(log);
        else if (log->queued > 0) {
            if (log->queued < QUEUE / 4) gather(log);
            write_queue(log);
        } else
            pthread_cond_wait(&log->told, &log->lock);
    }
    change_file(log);
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
    made->next = -1;
    made->users = 1;
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

void pr_log_reopen(struct pr_log *log, int file) {
    pthread_mutex_lock(&log->lock);
    if (log->next >= 0) close(log->next);
    log->next = file;
    pthread_cond_signal(&log->told);
    pthread_mutex_unlock(&log->lock);
}

void pr_log_end(struct pr_log *log) {
    pthread_mutex_lock(&log->lock);
    log->written = NULL;
    pthread_mutex_unlock(&log->lock);
}

/* Room for both queues is made for the first lines: most logs have none. */
static bool has_queues(struct pr_log *log) {
    if (!log->queue) log->queue = pr_allocate(1, QUEUE);
    if (!log->writing) log->writing = pr_allocate(1, QUEUE);
    return log->queue && log->writing;
}

/* Of so many bytes of lines, how many fit into the queue with the last line that does. */
static size_t length_that_fits(const struct pr_log *log, const char *lines, size_t length) {
    size_t room = QUEUE - log->queued;
    if (length <= room) return length;
    const char *last = memrchr(lines, '\n', room);
    return last ? (size_t)(last + 1 - lines) : 0;
}

void pr_log_add(struct pr_log *log, const char *lines, size_t length) {
    pthread_mutex_lock(&log->lock);
    size_t added = has_queues(log) ? length_that_fits(log, lines, length) : 0;
    if (added > 0) memcpy(log->queue + log->queued, lines, added);
    if (log->queued == 0) pthread_cond_signal(&log->told);
    log->queued += added;
    log->lost += lines_in(lines + added, length - added);
    pthread_mutex_unlock(&log->lock);
}

void pr_log_lose(struct pr_log *log) {
    pthread_mutex_lock(&log->lock);
    log->lost++;
    pthread_mutex_unlock(&log->lock);
}

uint64_t pr_log_lost(struct pr_log *log) {
    pthread_mutex_lock(&log->lock);
    uint64_t lost = log->lost;
    pthread_mutex_unlock(&log->lock);
    return lost;
}

bool pr_log_is_idle(struct pr_log *log) {
    pthread_mutex_lock(&log->lock);
    bool idle = !log->piece && log->queued == 0 && !log->is_writing;
    pthread_mutex_unlock(&log->lock);
    return idle;
}

void pr_log_keep(struct pr_log *log) {
    pthread_mutex_lock(&log->lock);
    log->users++;
    pthread_mutex_unlock(&log->lock);
}

void pr_log_close(struct pr_log *log) {
    pthread_mutex_lock(&log->lock);
    log->users--;
    pthread_cond_signal(&log->told);
    pthread_mutex_unlock(&log->lock);
}

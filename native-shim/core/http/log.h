/*
 * A log: one descriptor, written by a thread of its own. The descriptor may block for as long as its other end likes,
 * and its flags stay as they are, for other processes share them (O_NONBLOCK would be theirs too). So nobody waits for
 * the thread, not even at the end of the process.
 *
 * JavaScript gives it pieces of many lines, one at a time, and is told of each. Lanes add lines to a queue, all of a
 * round of theirs at once: those that it has no room for are lost, and counted.
 */
#ifndef PR_LOG_H
#define PR_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct pr_log;

/*
 * Is told, on the log's thread, how many bytes of a piece were written, and why no more: 0 when that is all of them,
 * else a positive errno. It must neither block nor call the log.
 */
typedef void pr_log_written(void *context, size_t bytes, int error);

/* The descriptor stays the caller's, and open until the process ends. 0, -ENOMEM or -EAGAIN. */
int pr_log_open(int fd, pr_log_written *written, void *context, struct pr_log **log);

/* Has the thread write a copy of the bytes. -EBUSY until it has told of the piece before; -ENOMEM. */
int pr_log_write(struct pr_log *log, const void *bytes, size_t length);

/*
 * What is written from here on goes to another file: `file` replaces what the log's descriptor stands for, and is
 * closed. A write that is under way ends where it has begun.
 */
void pr_log_reopen(struct pr_log *log, int file);

/* `written` is called no more. */
void pr_log_end(struct pr_log *log);

/* Adds whole lines to the queue, as many as it has room for; the others are lost. */
void pr_log_add(struct pr_log *log, const char *lines, size_t length);
/* The caller itself has lost a line. */
void pr_log_lose(struct pr_log *log);

/* Lines of the queue that were lost so far, and whether some wait to be written. */
uint64_t pr_log_lost(struct pr_log *log);
bool pr_log_is_idle(struct pr_log *log);

/* One user more, and one less: with the last the thread goes, when the write that it is in has returned. */
void pr_log_keep(struct pr_log *log);
void pr_log_close(struct pr_log *log);

#endif

/*
 * A log: one descriptor, written by a thread of its own. The descriptor may block for as long as its other end likes,
 * and its flags stay as they are, for other processes share them (O_NONBLOCK would be theirs too). So nobody waits for
 * the thread, not even at the end of the process.
 */
#ifndef PR_LOG_H
#define PR_LOG_H

#include <stddef.h>

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

/* `written` is called no more. The thread goes when the write that it is in has returned, and frees the log. */
void pr_log_close(struct pr_log *log);

#endif

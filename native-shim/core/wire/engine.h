/* How the bytes of a generation reach a socket. */
#ifndef PR_ENGINE_H
#define PR_ENGINE_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/list.h"
#include "base/words.h"

struct pr_generation;

/* A pipe that pages pass through on their way (engine splice). It belongs to one transmission at a time. */
struct pr_pipe {
    int read_end, write_end;
    size_t filled; /* bytes in it that the socket has not taken */
    struct pr_pipes *home;
    struct pr_list pooled;
};

/* Of a part. Their lock is the innermost: what Node has taken a pipe for, a lane may end. */
struct pr_pipes {
    pthread_mutex_t lock;
    struct pr_list idle;
    unsigned idle_count;
};

void pr_pipes_init(struct pr_pipes *pipes);
/* -EMFILE, -ENFILE or -ENOMEM. */
int pr_pipe_take(struct pr_pipes *pipes, struct pr_pipe **pipe);
/* An empty pipe is kept where it was taken; one with bytes in it is thrown away, and its pages with it. */
void pr_pipe_give(struct pr_pipe *pipe);
void pr_pipes_free(struct pr_pipes *pipes);

struct pr_chunk {
    const struct pr_generation *generation;
    const char *literal; /* or NULL: bytes of the generation */
    uint64_t offset;
    size_t length;
    bool more;   /* bytes of the same response follow */
    bool copied; /* set by the step: bytes of the generation were copied, whatever the engine does otherwise */
};

/*
 * One step: bytes that the socket took, -EAGAIN when it takes none now, 0 when the file ends before the chunk does,
 * another -errno when the connection or the file failed.
 */
ssize_t pr_engine_step(enum pr_engine engine, int socket, struct pr_pipe *pipe, struct pr_chunk *chunk);

/*
 * Sends a copy: from the mapping, or read from the file where there is none or where it would fill holes. (A devdax
 * device can't be read.) Results as of pr_engine_step.
 */
ssize_t pr_engine_send_copied(int socket, const struct pr_chunk *chunk);

/* How much of the chunk its file still has; and, of so many bytes that were taken, whether it still had them. */
ssize_t pr_engine_present(const struct pr_chunk *chunk);
ssize_t pr_engine_still_present(const struct pr_chunk *chunk, ssize_t taken);

/* Does this engine copy from there? Then the pages are free as soon as the socket has taken the bytes. */
bool pr_engine_copies(enum pr_engine engine, const struct pr_generation *generation);

#endif

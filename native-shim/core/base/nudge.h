/* Network work on purpose, so that the kernel lets go of pages in buffers that were read long ago. */
#ifndef PR_NUDGE_H
#define PR_NUDGE_H

#include <pthread.h>
#include <stdbool.h>

/*
 * Runs network work on every CPU of the process. When the reader ran on another CPU than the sender, buffers that it
 * has read stay parked on the sender's, with their pages, until that CPU handles a packet again. Nobody can see those
 * bytes, but a call that waits for page references (truncate, punch, the last close on fsdax) can hang on them.
 * Blocks for some 50 µs a CPU. Returns how many CPUs were reached.
 */
int pr_nudge(void);

/*
 * Nudges again and again, on a thread of its own, while a call may wait for page references: buffers can be parked at
 * any time meanwhile, so once is not enough.
 */
struct pr_nudging {
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t told;
    bool running, over;
};

void pr_nudging_begin(struct pr_nudging *nudging);
void pr_nudging_end(struct pr_nudging *nudging);

#endif

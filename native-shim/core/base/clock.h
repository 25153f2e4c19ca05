#ifndef PR_CLOCK_H
#define PR_CLOCK_H

#include <stdint.h>

/* Nanoseconds of the clock that never goes back. */
uint64_t pr_now(void);

#endif

#ifndef PR_CLOCK_H
#define PR_CLOCK_H

#include <stdint.h>
#include <time.h>

/* Nanoseconds of the clock that never goes back. */
uint64_t pr_now(void);

/* The second since 1970. time(2) can be milliseconds behind the times that Linux 6.13 and later give files. */
time_t pr_second(void);

#endif

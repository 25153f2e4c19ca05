/* Switches on the table of system calls: they are counted, and can be made to fail. */
#ifndef PR_FAULTS_H
#define PR_FAULTS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/sys.h"

/* Routes the table through the fault switches. Call it before any lane runs; it cannot be undone. */
void pr_faults_enable(void);
bool pr_faults_enabled(void);

/* Has the table count its calls from now on; the same rules. Names are as of pr_call_by_name. */
void pr_counting_enable(void);
uint64_t pr_calls_made(enum pr_call call);
const char *pr_call_name(enum pr_call call);

/* After `skip` more calls, the next `count` calls of `call` fail with `error` (a positive errno); count 0 ends it. */
void pr_fault_set(enum pr_call call, int error, unsigned skip, unsigned count);

/* The number of the call called `name` in lower case ("sendfile"), or -1. */
int pr_call_by_name(const char *name);

#endif

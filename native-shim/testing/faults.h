/* Switches on the table of system calls: they can be made to fail. */
#ifndef PR_FAULTS_H
#define PR_FAULTS_H

#include "base/sys.h"

/* Routes the table through the fault switches. Call it before any lane runs; it cannot be undone. */
void pr_faults_enable(void);

/* After `skip` more calls, the next `count` calls of `call` fail with `error` (a positive errno); count 0 ends it. */
void pr_fault_set(enum pr_call call, int error, unsigned skip, unsigned count);

/* The name of a call, and the number of the call called `name` in lower case ("sendfile"), or -1. */
const char *pr_call_name(enum pr_call call);
int pr_call_by_name(const char *name);

#endif

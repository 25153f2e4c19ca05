/*
 * What must be true whatever the peers, the files and the callers do. It is looked at in every build, the shipped one
 * too: where it is not true the promise to hold pages can't be kept any more, and the process ends, saying why.
 */
#ifndef PR_ASSERT_H
#define PR_ASSERT_H

#define pr_assert(condition)                                                                                           \
    (__builtin_expect(!!(condition), 1) ? (void)0 : pr_assert_failed(__FILE__, __LINE__, #condition))

_Noreturn void pr_assert_failed(const char *file, int line, const char *condition) __attribute__((cold));

#endif

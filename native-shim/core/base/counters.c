#include "base/counters.h"

#define NAMED(distinction, count, label, ...)                                                                          \
    const char *const pr_##distinction##_names[count] = {__VA_ARGS__};                                                 \
    _Static_assert(sizeof((const char *const[]){__VA_ARGS__}) == sizeof pr_##distinction##_names, "each has a name");
PR_DISTINCTIONS(NAMED)

#include "base/assert.h"

#include <stdio.h>
#include <stdlib.h>

void pr_assert_failed(const char *file, int line, const char *condition) {
    fprintf(stderr, "pagerelay: %s:%d: this is not true: %s\n", file, line, condition);
    abort();
}

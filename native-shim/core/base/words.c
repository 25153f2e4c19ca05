#include "base/words.h"

const char *const pr_engine_names[PR_ENGINE_COUNT] = {
    [PR_ENGINE_SENDFILE] = "sendfile", [PR_ENGINE_SPLICE] = "splice",     [PR_ENGINE_COPY] = "copy",
    [PR_ENGINE_STREAM] = "stream",     [PR_ENGINE_ZEROCOPY] = "zerocopy",
};

const char *const pr_outcome_names[PR_OUTCOME_COUNT] = {
    [PR_OUTCOME_COMPLETE] = "complete",   [PR_OUTCOME_ABORTED] = "aborted", [PR_OUTCOME_STALLED] = "stalled",
    [PR_OUTCOME_TRUNCATED] = "truncated", [PR_OUTCOME_FAILED] = "failed",   [PR_OUTCOME_CANCELLED] = "cancelled",
    [PR_OUTCOME_BROKEN] = "broken",
};

/*
 * What tests have the core do wrong, to see that they would find it. It is compiled in for tests alone (PR_TESTING):
 * what is shipped has a constant in its place.
 */
#ifndef PR_PRETENCE_H
#define PR_PRETENCE_H

#include <stdbool.h>

struct pr_pretence {
    bool release_when_accepted; /* a done rule that is wrong */
    bool keep_nothing;          /* a writer does not wait for bytes that are not sent, nor keep them */
    unsigned peers;             /* 1 more than the pr_peer_kind that every peer is taken for; 0: what it is */
};

#ifdef PR_TESTING
#define PR_PRETENDS(relay, what) ((relay)->wire->pretence.what)
#else
#define PR_PRETENDS(relay, what) 0
#endif

#endif

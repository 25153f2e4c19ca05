/*
 * Hosts that may be asked by, and credentials of who may read: what Node has let pass before, lanes let pass. They are
 * found by hashes that nobody outside can compute, so that time tells no client how far one is like what is known.
 */
#ifndef PR_KNOWN_H
#define PR_KNOWN_H

#include <stdbool.h>
#include <stddef.h>

#include "base/list.h"
#include "http/head.h"

struct pr_relay;

/*
 * Requests with this Host may be answered that come by doors of the loopback alone, or by any others: Node has judged
 * it. -ENOSPC when too many are known.
 */
int pr_allow_host(struct pr_relay *relay, bool any_host, struct pr_text host);

/* Requests with this Authorization may be answered, where not everybody's may. The same. */
int pr_allow_reader(struct pr_relay *relay, struct pr_text authorization);

/* No host and nobody's credentials are known any more. */
void pr_forget_allowed(struct pr_relay *relay);

/* For the other parts of this layer. */

enum { PR_KNOWN_BUCKETS = 256 };
struct pr_known_set {
    struct pr_list buckets[PR_KNOWN_BUCKETS];
    size_t count;
};

/* Hosts by doors of the loopback alone, and by others, and credentials. */
enum { PR_KNOWN_HOSTS, PR_KNOWN_HOSTS_OF_ALL, PR_KNOWN_READERS, PR_KNOWN_SETS };

void pr_known_open(struct pr_relay *relay);
void pr_known_close(struct pr_relay *relay);

/* Under any lock: whether this Host may be asked by, and these credentials may read. */
bool pr_host_is_known(struct pr_relay *relay, bool any_host, struct pr_text host);
bool pr_may_read(struct pr_relay *relay, struct pr_text authorization);

#endif

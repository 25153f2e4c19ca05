/*
 * The validators of a published region as it is now. Those with which it was published hold until the service itself
 * changes the file in place: from then on the entity-tag is made anew for each answer, of the generation's name in the
 * published one and of the version, and Last-Modified of the file's time. So a region that is written to again and
 * again stays published.
 */
#ifndef PR_VALIDATORS_H
#define PR_VALIDATORS_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include "http/head.h"

struct pr_generation;
struct pr_published;

/* An HTTP-date (RFC 9110 5.6.7), for strftime. */
#define PR_HTTP_DATE "%a, %d %b %Y %H:%M:%S GMT"

/* The longest entity-tag that is published. */
enum { PR_LONGEST_TAG = 256 };

/* Of one answer; each lane has room for those of the answer that it begins. */
struct pr_validators {
    uint64_t epoch, version;
    struct pr_text etag, last_modified; /* the region's, or of the following; the second may be empty */
    char made_etag[PR_LONGEST_TAG + sizeof ".." + 2 * 20];
    char made_date[sizeof "Thu, 01 Jan 1970 00:00:00 GMT"];
    time_t dated; /* the second of `made_date`, or 0 */
};

/*
 * Under any lock. `generation` is the open one that it is answered from, in step, or NULL where a lane has to open the
 * file as it was seen. False when only Node can tell them.
 */
bool pr_validators_find(const struct pr_published *published, const struct pr_generation *generation,
                        struct pr_validators *validators);

#endif

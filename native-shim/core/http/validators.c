#include "http/validators.h"

#include <string.h>

#include "base/clock.h"
#include "base/digits.h"
#include "http/published.h"
#include "pages/generation.h"

/* An entity-tag is `"NAME"` before the first change in place, and then `"NAME.EPOCH.VERSION"`
 * (src/region/validator.ts). */
static char *write_end(char *at, uint64_t epoch, uint64_t version) {
    if (epoch > 0 || version > 0) {
        *at++ = '.';
        at = pr_write_number(at, epoch, 1);
        *at++ = '.';
        at = pr_write_number(at, version, 1);
    }
    *at++ = '"';
    return at;
}

static bool make_etag(const struct pr_publication *is, struct pr_validators *validators) {
    char end[sizeof "..\"" + 2 * 20];
    const size_t length = (size_t)(write_end(end, is->epoch, is->version) - end);
    if (is->etag.length <= length || memcmp(is->etag.at + is->etag.length - length, end, length) != 0) return false;
    char *at = validators->made_etag;
    memcpy(at, is->etag.at, is->etag.length - length);
    at = write_end(at + is->etag.length - length, validators->epoch, validators->version);
    validators->etag = (struct pr_text){validators->made_etag, (size_t)(at - validators->made_etag)};
    return true;
}

/* The last second that an HTTP-date can state. */
#define LAST_SECOND INT64_C(253402300799)

/* A time in the future is told as that of each message (RFC 9110 8.8.2.1): by Node. */
static bool make_date(int64_t second, struct pr_validators *validators) {
    if (second <= 0 || second > LAST_SECOND || second > pr_second()) return false;
    if (second != validators->dated) {
        struct tm parts;
        gmtime_r(&(time_t){second}, &parts);
        strftime(validators->made_date, sizeof validators->made_date, PR_HTTP_DATE, &parts);
        validators->dated = second;
    }
    validators->last_modified = (struct pr_text){validators->made_date, sizeof validators->made_date - 1};
    return true;
}

bool pr_validators_find(const struct pr_published *published, const struct pr_generation *generation,
                        struct pr_validators *validators) {
    const struct pr_publication *is = &published->is;
    validators->epoch = generation ? generation->epoch : is->epoch;
    validators->version = generation ? generation->version : is->version;
    validators->etag = is->etag;
    validators->last_modified = is->last_modified;
    const int64_t modified = generation ? generation->info.modified_seconds : published->modified;
    bool found = validators->epoch == is->epoch && validators->version == is->version;
    if (!found) found = !is->one_version && make_etag(is, validators);
    return found && (modified == published->modified || make_date(modified, validators));
}

#include "http/answer.h"

#include <string.h>

#include "base/clock.h"
#include "base/digits.h"
#include "http/template.h"

/* So many digits are below 2^63. Who writes more is answered by Node, which knows what saturates (RFC 9110 14.1.2). */
enum { MOST_DIGITS = 18 };

static const struct pr_answer by_node = {0};

/* Judging. */

struct number {
    uint64_t value;
    unsigned digits;
};

/* The digits that follow. */
static struct number take_number(struct pr_text *text) {
    struct number number = {0};
    for (; text->length > 0 && *text->at >= '0' && *text->at <= '9'; text->at++, text->length--) {
        if (number.digits < MOST_DIGITS) number.value = number.value * 10 + (uint64_t)(*text->at - '0');
        number.digits++;
    }
    return number;
}

#define TEXT(literal) ((struct pr_text){.at = (literal), .length = sizeof(literal) - 1})

/* Problem documents up to the path that stands in them, and behind it (src/http/problem/problems.ts). */
#define PROBLEM(code, title, status)                                                                                   \
    "{\"type\":\"urn:pagerelay:problem:" code "\",\"title\":\"" title "\",\"status\":" status ",\"code\":\"" code      \
    "\",\"instance\":\""
#define FAILED        PROBLEM("precondition-failed", "The region is not in the state that the request asks for.", "412")
#define UNSATISFIABLE PROBLEM("range-not-satisfiable", "The region holds no byte of the range.", "416")
#define PROBLEM_END   "\"}"
#define LIMITED                                                                                                        \
    "{\"type\":\"urn:pagerelay:problem:too-many-requests\",\"title\":\"This client asks more often than it may.\","    \
    "\"status\":429,\"code\":\"too-many-requests\"}"

static struct pr_text problem_before_path(unsigned status) {
    return status == PR_STATUS_FAILED ? TEXT(FAILED) : TEXT(UNSATISFIABLE);
}

/* The path is one that Node has published: neither JSON nor a URI reference would escape a character of it. */
static struct pr_answer problem(const struct pr_publication *region, const struct pr_head *head, unsigned status) {
    size_t length = problem_before_path(status).length + region->path.length + sizeof PROBLEM_END - 1;
    return (struct pr_answer){.status = status, .has_problem = head->is_get, .length = length};
}

/* Who wants a range could take a document for it (src/http/problem/errors.ts). */
struct pr_answer pr_answer_limited(const struct pr_head *head) {
    bool has_document = !head->range.at;
    return (struct pr_answer){.status = PR_STATUS_LIMITED,
                              .has_problem = has_document && head->is_get,
                              .length = has_document ? TEXT(LIMITED).length : 0};
}

/* One plain range: `a-b`, `a-` or `-n` (RFC 9110 14.1.2). */
static struct pr_answer judge_range(const struct pr_publication *region, const struct pr_head *head, uint64_t size) {
    struct pr_text value = head->range;
    static const char unit[] = "bytes=";
    struct pr_answer answer = {.status = PR_STATUS_PARTIAL, .has_body = true};
    if (value.length < sizeof unit - 1 || memcmp(value.at, unit, sizeof unit - 1) != 0) return by_node;
    value.at += sizeof unit - 1;
    value.length -= sizeof unit - 1;
    struct number first = take_number(&value);
    if (value.length == 0 || *value.at != '-') return by_node;
    value.at++, value.length--;
    struct number last = take_number(&value);
    if (value.length > 0 || first.digits > MOST_DIGITS || last.digits > MOST_DIGITS) return by_node;
    if (first.digits == 0) {
        if (last.digits == 0) return by_node;
        if (last.value == 0) return problem(region, head, PR_STATUS_UNSATISFIABLE);
        answer.length = last.value < size ? last.value : size;
        answer.offset = size - answer.length;
        return answer;
    }
    if (last.digits > 0 && last.value < first.value) return by_node;
    if (first.value >= size) return problem(region, head, PR_STATUS_UNSATISFIABLE);
    uint64_t end = last.digits > 0 && last.value < size ? last.value : size - 1;
    answer.offset = first.value;
    answer.length = end - first.value + 1;
    return answer;
}

static bool is_weak(struct pr_text tag) {
    return tag.length > 2 && tag.at[0] == 'W' && tag.at[1] == '/';
}

/* One entity-tag, strong or weak, and nothing besides (RFC 9110 8.8.3). */
static bool is_one_tag(struct pr_text text) {
    if (is_weak(text)) text.at += 2, text.length -= 2;
    if (text.length < 2 || text.at[0] != '"' || text.at[text.length - 1] != '"') return false;
    return !memchr(text.at + 1, '"', text.length - 2) && !memchr(text.at, ' ', text.length) &&
           !memchr(text.at, '\t', text.length);
}

/* RFC 9110 13.1.2: compared weakly. */
static bool matches_weakly(struct pr_text tag, struct pr_text current) {
    if (is_weak(tag)) tag.at += 2, tag.length -= 2;
    return pr_text_equal(tag, current);
}

enum condition { HOLDS, FAILS, UNSURE };

/* A date in the form that is preferred (RFC 9110 5.6.7), and right; the others are Node's to read. */
static bool read_date(struct pr_text text, time_t *second) {
    char copy[sizeof "Thu, 01 Jan 1970 00:00:00 GMT"] = "", made[sizeof copy];
    struct tm parts = {0};
    if (text.length != sizeof copy - 1) return false;
    memcpy(copy, text.at, text.length);
    if (!strptime(copy, PR_HTTP_DATE, &parts)) return false;
    *second = timegm(&parts);
    gmtime_r(second, &parts);
    return strftime(made, sizeof made, PR_HTTP_DATE, &parts) > 0 && strcmp(made, copy) == 0;
}

static enum condition is_unmodified_since(const struct pr_validators *now, struct pr_text date) {
    time_t modified, then;
    if (now->last_modified.length > 0 && pr_text_equal(date, now->last_modified)) return HOLDS;
    if (!read_date(now->last_modified, &modified) || !read_date(date, &then)) return UNSURE;
    return modified <= then ? HOLDS : FAILS;
}

/* If-Match, which compares strongly, and only without it the date (RFC 9110 13.1.1, 13.2.2). */
static enum condition is_as_asked(const struct pr_validators *now, const struct pr_head *head) {
    if (head->if_match.at) {
        if (pr_text_is(head->if_match, "*")) return HOLDS;
        if (!is_one_tag(head->if_match)) return UNSURE;
        return pr_text_equal(head->if_match, now->etag) ? HOLDS : FAILS;
    }
    return head->if_unmodified_since.at ? is_unmodified_since(now, head->if_unmodified_since) : HOLDS;
}

/* Whether the region is another one than the client has: If-None-Match, and only without it the date (13.2.2). */
static enum condition is_modified(const struct pr_validators *now, const struct pr_head *head) {
    if (head->if_none_match.at) {
        if (!is_one_tag(head->if_none_match)) return UNSURE;
        return matches_weakly(head->if_none_match, now->etag) ? FAILS : HOLDS;
    }
    if (!head->if_modified_since.at) return HOLDS;
    enum condition unmodified = is_unmodified_since(now, head->if_modified_since);
    return unmodified == UNSURE ? UNSURE : unmodified == HOLDS ? FAILS : HOLDS;
}

/* RFC 9110 13.1.5, by a strong tag. Whether a date is strong enough depends on the time. */
static enum condition range_counts(const struct pr_validators *now, const struct pr_head *head) {
    if (!head->if_range.at) return HOLDS;
    if (!is_one_tag(head->if_range)) return UNSURE;
    return pr_text_equal(head->if_range, now->etag) ? HOLDS : FAILS;
}

struct pr_answer pr_answer_judge(const struct pr_publication *region, const struct pr_validators *now, uint64_t size,
                                 const struct pr_head *head) {
    if (!head->is_plain || !(head->is_get || head->is_head)) return by_node;
    if (head->origin.at && !region->any_origin) return by_node;
    enum condition as_asked = is_as_asked(now, head);
    if (as_asked == FAILS) return problem(region, head, PR_STATUS_FAILED);
    enum condition modified = is_modified(now, head);
    if (as_asked == UNSURE || modified == UNSURE) return by_node;
    if (modified == FAILS) return (struct pr_answer){.status = PR_STATUS_NOT_MODIFIED};
    struct pr_answer whole = {.status = PR_STATUS_OK, .has_body = head->is_get, .length = size};
    if (!head->range.at || head->is_head) return whole; /* RFC 9110 14.2: Range means something on GET alone */
    switch (range_counts(now, head)) {
    case HOLDS: return judge_range(region, head, size);
    case FAILS: return whole;
    default: return by_node;
    }
}

/* Writing. */

static char *write_text(char *at, struct pr_text text) {
    memcpy(at, text.at, text.length);
    return at + text.length;
}

#define WRITE(into, literal) write_text(into, TEXT(literal))

static char *write_number(char *at, uint64_t number) {
    return pr_write_number(at, number, 1);
}

/* RFC 9110 5.6.7; made anew once a second. */
static struct pr_text date_of(struct pr_head_end *end) {
    time_t now = pr_second();
    if (now != end->second) {
        struct tm parts;
        gmtime_r(&now, &parts);
        end->date_length = strftime(end->date, sizeof end->date, "Date: " PR_HTTP_DATE "\r\n", &parts);
        end->second = now;
    }
    return (struct pr_text){.at = end->date, .length = end->date_length};
}

static char *write_status(char *at, unsigned status) {
    switch (status) {
    case PR_STATUS_PARTIAL: return WRITE(at, "HTTP/1.1 206 Partial Content\r\n");
    case PR_STATUS_OK: return WRITE(at, "HTTP/1.1 200 OK\r\n");
    case PR_STATUS_NOT_MODIFIED: return WRITE(at, "HTTP/1.1 304 Not Modified\r\n");
    case PR_STATUS_LIMITED: return WRITE(at, "HTTP/1.1 429 Too Many Requests\r\n");
    case PR_STATUS_FAILED: return WRITE(at, "HTTP/1.1 412 Precondition Failed\r\n");
    default: return WRITE(at, "HTTP/1.1 416 Range Not Satisfiable\r\n");
    }
}

static char *write_etag(char *at, const struct pr_validators *now) {
    return WRITE(write_text(WRITE(at, "etag: "), now->etag), "\r\n");
}

static char *write_validators(char *at, const struct pr_validators *now) {
    at = write_etag(at, now);
    if (now->last_modified.length == 0) return at;
    return WRITE(write_text(WRITE(at, "last-modified: "), now->last_modified), "\r\n");
}

/* RFC 8288: the URL that pins this version (src/http/read/version-url.ts), relative to the request's. */
static char *write_link(char *at, struct pr_text etag) {
    at = write_text(WRITE(at, "link: <?version="), (struct pr_text){etag.at + 1, etag.length - 2});
    return WRITE(at, ">; rel=\"bookmark\"\r\n");
}

/* RFC 9110 8.6, 14.4. */
static char *write_content(char *at, const struct pr_published *region, const struct pr_answer *answer) {
    at = write_text(at, region->template->content_type);
    at = write_number(WRITE(at, "content-length: "), answer->length);
    if (answer->status == PR_STATUS_PARTIAL) {
        at = write_number(WRITE(at, "\r\ncontent-range: bytes "), answer->offset);
        at = write_number(WRITE(at, "-"), answer->offset + answer->length - 1);
        at = write_number(WRITE(at, "/"), region->size);
    }
    return write_text(WRITE(at, "\r\n"), region->template->others);
}

static bool is_problem(unsigned status) {
    return status == PR_STATUS_FAILED || status == PR_STATUS_UNSATISFIABLE;
}

static char *write_length_of_problem(char *at, const struct pr_answer *answer) {
    if (answer->length > 0) at = WRITE(at, "content-type: application/problem+json\r\n");
    return WRITE(write_number(WRITE(at, "content-length: "), answer->length), "\r\n");
}

/* What the problem is about, as of RFC 9110 14.4 and 15.5.13, and the document. */
static char *write_problem_fields(char *at, const struct pr_published *region, const struct pr_validators *now,
                                  const struct pr_answer *answer) {
    at = write_text(at, region->template->origin_fields);
    if (answer->status == PR_STATUS_FAILED)
        at = write_etag(at, now);
    else
        at = WRITE(write_number(WRITE(at, "content-range: bytes */"), region->size), "\r\n");
    return write_length_of_problem(at, answer);
}

static char *write_fields(char *at, const struct pr_published *region, const struct pr_validators *now,
                          const struct pr_answer *answer) {
    if (!region) return write_length_of_problem(WRITE(at, "retry-after: 1\r\n"), answer);
    if (is_problem(answer->status)) return write_problem_fields(at, region, now, answer);
    at = write_validators(at, now);
    if (!region->is.one_version) at = write_link(at, now->etag);
    at = write_text(at, region->template->fields);
    return answer->status == PR_STATUS_NOT_MODIFIED ? at : write_content(at, region, answer);
}

size_t pr_answer_head(char *into, const struct pr_published *region, const struct pr_validators *now,
                      const struct pr_answer *answer, bool keeps, unsigned keep_alive, struct pr_head_end *end) {
    char *at = write_fields(write_status(into, answer->status), region, now, answer);
    at = write_text(at, date_of(end));
    if (!keeps)
        at = WRITE(at, "Connection: close\r\n");
    else if (keep_alive > 0)
        at = WRITE(write_number(WRITE(at, "Connection: keep-alive\r\nKeep-Alive: timeout="), keep_alive), "\r\n");
    else
        at = WRITE(at, "Connection: keep-alive\r\n");
    at = WRITE(at, "\r\n");
    if (answer->has_problem && !region)
        at = WRITE(at, LIMITED);
    else if (answer->has_problem)
        at = WRITE(write_text(write_text(at, problem_before_path(answer->status)), region->is.path), PROBLEM_END);
    return (size_t)(at - into);
}

/* What a published region answers to a request (RFC 9110 13, 14), and the head of the response. */
#ifndef PR_ANSWER_H
#define PR_ANSWER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "http/head.h"
#include "http/published.h"
#include "http/validators.h"

enum {
    PR_STATUS_OK = 200,
    PR_STATUS_PARTIAL = 206,
    PR_STATUS_NOT_MODIFIED = 304,
    PR_STATUS_FAILED = 412,
    PR_STATUS_UNSATISFIABLE = 416,
    PR_STATUS_LIMITED = 429,
};

struct pr_answer {
    unsigned status;         /* 0: only Node can tell */
    bool has_body;           /* of `length` bytes from `offset` */
    bool has_problem;        /* its body is a problem document, which is written with the head */
    uint64_t offset, length; /* bytes of the region, or of the document */
};

/* Judges a plain GET or HEAD of a region of `size` bytes (at least 1), by the validators that it has now. */
struct pr_answer pr_answer_judge(const struct pr_publication *region, const struct pr_validators *now, uint64_t size,
                                 const struct pr_head *head);

/* The answer to a client that has asked too often, which is about no region. */
struct pr_answer pr_answer_limited(const struct pr_head *head);

/* What all heads of a lane have alike. */
struct pr_head_end {
    char date[64]; /* "Date: …\r\n" */
    size_t date_length;
    time_t second; /* that it is of */
};

/* A head and a problem have at most so many bytes, of which 512 are not of the fields of the region, or its path. */
enum { PR_LONGEST_ANSWER = PR_LONGEST_FIELDS + PR_LONGEST_HEAD + 512 };

/* Writes the head of a response, and its problem, as Node would; returns their length. `region`: NULL of one that is
 * about none. `keep_alive`: seconds, 0 for none told. */
size_t pr_answer_head(char *into, const struct pr_published *region, const struct pr_validators *now,
                      const struct pr_answer *answer, bool keeps, unsigned keep_alive, struct pr_head_end *end);

#endif

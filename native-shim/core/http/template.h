/* Fields that the answers of many regions have alike: they are kept once for all of them. */
#ifndef PR_TEMPLATE_H
#define PR_TEMPLATE_H

#include "base/list.h"
#include "http/head.h"

struct pr_publication;

/* Its strings follow the struct. */
struct pr_template {
    struct pr_list list;
    unsigned uses;
    struct pr_text fields, content_type, others, origin_fields;
};

/* All under all locks. */

/* The one with the texts of a publication, which loses them to it; NULL: no memory. `templates` has the last one first.
 */
struct pr_template *pr_template_take(struct pr_list *templates, struct pr_publication *publication);
/* The use ends. NULL is none. */
void pr_template_give(struct pr_template *template);

/* A copy of a text behind a struct, at `*end`, which moves on. One that is not there becomes an empty one. */
struct pr_text pr_text_keep(char **end, struct pr_text text);

#endif

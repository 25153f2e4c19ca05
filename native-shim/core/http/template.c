#include "http/template.h"

#include <string.h>

#include "base/sys.h"
#include "http/published.h"

/* Templates are few where answers differ by media type, and looking for one ends where each region has its own. */
enum { LOOKED_AT = 16 };

struct pr_text pr_text_keep(char **end, struct pr_text text) {
    struct pr_text kept = {.at = *end, .length = text.length};
    if (text.length > 0) memcpy(*end, text.at, text.length);
    *end += text.length;
    return kept;
}

static bool is_template(const struct pr_template *template, const struct pr_publication *given) {
    return pr_text_equal(template->fields, given->fields) && pr_text_equal(template->others, given->others) &&
           pr_text_equal(template->content_type, given->content_type) &&
           pr_text_equal(template->origin_fields, given->origin_fields);
}

static struct pr_template *new_template(struct pr_list *templates, const struct pr_publication *given) {
    size_t texts =
        given->fields.length + given->content_type.length + given->others.length + given->origin_fields.length;
    struct pr_template *template = pr_allocate(1, sizeof *template + texts);
    if (!template) return NULL;
    char *end = (char *)&template[1];
    template->fields = pr_text_keep(&end, given->fields);
    template->content_type = pr_text_keep(&end, given->content_type);
    template->others = pr_text_keep(&end, given->others);
    template->origin_fields = pr_text_keep(&end, given->origin_fields);
    pr_list_init(&template->list);
    pr_list_append(templates->next, &template->list);
    return template;
}

static struct pr_template *find_template(const struct pr_list *templates, const struct pr_publication *given) {
    unsigned looked_at = 0;
    pr_list_each(node, templates) {
        struct pr_template *template = pr_container(node, struct pr_template, list);
        if (is_template(template, given)) return template;
        if (++looked_at == LOOKED_AT) break;
    }
    return NULL;
}

struct pr_template *pr_template_take(struct pr_list *templates, struct pr_publication *publication) {
    struct pr_template *template = find_template(templates, publication);
    if (!template) template = new_template(templates, publication);
    if (!template) return NULL;
    template->uses++;
    publication->fields = publication->content_type = publication->others = publication->origin_fields =
        (struct pr_text){0};
    return template;
}

void pr_template_give(struct pr_template *template) {
    if (!template || --template->uses > 0) return;
    pr_list_remove(&template->list);
    pr_free(template);
}

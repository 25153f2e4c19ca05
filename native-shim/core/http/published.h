/*
 * Published regions: what lanes need to answer for a region by themselves. Node fills the table, ahead of requests or
 * when it has answered for a region, and lanes find in it what a request asks for, by the path exactly as it stands in
 * the request.
 */
#ifndef PR_PUBLISHED_H
#define PR_PUBLISHED_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/list.h"
#include "base/words.h"
#include "http/head.h"
#include "pages/generation.h"

struct pr_relay;
struct pr_template;

/* A region that lanes answer for. Strings are copied. */
struct pr_publication {
    struct pr_text path; /* as it stands in a request for it, percent-encoded */
    uint64_t generation; /* 0: a lane opens the file when it is asked for, if it is still as it was seen */
    struct pr_text etag, last_modified; /* values; the second may be empty */
    uint64_t epoch, version;
    enum pr_engine engine;           /* sendfile, splice or copy */
    enum pr_engine large;            /* the same, for bodies of `large_from` bytes and more */
    uint64_t copy_below, large_from; /* bytes: shorter bodies are copied; 0: there is no `large` */
    uint64_t copy_first_below;       /* the same of what is the first that is sent on its connection */
    bool any_origin;                 /* the answer is the same to a request with Origin; else that is Node's */
    bool one_version;    /* `path` names this version, and Node answers for any other; else answers link to its URL */
    uint64_t tree;       /* in which `name` is, or 0 */
    struct pr_text name; /* the path of its file: lanes look whether that is still the generation's */
    struct pr_seen_file file;            /* without a generation */
    struct pr_text fields;               /* of every answer, behind the validators: whole lines */
    struct pr_text content_type, others; /* lines before and behind Content-Length and Content-Range */
    struct pr_text origin_fields;        /* lines of answers that are problems, before the others */
};

/* The longest fields of one region, bytes. */
enum { PR_LONGEST_FIELDS = 16 << 10 };

/*
 * From now on lanes may answer for it. -EINVAL for what no lane can send, -ESTALE when the generation is closed.
 * Without a generation, -ESTALE tells of a file that was changed in place since, nothing that is open gives way to it,
 * lanes that are suspended stay so, and -ENOSPC says that as many are published as may be without having been asked
 * for. -ESTALE as well when it is not at this version of the file any more.
 */
int pr_publish(struct pr_relay *relay, const struct pr_publication *publication);

/*
 * The region at a path is changed. As long as its file is open lanes go on with it, at the version that it is at; but
 * nobody opens the file any more as it was seen before.
 */
void pr_changed(struct pr_relay *relay, struct pr_text path);

/* Nothing is published any more, and lanes are suspended. */
void pr_withdraw(struct pr_relay *relay);

/* Lanes answer nothing until something is published again; what is published stays. */
void pr_suspend(struct pr_relay *relay);

/* Whether no page is held, and lanes have answered nothing since this was asked before. */
bool pr_is_idle(struct pr_relay *relay);

/* For the other parts of the core. */

/* What every answer reads comes first and is together: of many regions a few are in the processor's cache. */
struct pr_published {
    struct pr_list bucket; /* of the table; or with the others that are withdrawn */
    uint32_t hash;         /* of its path */
    bool is_withdrawn;
    bool opens;                     /* lanes may open its file: it was published without a generation */
    uint64_t size;                  /* of the region, bytes; not 0 */
    int64_t modified;               /* second: the file's, when this was published */
    atomic_uint_fast64_t looked_at; /* ns: when its path was last looked at; lanes read and set it without a lock */
    struct pr_template *template;
    struct pr_publication is; /* without the template's texts; `generation` changes, under all locks; the strings of
                                 its own follow the struct */
    struct pr_list opened;    /* a lane has opened it, and Node does not know yet (http/opening.h) */
    unsigned uses;            /* by Node (struct pr_opened) */
    uint64_t seen;            /* the last sweep that found an answer under way by it */
};

/*
 * By paths: lists of those whose hashes are alike. Lanes count no uses, which would be a line that all of them change:
 * what is withdrawn is freed once a sweep has found none of them answering by it. So many wait for one at most as are
 * worth going over all answers under way.
 */
struct pr_table {
    uint64_t key[2]; /* of the hashes, of hosts and credentials too */
    struct pr_list *buckets;
    size_t capacity, used;
    size_t hand;              /* the bucket of which one goes next, where there is no room for more */
    struct pr_list templates; /* that asked for last first */
    struct pr_list withdrawn;
    size_t waiting, sweep_at; /* how many are withdrawn; and how many it takes to sweep */
    uint64_t sweeps;
};

void pr_published_open(struct pr_relay *relay);

/* Under all locks: no further request is answered by it. */
void pr_published_withdraw(struct pr_relay *relay, struct pr_published *published);

/* The rest is under any lock. */

/* The region at a path, as long as the caller is among those that answer; NULL where none is published. */
struct pr_published *pr_published_find(const struct pr_relay *relay, struct pr_text path);

/* Frees all of it, when no lane runs any more. */
void pr_published_close(struct pr_relay *relay);

#endif

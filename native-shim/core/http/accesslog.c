#include "http/accesslog.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "http/layer.h"
#include "http/log.h"

static const char *const engine_names[PR_ENGINE_COUNT] = {
    [PR_ENGINE_SENDFILE] = "sendfile", [PR_ENGINE_SPLICE] = "splice",     [PR_ENGINE_COPY] = "copy",
    [PR_ENGINE_STREAM] = "stream",     [PR_ENGINE_ZEROCOPY] = "zerocopy",
};

static const char *const outcome_names[PR_OUTCOME_COUNT] = {
    [PR_OUTCOME_COMPLETE] = "complete",   [PR_OUTCOME_ABORTED] = "aborted", [PR_OUTCOME_STALLED] = "stalled",
    [PR_OUTCOME_TRUNCATED] = "truncated", [PR_OUTCOME_FAILED] = "failed",   [PR_OUTCOME_CANCELLED] = "cancelled",
    [PR_OUTCOME_BROKEN] = "broken",
};

/* What a transmission can end by. */
static const char *errno_name(int error) {
    switch (error) {
    case ECONNRESET: return "ECONNRESET";
    case EPIPE: return "EPIPE";
    case ENOTCONN: return "ENOTCONN";
    case EHOSTUNREACH: return "EHOSTUNREACH";
    case ENETUNREACH: return "ENETUNREACH";
    case ETIMEDOUT: return "ETIMEDOUT";
    case ENODATA: return "ENODATA";
    case ECANCELED: return "ECANCELED";
    case EBUSY: return "EBUSY";
    case EIO: return "EIO";
    case ENOMEM: return "ENOMEM";
    case ENOBUFS: return "ENOBUFS";
    default: return "EUNKNOWN";
    }
}

/* A line that is being written, and has room for it. */
struct line {
    char *at;
};

static void add(struct line *line, struct pr_text text) {
    memcpy(line->at, text.at, text.length);
    line->at += text.length;
}

static void add_string(struct line *line, const char *string) {
    add(line, (struct pr_text){.at = string, .length = strlen(string)});
}

static void add_number(struct line *line, uint64_t number, unsigned least_digits) {
    char digits[20];
    unsigned count = 0;
    do digits[count++] = (char)('0' + number % 10);
    while ((number /= 10) > 0 || count < least_digits);
    while (count > 0) *line->at++ = digits[--count];
}

static void add_milliseconds(struct line *line, uint64_t nanoseconds) {
    uint64_t micro = (nanoseconds + 500) / 1000;
    add_number(line, micro / 1000, 1);
    if (micro % 1000 == 0) return;
    add_string(line, ".");
    add_number(line, micro % 1000, 3);
    while (line->at[-1] == '0') line->at--;
}

static uint64_t milliseconds_since_1970(void) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* Behind a member of the line: how the response has ended. */
static void add_end(struct line *line, const struct pr_transmission *transmission, enum pr_outcome outcome, int error) {
    if (transmission) {
        add_string(line, ",\"engine\":\"");
        add_string(line, engine_names[transmission->engine]);
        add_string(line, "\"");
    }
    add_string(line, ",\"outcome\":\"");
    add_string(line, outcome_names[outcome]);
    add_string(line, "\"");
    if (error != 0) {
        add_string(line, ",\"code\":\"");
        add_string(line, errno_name(error));
        add_string(line, "\"");
    }
    if (!transmission) return;
    add_string(line, ",\"bytes\":");
    add_number(line, transmission->reference.sent, 1);
}

/* What besides the path and the texts of the service stands in a line, at most. */
enum { ROOM = 512 };

/* The path is one that Node has published: it has no character that JSON would escape. */
void pr_access_log(const struct pr_connection *connection, const struct pr_transmission *transmission,
                   enum pr_outcome outcome, int error) {
    const struct pr_relay *relay = connection->relay;
    const struct pr_responding *responding = &relay->http->responding;
    const struct pr_responder *responder = connection->responder;
    const struct pr_text *path = &responder->published->is.path;
    bool is_head = responder->kind == PR_ANSWERED_HEAD || responder->kind == PR_ANSWERED_HEAD_NOT_MODIFIED;
    char peer[PR_ADDRESS_TEXT];
    pr_peer_address(&connection->peer, peer);
    size_t room = responding->before_time.length + responding->behind_time.length + path->length + ROOM;
    char *bytes = pr_log_room(responding->log, room);
    if (!bytes) return;
    struct line line = {.at = bytes};
    add(&line, responding->before_time);
    add_number(&line, milliseconds_since_1970(), 1);
    add(&line, responding->behind_time);
    add_number(&line, relay->http->answers, 1);
    add_string(&line, is_head ? "\",\"method\":\"HEAD\",\"url\":\"" : "\",\"method\":\"GET\",\"url\":\"");
    add(&line, *path);
    add_string(&line, "\",\"status\":");
    add_number(&line, responder->answer.status, 1);
    add_string(&line, ",\"remoteAddress\":\"");
    add_string(&line, peer);
    add_string(&line, "\",\"milliseconds\":");
    add_milliseconds(&line, pr_now() - responder->begun);
    add_end(&line, transmission, outcome, error);
    add_string(&line, ",\"msg\":\"request\"}\n");
    pr_log_add(responding->log, (size_t)(line.at - bytes));
}

#include "http/accesslog.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/digits.h"
#include "base/sys.h"
#include "http/layer.h"
#include "http/log.h"
#include "wire/proxied.h"

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
    line->at = pr_write_number(line->at, number, least_digits);
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
        add_string(line, pr_engine_names[transmission->engine]);
        add_string(line, "\"");
    }
    add_string(line, ",\"outcome\":\"");
    add_string(line, pr_outcome_names[outcome]);
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

/* Whatever a client sends may stand in a line, but for what could end a quotation or a line, as nginx has it. */
static void add_escaped(struct line *line, struct pr_text text) {
    static const char digits[] = "0123456789ABCDEF";
    for (size_t at = 0; at < text.length; at++) {
        unsigned char byte = (unsigned char)text.at[at];
        if (byte >= ' ' && byte <= '~' && byte != '"' && byte != '\\') {
            *line->at++ = (char)byte;
            continue;
        }
        add_string(line, "\\x");
        *line->at++ = digits[byte >> 4];
        *line->at++ = digits[byte & 15];
    }
}

static void add_quoted(struct line *line, struct pr_text text) {
    add_string(line, " \"");
    if (text.at)
        add_escaped(line, text);
    else
        add_string(line, "-");
    add_string(line, "\"");
}

/* An escaped byte is four. */
enum { ESCAPED = 4, QUOTES = 16 };

struct pr_asked *pr_access_log_asked(const struct pr_head *head) {
    size_t most = ESCAPED * (head->referer.length + head->user_agent.length) + QUOTES;
    struct pr_asked *asked = pr_allocate(1, sizeof *asked + most);
    if (!asked) return NULL;
    struct line line = {.at = asked->bytes};
    add_quoted(&line, head->referer);
    add_quoted(&line, head->user_agent);
    add_string(&line, "\n");
    asked->length = (size_t)(line.at - asked->bytes);
    return asked;
}

/* The time of the combined format; made anew once a second. */
static void add_time(struct line *line) {
    static _Thread_local struct {
        time_t second;
        char text[40];
    } last;
    time_t now = time(NULL);
    if (now != last.second) {
        struct tm parts;
        gmtime_r(&now, &parts);
        strftime(last.text, sizeof last.text, "[%d/%b/%Y:%H:%M:%S +0000]", &parts);
        last.second = now;
    }
    add_string(line, last.text);
}

/* Each lane numbers its own, in steps of as many as there are lanes. */
static uint64_t number_of_answer(const struct pr_connection *connection) {
    uint64_t before = pr_http_of(connection)->answers - 1, lanes = connection->relay->part_count - 1;
    return before * lanes + pr_part_of(connection)->index;
}

/* What was asked for, where that is no region: visible ASCII. */
static void add_target(struct line *line, struct pr_text target, bool combined) {
    if (combined) {
        add_escaped(line, target);
        return;
    }
    for (size_t at = 0; at < target.length; at++) {
        if (target.at[at] == '"' || target.at[at] == '\\') *line->at++ = '\\';
        *line->at++ = target.at[at];
    }
}

/* A path that Node has published has no character that JSON or a quotation would escape. */
static void add_path(struct line *line, const struct pr_connection *connection, bool combined) {
    const struct pr_published *published = connection->responder->published;
    if (published)
        add(line, published->is.path);
    else
        add_target(line, pr_http_of(connection)->target, combined);
}

static size_t longest_path(const struct pr_connection *connection) {
    const struct pr_published *published = connection->responder->published;
    return published ? published->is.path.length : ESCAPED * pr_http_of(connection)->target.length;
}

static void write_json(struct line *line, const struct pr_connection *connection, const char *client) {
    const struct pr_responding *responding = &connection->relay->http->responding;
    const struct pr_responder *responder = connection->responder;
    add(line, responding->before_time);
    add_number(line, milliseconds_since_1970(), 1);
    add(line, responding->behind_time);
    add_number(line, number_of_answer(connection), 1);
    add_string(line, responder->is_head ? "\",\"method\":\"HEAD\",\"url\":\"" : "\",\"method\":\"GET\",\"url\":\"");
    add_path(line, connection, false);
    add_string(line, "\",\"status\":");
    add_number(line, responder->answer.status, 1);
    add_string(line, ",\"remoteAddress\":\"");
    add_string(line, client);
    add_string(line, "\",\"milliseconds\":");
    add_milliseconds(line, pr_now() - responder->begun);
}

static void write_combined(struct line *line, const struct pr_connection *connection, const char *client,
                           uint64_t bytes) {
    const struct pr_responder *responder = connection->responder;
    add_string(line, client);
    add_string(line, " - - ");
    add_time(line);
    add_string(line, responder->is_head ? " \"HEAD " : " \"GET ");
    add_path(line, connection, true);
    add_string(line, responder->is_http_1_0 ? " HTTP/1.0\" " : " HTTP/1.1\" ");
    add_number(line, responder->answer.status, 1);
    add_string(line, " ");
    add_number(line, bytes, 1);
    if (responder->asked)
        add(line, (struct pr_text){.at = responder->asked->bytes, .length = responder->asked->length});
    else
        add_string(line, " \"-\" \"-\"\n");
}

void pr_access_log_pass_on(struct pr_lane *lane) {
    struct pr_lines *lines = &lane->http->lines;
    if (lines->length > 0) pr_log_add(lane->relay->http->responding.log, lines->bytes, lines->length);
    lines->length = 0;
}

/* Room for a line of at most so many bytes behind those that wait; NULL: there is none, or no memory. */
static char *room_for_line(struct pr_lane *lane, size_t most) {
    struct pr_lines *lines = &lane->http->lines;
    if (!lines->bytes) lines->bytes = pr_allocate(1, PR_LINES);
    if (most > PR_LINES - lines->length) pr_access_log_pass_on(lane);
    return lines->bytes && most <= PR_LINES ? lines->bytes + lines->length : NULL;
}

/* What besides the path and the texts of service and client stands in a line, at most. */
enum { ROOM = 512 };

void pr_access_log(const struct pr_connection *connection, const struct pr_transmission *transmission,
                   enum pr_outcome outcome, int error) {
    const struct pr_responding *responding = &connection->relay->http->responding;
    const struct pr_responder *responder = connection->responder;
    char client[PR_ADDRESS_TEXT];
    pr_client_address(connection, true, client);
    size_t room = responding->before_time.length + responding->behind_time.length + longest_path(connection) +
                  (responder->asked ? responder->asked->length : 0) + ROOM;
    struct pr_lane *lane = pr_lane_of(connection);
    struct line line = {.at = room_for_line(lane, room)};
    if (!line.at) {
        pr_log_lose(responding->log);
        return;
    }
    if (responding->combined) {
        const uint64_t problem = responder->answer.has_problem ? responder->answer.length : 0;
        write_combined(&line, connection, client, transmission ? transmission->reference.sent : problem);
    } else {
        write_json(&line, connection, client);
        add_end(&line, transmission, outcome, error);
        add_string(&line, ",\"msg\":\"request\"}\n");
    }
    lane->http->lines.length = (size_t)(line.at - lane->http->lines.bytes);
}

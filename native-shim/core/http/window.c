#include "http/window.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "base/sys.h"
#include "http/layer.h"
#include "http/responder.h"

static struct pr_window *window_of(const struct pr_connection *connection) {
    return &pr_http_of(connection)->window;
}

struct pr_unread *pr_unread_new(const char *bytes, size_t length) {
    struct pr_unread *unread = pr_allocate(1, sizeof *unread + length);
    if (!unread) return NULL;
    unread->length = length; /* pr_allocate clears: nothing of it is taken */
    memcpy(unread->bytes, bytes, length);
    return unread;
}

bool pr_window_keep(struct pr_connection *connection) {
    struct pr_window *window = window_of(connection);
    if (window->at == window->length) return true;
    struct pr_unread *unread = pr_unread_new(window->bytes + window->at, window->length - window->at);
    window->at = window->length; /* lost or kept, it is nobody else's */
    if (!unread) {
        pr_break_off(connection, -ENOMEM);
        return false;
    }
    pr_connection_lock(connection);
    connection->unread = unread;
    pr_connection_unlock(connection);
    return true;
}

/* Under its lock, or by the thread that owns the connection. */
static struct pr_unread *take_unread(struct pr_connection *connection) {
    struct pr_unread *unread = connection->unread;
    connection->unread = NULL;
    return unread;
}

static bool fill_from_unread(struct pr_connection *connection) {
    struct pr_window *window = window_of(connection);
    struct pr_unread *unread = take_unread(connection);
    if (!unread) return false;
    window->length = unread->length - unread->at;
    memcpy(window->bytes, unread->bytes + unread->at, window->length);
    pr_free(unread);
    return true;
}

enum pr_window_sight pr_window_read_on(struct pr_connection *connection) {
    struct pr_window *window = window_of(connection);
    size_t kept = window->length - window->at;
    memmove(window->bytes, window->bytes + window->at, kept);
    window->at = 0;
    window->length = kept;
    ssize_t got;
    do got = pr_sys.recv(connection->fd, window->bytes + kept, PR_WINDOW - kept, MSG_DONTWAIT);
    while (got < 0 && errno == EINTR);
    connection->all_read = got == 0;
    window->full = got > 0 && (size_t)got == PR_WINDOW - kept;
    if (got > 0) window->length += (size_t)got;
    if (got > 0) return PR_WINDOW_BYTES;
    return got < 0 && errno == EAGAIN ? PR_WINDOW_EMPTY : PR_WINDOW_ENDED;
}

/* What comes after a look that has seen all is a new edge. The edge of an end that came behind requests is theirs. */
enum pr_window_sight pr_window_look(struct pr_connection *connection) {
    struct pr_window *window = window_of(connection);
    if (window->at < window->length) return PR_WINDOW_BYTES;
    bool first = !window->looked;
    window->looked = true;
    if (first && fill_from_unread(connection)) {
        window->full = true; /* nobody has looked for more */
        return PR_WINDOW_BYTES;
    }
    bool more = first || window->full || connection->responder->ended;
    return more ? pr_window_read_on(connection) : PR_WINDOW_EMPTY;
}

void pr_window_clear(struct pr_lane *lane) {
    struct pr_window *window = &lane->http->window;
    window->looked = window->full = false;
    window->at = window->length = 0;
}

/* Under its lock: takes the first bytes, and lets go of what has nothing left. */
static void take_some(struct pr_connection *connection, void *into, size_t length) {
    struct pr_unread *unread = connection->unread;
    memcpy(into, unread->bytes + unread->at, length);
    unread->at += length;
    if (unread->at == unread->length) pr_free(take_unread(connection));
}

size_t pr_unread(struct pr_relay *relay, uint64_t id, void *into, size_t capacity) {
    struct pr_connection *connection = pr_connection_find(relay, id);
    if (!connection) return 0;
    bool ours = !connection->responder && !pr_node_has_closed(connection); /* a lane may be sending what Node answers */
    const struct pr_unread *unread = ours ? connection->unread : NULL;
    size_t length = unread ? unread->length - unread->at : 0;
    if (ours && length > connection->fed) length = connection->fed;
    bool taken = ours && into && length <= capacity;
    if (taken && length > 0) take_some(connection, into, length);
    if (taken) connection->fed = 0;
    pr_connection_unlock_both(connection);
    return length;
}

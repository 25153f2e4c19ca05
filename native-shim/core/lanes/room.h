/*
 * Room for new connections. Where there is none, the connection closes that has been idle longest, as nginx has it;
 * when that makes no room either, the new one is refused.
 */
#ifndef PR_ROOM_H
#define PR_ROOM_H

#include <stdbool.h>

struct pr_door;
struct pr_lane;
struct pr_relay;

/*
 * The lane: accepts one connection by a door, with the spare descriptor where there is no other. -1 with
 * errno, EMFILE where another lane is using that.
 */
int pr_accept_newcomer(struct pr_lane *lane, const struct pr_door *door);

/* The lane: lets in what it has accepted last, or refuses it when it has waited long enough. False: it waits on. */
bool pr_settle_newcomer(struct pr_lane *lane);

void pr_room_open(struct pr_relay *relay);
/* When no lane runs. */
void pr_room_close(struct pr_relay *relay);

#endif

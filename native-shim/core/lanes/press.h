#ifndef PR_PRESS_H
#define PR_PRESS_H

struct pr_relay;

/*
 * For the writers that wait: looks at what is in their way, and breaks off what a writer has waited for since
 * `break_seconds`. Returns how many of those that it looked at are in the way: it looks at so many in one go.
 */
int pr_press(struct pr_relay *relay, double break_seconds);

#endif

/* What takes a relay and a few numbers, and gives one, or -errno: all of it by one function, `act`, by its name. */
#include <errno.h>

#include "base/nudge.h"
#include "call.h"
#include "http/handover.h"
#include "http/known.h"
#include "http/published.h"
#include "lanes/door.h"
#include "lanes/press.h"
#include "pages/claim.h"
#include "pages/tree.h"
#include "wire/client.h"
#include "wire/connection.h"
#include "wire/hold.h"
#include "wire/keep.h"

enum { MOST_NUMBERS = 4 };

static double open_door(struct pr_relay *relay, uint64_t fd, uint64_t number, uint64_t kind, uint64_t nodes) {
    const struct pr_door_options options = {
        .node = (int)nodes - 1, .number = (unsigned)number, .any_host = kind & 1, .takes_proxy = kind >> 1 & 1};
    uint64_t door;
    if (fd > INT32_MAX) return -EBADF;
    if (number >= PR_MOST_DOORS || nodes > INT32_MAX) return -EINVAL;
    int result = pr_door_open(relay, (int)fd, &options, &door);
    return result < 0 ? result : (double)door;
}

/* Gives the version that its writes will be seen as. */
static double begin_lease(struct pr_relay *relay, uint64_t lease, uint64_t epoch) {
    uint64_t version;
    int result = pr_lease_begin(relay, lease, epoch, &version);
    return result < 0 ? result : (double)version;
}

/* Name, how many numbers, what it does with them. */
#define ACTS(ACT)                                                                                                      \
    ACT(closeTree, 1, pr_tree_close(relay, n[0]))                                                                      \
    ACT(treeDescriptor, 1, pr_tree_descriptor(relay, n[0]))                                                            \
    ACT(closeGeneration, 1, pr_generation_close(relay, n[0]))                                                          \
    ACT(retireGeneration, 1, pr_generation_retire(relay, n[0]))                                                        \
    ACT(generationDescriptor, 1, pr_generation_descriptor(relay, n[0]))                                                \
    ACT(setCopying, 2, n[1] >> PR_ENGINE_COUNT ? -EINVAL : pr_generation_set_copying(relay, n[0], (unsigned)n[1]))     \
    ACT(isSettled, 3, pr_generation_is_settled(relay, n[0], n[1], n[2]))                                               \
    ACT(advance, 2, pr_advance(relay, n[0], n[1]))                                                                     \
    ACT(changeToStream, 1, pr_change_to_stream(relay, n[0]))                                                           \
    ACT(beginLease, 2, begin_lease(relay, n[0], n[1]))                                                                 \
    ACT(touchLease, 1, pr_lease_touch(relay, n[0]))                                                                    \
    ACT(waitLease, 2, n[1] > PR_NEEDS_NOTHING ? -EINVAL : pr_lease_wait_for(relay, n[0], (enum pr_needs)n[1]))         \
    ACT(endLease, 2, pr_lease_end(relay, n[0], n[1] != 0, NULL))                                                       \
    ACT(press, 1, pr_press(relay, (double)n[0] / 1e3))                                                                 \
    ACT(endPlace, 1, pr_place_end(relay, n[0]))                                                                        \
    ACT(nudge, 0, pr_nudge())                                                                                          \
    ACT(openDoor, 4, open_door(relay, n[0], n[1], n[2], n[3]))                                                         \
    ACT(doorDescriptor, 1, pr_door_descriptor(relay, n[0]))                                                            \
    ACT(closeDoor, 1, pr_door_close(relay, n[0]))                                                                      \
    ACT(finish, 1, pr_connection_finish(relay, n[0]))                                                                  \
    ACT(breakOff, 1, pr_connection_break(relay, n[0]))                                                                 \
    ACT(closeConnection, 1, pr_connection_close(relay, n[0]))                                                          \
    ACT(leaveConnection, 1, pr_connection_leave(relay, n[0]))                                                          \
    ACT(admitConnection, 3, n[1] > UINT8_MAX ? -EINVAL : pr_connection_admit(relay, n[0], (uint8_t)n[1], n[2] != 0))   \
    ACT(resume, 1, pr_resume(relay, n[0]))                                                                             \
    ACT(askAsClient, 1, pr_client_ask(relay, n[0]))                                                                    \
    ACT(withdraw, 0, (pr_withdraw(relay), 0))                                                                          \
    ACT(suspend, 0, (pr_suspend(relay), 0))                                                                            \
    ACT(isIdle, 0, pr_is_idle(relay))                                                                                  \
    ACT(forgetAllowed, 0, (pr_forget_allowed(relay), 0))                                                               \
    ACT(handOverAll, 0, (pr_hand_over_all(relay), 0))

#define CONSTANT(name, count, call) ACT_##name,
#define NAME(name, count, call)     #name,
#define COUNT(name, count, call)    count,
#define CASE(name, count, call)                                                                                        \
    case ACT_##name: return (double)(call);

enum act { ACTS(CONSTANT) ACT_COUNT };

static double run(struct pr_relay *relay, enum act act, const uint64_t *n) {
    switch (act) {
        ACTS(CASE)
    default: return -EINVAL;
    }
}

static napi_value act(napi_env env, napi_callback_info info) {
    static const char *const names[ACT_COUNT] = {ACTS(NAME)};
    static const size_t counts[ACT_COUNT] = {ACTS(COUNT)};
    struct call call;
    int which;
    uint64_t numbers[MOST_NUMBERS];
    if (!open_call(env, info, &call) || !want_name(env, call.arguments[1], "act", names, ACT_COUNT, &which))
        return NULL;
    for (size_t place = 0; place < counts[which]; place++)
        if (!want_id(&call, 2 + place, place == 0 ? "id" : "number", &numbers[place])) return NULL;
    return number(env, run(call.relay, (enum act)which, numbers));
}

static const struct export list[] = {{"act", act}};
const struct exports act_exports = EXPORTS(list);

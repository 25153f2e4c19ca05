#include "http/answers.h"

#include "base/clock.h"
#include "base/shared.h"
#include "http/layer.h"
#include "http/pattern.h"

void pr_express_answered(struct pr_connection *connection, const struct pr_transmission *transmission,
                         enum pr_outcome outcome, int error, uint64_t now) {
    struct pr_relay *relay = connection->relay;
    struct pr_answers *answers = &relay->http->answers;
    const struct pr_pattern *pattern = connection->express->pattern;
    const struct pr_repeat *request = &pattern->grant.request;
    connection->express->answers++;
    bool ranged = request->range_at < request->length;
    struct pr_counters *counters = &relay->counters;
    (*(ranged ? &counters->answers_ranged : &counters->answers_whole))++;
    (ranged ? counters->ranged_by_engine : counters->whole_by_engine)[transmission->engine]++;
    answers->begun--;
    if (answers->capacity == 0) return;
    answers->list[(answers->first + answers->used++) % answers->capacity] = (struct pr_answer){
        .connection = connection->id,
        .pattern = pattern->id,
        .offset = transmission->segments[0].offset,
        .length = transmission->segments[0].length,
        .sent = transmission->reference.sent,
        .engine = transmission->engine,
        .outcome = outcome,
        .error = error,
        .took = now - transmission->reference.held_since,
        .ago = now, /* when; how long ago that was is known when it is taken */
        .peer = connection->peer,
    };
    if (answers->told || answers->used < answers->capacity / 2) return;
    answers->told = true;
    pr_event_add(relay, (struct pr_event){.kind = PR_EVENT_ANSWERS});
}

size_t pr_answers(struct pr_relay *relay, struct pr_answer *into, size_t capacity) {
    struct pr_answers *answers = &relay->http->answers;
    uint64_t now = pr_now();
    size_t count = 0;
    pr_lock(relay);
    pr_patterns_open(relay); /* who asks again and again wants to hear of those that are over */
    for (; count < capacity && answers->used > 0; answers->used--) {
        into[count] = answers->list[answers->first];
        into[count].ago = now > into[count].ago ? now - into[count].ago : 0;
        count++;
        answers->first = (answers->first + 1) % answers->capacity;
    }
    answers->told = false;
    pr_unlock(relay);
    return count;
}

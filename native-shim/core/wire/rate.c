#include "wire/rate.h"

#include "wire/connection.h"

void pr_rate_begin(struct pr_connection *connection) {
    connection->rate = (struct pr_rate){.from = connection->watermark};
}

/* Who gets no more than so much a second is not asked to take more than half of it. */
static uint64_t least_rate(const struct pr_connection *connection, const struct pr_limits *limits) {
    uint64_t half = connection->pace.rate / 2;
    return half > 0 && half < limits->least_rate ? half : limits->least_rate;
}

bool pr_rate_is_too_low(struct pr_connection *connection, uint64_t now) {
    const struct pr_limits *limits = pr_limits_of(connection);
    struct pr_rate *rate = &connection->rate;
    if (limits->least_rate == 0) return false;
    uint64_t taken = connection->watermark - rate->from;
    if (rate->since == 0) {
        if (taken > 0) rate->since = now;
        return false;
    }
    if (now - rate->since < limits->rate_grace * 1000000) return false;
    pr_rate_begin(connection);
    return (double)taken * 1000 < (double)least_rate(connection, limits) * (double)limits->rate_grace;
}

/*
 * Which heads are a repetition of the granted one: against an oracle that works another way, a regular expression over
 * the whole value. What is compared lies in memory of just its length, so that ASan sees a look beyond.
 */
#include "test.h"

#include <regex.h>

#include "http/repeat.h"

enum { ROUNDS = 20000, MOST = 4096 };

static regex_t plain;

/* The granted head, and one that has come. */
struct trial {
    struct pr_repeat repeat;
    char granted[MOST];
    char bytes[MOST];
    size_t length, head, value_at, value;
    uint64_t size;
};

static size_t put(char *into, size_t at, const char *text) {
    size_t length = strlen(text);
    memcpy(into + at, text, length);
    return at + length;
}

static const char *pick(uint64_t *random, const char *const *from, size_t count) {
    return from[test_below(random, count)];
}

#define PICK(random, from) pick(random, from, sizeof from / sizeof *from)

static void spell_number(uint64_t *random, uint64_t size, char *into) {
    static const char *const odd[] = {
        "0",
        "00",
        "000000000000000007",
        "0000000000000000007",
        "999999999999999999",
        "1000000000000000000",
        "9223372036854775807",
        "9223372036854775808",
        "18446744073709551615",
        "18446744073709551616",
        "18446744073709551617",
        "123456789012345678901234567890",
        "",
        "+1",
        "0x1",
        "1 ",
    };
    uint64_t number = test_below(random, size);
    if (test_below(random, 4) == 0) number = size - 1 + test_below(random, 3);
    if (test_below(random, 8) == 0)
        strcpy(into, PICK(random, odd));
    else
        sprintf(into, test_below(random, 8) ? "%llu" : "%05llu", (unsigned long long)number);
}

static void spell_value(uint64_t *random, uint64_t size, char *into) {
    static const char *const units[] = {"bytes=", "Bytes=", "bytes =", "bytes= ", "byte=", "bytes", "items=", ""};
    static const char *const behind[] = {",", ",0-1", "-", " ", "\t", ";", "a", ", 5-6"};
    char first[40] = "", last[40] = "";
    if (test_below(random, 4)) spell_number(random, size, first);
    if (test_below(random, 3)) spell_number(random, size, last);
    sprintf(into, "%s%s%s%s%s", test_below(random, 8) ? "bytes=" : PICK(random, units), first,
            test_below(random, 16) ? "-" : "", last, test_below(random, 10) ? "" : PICK(random, behind));
}

static uint64_t any_size(uint64_t *random) {
    uint64_t bits = 1 + test_below(random, 58);
    return test_below(random, 4) ? 1 + test_below(random, (uint64_t)1 << bits) : 1 + test_below(random, 3);
}

/* Any bytes will do: nothing here may understand them. */
static size_t put_noise(uint64_t *random, char *into, size_t at) {
    size_t count = test_below(random, 60);
    for (; count > 0; count--) into[at++] = (char)test_below(random, 256);
    return at;
}

static void granted_head(uint64_t *random, struct trial *trial) {
    static const char *const before[] = {"GET /regions/a HTTP/1.1\r\nHost: a\r\nRange: ", "Range:", "range:\t", "5"};
    static const char *const after[] = {"\r\n\r\n", "\r\nAccept: */*\r\n\r\n", " \r\n\r\n",
                                        "\r\nRange: bytes=1-2\r\n\r\n"};
    size_t at = test_below(random, 4) ? 0 : put_noise(random, trial->granted, 0);
    trial->repeat.range_at = at = put(trial->granted, at, PICK(random, before));
    trial->repeat.length = put(trial->granted, at, PICK(random, after));
    trial->repeat.head = trial->granted;
}

static void received(struct trial *trial, const char *value) {
    size_t before = trial->repeat.range_at, after = trial->repeat.length - before;
    memcpy(trial->bytes, trial->granted, before);
    trial->value_at = before;
    trial->value = strlen(value);
    size_t at = put(trial->bytes, before, value);
    memcpy(trial->bytes + at, trial->granted + before, after);
    trial->head = trial->length = at + after;
}

static void next_trial(uint64_t *random, struct trial *trial) {
    char value[200];
    granted_head(random, trial);
    trial->size = any_size(random);
    spell_value(random, trial->size, value);
    received(trial, value);
}

/* Compares in memory that ends with the last byte. */
static enum pr_match match(const struct trial *trial, size_t length, struct pr_asked *asked) {
    char *exact = malloc(length + 1);
    char *begin = exact + 1; /* malloc(0) may be NULL, and the end is what matters */
    memcpy(begin, trial->bytes, length);
    enum pr_match result = pr_repeat_match(&trial->repeat, trial->size, begin, length, asked);
    free(exact);
    return result;
}

/* The oracle. */

static uint64_t number_of(const char *value, const regmatch_t *part) {
    char digits[24] = "";
    memcpy(digits, value + part->rm_so, (size_t)(part->rm_eo - part->rm_so));
    return strtoull(digits, NULL, 10);
}

static bool expect_range(const char *value, uint64_t size, struct pr_asked *asked) {
    regmatch_t parts[3];
    if (regexec(&plain, value, 3, parts, 0) != 0) return false;
    bool has_first = parts[1].rm_eo > parts[1].rm_so, has_last = parts[2].rm_eo > parts[2].rm_so;
    __int128 first = (__int128)number_of(value, &parts[1]), last = (__int128)number_of(value, &parts[2]), end = size;
    if (!has_first && !has_last) return false;
    if (!has_first) {
        first = last > end ? 0 : end - last;
        last = end - 1;
    } else if (!has_last || last >= end) {
        if (has_last && last < first) return false;
        last = end - 1;
    }
    if (first > last || first >= end) return false;
    asked->offset = (uint64_t)first;
    asked->length = (uint64_t)(last - first + 1);
    return true;
}

/* Whether the bytes begin with a repetition: a plain value has neither CR nor space, and what follows begins so. */
static bool expect_match(const struct trial *trial, struct pr_asked *asked) {
    char value[MOST] = "";
    size_t before = trial->repeat.range_at, after = trial->repeat.length - before, length = 0;
    if (trial->length < before || memcmp(trial->bytes, trial->granted, before) != 0) return false;
    const char *at = trial->bytes + before;
    while (before + length < trial->length && at[length] != '\r' && at[length] != ' ' && at[length] != '\0') length++;
    memcpy(value, at, length);
    if (!expect_range(value, trial->size, asked) || trial->length - before - length < after) return false;
    asked->consumed = before + length + after;
    return memcmp(at + length, trial->granted + before, after) == 0;
}

static void compare(const struct trial *trial) {
    struct pr_asked expected, asked;
    bool matches = expect_match(trial, &expected);
    enum pr_match result = match(trial, trial->length, &asked);
    if ((result == PR_MATCH) != matches)
        FAIL("size %llu: \"%.*s\" is %d", (unsigned long long)trial->size, (int)trial->value,
             trial->bytes + trial->value_at, result);
    if (!matches) return;
    CHECK_EQUAL(asked.offset, expected.offset);
    CHECK_EQUAL(asked.length, expected.length);
    CHECK_EQUAL(asked.consumed, expected.consumed);
}

/* Tests. */

static void plain_ranges_inside_match_and_nothing_else_does(void) {
    static struct trial trial;
    uint64_t random = test_seed();
    unsigned matched = 0;
    for (unsigned round = 0; round < 10 * ROUNDS; round++) {
        struct pr_asked asked;
        next_trial(&random, &trial);
        compare(&trial);
        enum pr_match result = match(&trial, trial.length, &asked);
        matched += result == PR_MATCH;
        CHECK(result != PR_MATCH_SO_FAR); /* all of it is here */
    }
    CHECK(matched > ROUNDS);
}

static void a_head_that_ends_early_never_matches(void) {
    static struct trial trial;
    uint64_t random = test_seed();
    for (unsigned round = 0; round < ROUNDS / 10; round++) {
        struct pr_asked asked;
        next_trial(&random, &trial);
        bool matches = match(&trial, trial.length, &asked) == PR_MATCH;
        for (size_t length = 0; length < trial.length; length++) {
            enum pr_match result = match(&trial, length, &asked);
            CHECK(result != PR_MATCH);
            if (matches || length <= trial.value_at) CHECK_EQUAL(result, PR_MATCH_SO_FAR);
        }
    }
}

static void a_flipped_byte_matches_only_as_another_plain_range(void) {
    static struct trial trial;
    uint64_t random = test_seed();
    for (unsigned round = 0; round < ROUNDS / 20; round++) {
        struct pr_asked asked;
        do next_trial(&random, &trial);
        while (match(&trial, trial.length, &asked) != PR_MATCH);
        for (size_t at = 0; at < trial.length; at++) {
            char flip = (char)(1 << test_below(&random, 8));
            trial.bytes[at] = (char)(trial.bytes[at] ^ flip);
            bool inside = at >= trial.value_at && at < trial.value_at + trial.value;
            if (!inside) CHECK(match(&trial, trial.length, &asked) != PR_MATCH);
            compare(&trial);
            trial.bytes[at] = (char)(trial.bytes[at] ^ flip);
        }
    }
}

static void what_follows_the_head_is_not_consumed(void) {
    static struct trial trial;
    uint64_t random = test_seed();
    for (unsigned round = 0; round < ROUNDS; round++) {
        struct pr_asked asked;
        do next_trial(&random, &trial);
        while (match(&trial, trial.length, &asked) != PR_MATCH);
        trial.length = put_noise(&random, trial.bytes, trial.length);
        CHECK_EQUAL(match(&trial, trial.length, &asked), PR_MATCH);
        CHECK_EQUAL(asked.consumed, trial.head);
        compare(&trial);
    }
}

static void a_request_without_a_range_asks_for_the_whole(void) {
    static const char head[] = "GET /regions/a HTTP/1.1\r\nHost: a\r\n\r\n";
    static struct trial trial;
    struct pr_asked asked;
    trial = (struct trial){.repeat = {head, sizeof head - 1, sizeof head - 1}, .size = 12345};
    trial.length = put(trial.bytes, 0, head);
    for (size_t length = 0; length < trial.length; length++)
        CHECK_EQUAL(match(&trial, length, &asked), PR_MATCH_SO_FAR);
    for (size_t at = 0; at < trial.length; at++) {
        trial.bytes[at] ^= 1;
        CHECK_EQUAL(match(&trial, trial.length, &asked), PR_MATCH_NONE);
        trial.bytes[at] ^= 1;
    }
    trial.length = put(trial.bytes, trial.length, "GET");
    CHECK_EQUAL(match(&trial, trial.length, &asked), PR_MATCH);
    CHECK_EQUAL(asked.offset, 0);
    CHECK_EQUAL(asked.length, 12345);
    CHECK_EQUAL(asked.consumed, sizeof head - 1);
}

/* The numbers of the specification's own examples (RFC 9110 14.1.2), of 10000 bytes. */
static void the_examples_of_the_specification(void) {
    static const struct {
        const char *value;
        enum pr_match match;
        uint64_t offset, length;
    } examples[] = {
        {"bytes=0-499", PR_MATCH, 0, 500},
        {"bytes=500-999", PR_MATCH, 500, 500},
        {"bytes=-500", PR_MATCH, 9500, 500},
        {"bytes=9500-", PR_MATCH, 9500, 500},
        {"bytes=9999-10000", PR_MATCH, 9999, 1},
        {"bytes=-10001", PR_MATCH, 0, 10000},
        {"bytes=0-", PR_MATCH, 0, 10000},
        {"bytes=0-0,-1", PR_MATCH_NONE, 0, 0},
        {"bytes=10000-", PR_MATCH_NONE, 0, 0},
        {"bytes=-0", PR_MATCH_NONE, 0, 0},
        {"bytes=-", PR_MATCH_NONE, 0, 0},
        {"bytes=5-4", PR_MATCH_NONE, 0, 0},
        {"", PR_MATCH_NONE, 0, 0},
    };
    static struct trial trial;
    uint64_t random = 1;
    for (size_t index = 0; index < sizeof examples / sizeof *examples; index++) {
        struct pr_asked asked;
        granted_head(&random, &trial);
        trial.size = 10000;
        received(&trial, examples[index].value);
        CHECK_EQUAL(match(&trial, trial.length, &asked), examples[index].match);
        if (examples[index].match != PR_MATCH) continue;
        CHECK_EQUAL(asked.offset, examples[index].offset);
        CHECK_EQUAL(asked.length, examples[index].length);
        compare(&trial);
    }
}

int main(void) {
    CHECK_EQUAL(regcomp(&plain, "^bytes=([0-9]{0,18})-([0-9]{0,18})$", REG_EXTENDED), 0);
    RUN(plain_ranges_inside_match_and_nothing_else_does);
    RUN(a_head_that_ends_early_never_matches);
    RUN(a_flipped_byte_matches_only_as_another_plain_range);
    RUN(what_follows_the_head_is_not_consumed);
    RUN(a_request_without_a_range_asks_for_the_whole);
    RUN(the_examples_of_the_specification);
    regfree(&plain);
    return 0;
}

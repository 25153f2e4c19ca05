/*
 * libFuzzer: which bytes are a repetition of a granted head. The verdict is compared with that of a slower reading of
 * the same rules, for the whole input and for each of its beginnings. What is compared lies in memory of just its
 * length, so that ASan sees a look beyond.
 *
 * An input: how it is made (one byte), the region's size (eight), the length of the granted head and where its Range
 * was (one each), the head, and what has come. As what has come is mostly noise, it can also be the value alone, put
 * into the granted head.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "http/repeat.h"

enum { FRONT = 11, MOST_RECEIVED = 400, MOST_DIGITS = 18 };

struct input {
    struct pr_repeat repeat;
    uint64_t size;
    char bytes[MOST_RECEIVED + 2 * UINT8_MAX]; /* what has come, in the granted head, and another one behind it */
    size_t length;
};

#define EXPECT(condition, input, at)                                                                                   \
    do {                                                                                                               \
        if (condition) break;                                                                                          \
        fprintf(stderr, "%s:%d: of %zu bytes: %s\n", __FILE__, __LINE__, (size_t)(at), #condition);                    \
        abort();                                                                                                       \
    } while (0)

static void add(struct input *input, const void *bytes, size_t length) {
    memcpy(input->bytes + input->length, bytes, length);
    input->length += length;
}

static bool read_input(const uint8_t *data, size_t size, struct input *input) {
    if (size < FRONT) return false;
    size_t head = data[9], rest = size - FRONT;
    if (head == 0 || head > rest || data[10] > head || rest - head > MOST_RECEIVED) return false;
    const uint8_t *granted = data + FRONT, *received = granted + head;
    input->repeat = (struct pr_repeat){.head = (const char *)granted, .length = head, .range_at = data[10]};
    memcpy(&input->size, data + 1, sizeof input->size);
    input->size >>= data[0] >> 2; /* small ones as well */
    if (input->size == 0 || input->size >> 63) return false;
    bool whole = data[0] & 1;
    if (whole) add(input, granted, input->repeat.range_at);
    add(input, received, rest - head);
    if (whole) add(input, granted + input->repeat.range_at, head - input->repeat.range_at);
    if (data[0] & 2) add(input, granted, head); /* another request behind it */
    return true;
}

/* The slower reading: a value is cut out first, and understood then. */

struct verdict {
    bool same;
    struct pr_asked asked;
};

static size_t digits_at(const struct input *input, size_t at) {
    size_t count = 0;
    while (at + count < input->length && strchr("0123456789", input->bytes[at + count]) && input->bytes[at + count])
        count++;
    return count;
}

static uint64_t number_at(const struct input *input, size_t at, size_t digits) {
    char text[MOST_DIGITS + 1] = "";
    memcpy(text, input->bytes + at, digits);
    return strtoull(text, NULL, 10);
}

static bool has(const struct input *input, size_t at, const char *text, size_t length) {
    return at <= input->length && input->length - at >= length && memcmp(input->bytes + at, text, length) == 0;
}

static bool understand(const struct input *input, size_t first_at, size_t firsts, size_t lasts,
                       struct pr_asked *asked) {
    if (firsts > MOST_DIGITS || lasts > MOST_DIGITS || firsts + lasts == 0) return false;
    uint64_t end = input->size, first = number_at(input, first_at, firsts);
    uint64_t last = number_at(input, first_at + firsts + 1, lasts);
    if (firsts == 0) {
        asked->offset = last < end ? end - last : 0;
    } else {
        if (lasts > 0 && last < first) return false;
        asked->offset = first;
        if (lasts > 0 && last + 1 < end) end = last + 1;
    }
    if (asked->offset >= end) return false;
    asked->length = end - asked->offset;
    return true;
}

static struct verdict judge(const struct input *input) {
    const struct pr_repeat *repeat = &input->repeat;
    struct verdict none = {0}, verdict = {.same = true, .asked = {.length = input->size}};
    size_t at = repeat->range_at;
    if (!has(input, 0, repeat->head, at)) return none;
    if (repeat->range_at < repeat->length) {
        if (!has(input, at, "bytes=", 6)) return none;
        size_t first_at = at + 6, firsts = digits_at(input, first_at);
        if (!has(input, first_at + firsts, "-", 1)) return none;
        size_t lasts = digits_at(input, first_at + firsts + 1);
        if (!understand(input, first_at, firsts, lasts, &verdict.asked)) return none;
        at = first_at + firsts + 1 + lasts;
    }
    if (!has(input, at, repeat->head + repeat->range_at, repeat->length - repeat->range_at)) return none;
    verdict.asked.consumed = at + repeat->length - repeat->range_at;
    return verdict;
}

/* What is under test, of the first bytes. */
static enum pr_match match(const struct input *input, size_t length, struct pr_asked *asked) {
    char *exact = malloc(length + 1);
    if (!exact) abort();
    memcpy(exact + 1, input->bytes, length); /* the end is what matters */
    enum pr_match result = pr_repeat_match(&input->repeat, input->size, exact + 1, length, asked);
    free(exact);
    return result;
}

/* More bytes than that are a repetition, or none. */
static size_t longest(const struct pr_repeat *repeat) {
    return repeat->length + sizeof "bytes=-" - 1 + 2 * MOST_DIGITS;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct input input = {0};
    if (!read_input(data, size, &input)) return -1;
    struct verdict verdict = judge(&input);
    bool over = false;
    for (size_t length = 0; length <= input.length; length++) {
        struct pr_asked asked;
        enum pr_match result = match(&input, length, &asked);
        bool complete = verdict.same && length >= verdict.asked.consumed;
        EXPECT((result == PR_MATCH) == complete, &input, length);
        EXPECT(!verdict.same || result != PR_MATCH_NONE, &input, length); /* Node would have it for nothing */
        EXPECT(!over || result == PR_MATCH_NONE, &input, length);         /* what is none does not become one */
        EXPECT(result != PR_MATCH_SO_FAR || length < longest(&input.repeat), &input, length); /* nobody waits forever */
        over = result == PR_MATCH_NONE;
        if (!complete) continue;
        EXPECT(asked.offset == verdict.asked.offset && asked.length == verdict.asked.length, &input, length);
        EXPECT(asked.consumed == verdict.asked.consumed, &input, length);
    }
    return 0;
}

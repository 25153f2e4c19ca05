#include "base/siphash.h"

#include <endian.h>
#include <string.h>
#include <sys/random.h>

struct state {
    uint64_t a, b, c, d;
};

static uint64_t rotated(uint64_t word, int bits) {
    return word << bits | word >> (64 - bits);
}

static void mix(struct state *state, int rounds) {
    while (rounds-- > 0) {
        state->a += state->b;
        state->c += state->d;
        state->b = rotated(state->b, 13) ^ state->a;
        state->d = rotated(state->d, 16) ^ state->c;
        state->a = rotated(state->a, 32);
        state->c += state->b;
        state->a += state->d;
        state->b = rotated(state->b, 17) ^ state->c;
        state->d = rotated(state->d, 21) ^ state->a;
        state->c = rotated(state->c, 32);
    }
}

static void absorb(struct state *state, uint64_t word) {
    state->d ^= word;
    mix(state, 2);
    state->a ^= word;
}

/* Up to eight bytes, the first the lowest. */
static uint64_t word_of(const unsigned char *bytes, size_t length) {
    uint64_t word = 0;
    memcpy(&word, bytes, length);
    return le64toh(word);
}

void pr_siphash_key(uint64_t key[2]) {
    if (getrandom(key, 2 * sizeof *key, GRND_NONBLOCK) < 0) key[0] = (uint64_t)(uintptr_t)key;
}

uint64_t pr_siphash(const uint64_t key[2], const void *bytes, size_t length) {
    const unsigned char *at = bytes;
    struct state state = {
        .a = key[0] ^ 0x736f6d6570736575,
        .b = key[1] ^ 0x646f72616e646f6d,
        .c = key[0] ^ 0x6c7967656e657261,
        .d = key[1] ^ 0x7465646279746573,
    };
    size_t left = length;
    for (; left >= 8; at += 8, left -= 8) absorb(&state, word_of(at, 8));
    absorb(&state, word_of(at, left) | (uint64_t)length << 56);
    state.c ^= 0xff;
    mix(&state, 4);
    return state.a ^ state.b ^ state.c ^ state.d;
}

/* SipHash-2-4 (Aumasson, Bernstein 2012): a hash that nobody can compute who has not the key. */
#ifndef PR_SIPHASH_H
#define PR_SIPHASH_H

#include <stddef.h>
#include <stdint.h>

/* A key that nobody knows; what is in memory anyway has to do where there is no randomness yet. */
void pr_siphash_key(uint64_t key[2]);
uint64_t pr_siphash(const uint64_t key[2], const void *bytes, size_t length);

#endif

/* Numbers in decimal, without snprintf, which would be a tenth of the time that a whole answer takes. */
#ifndef PR_DIGITS_H
#define PR_DIGITS_H

#include <stdint.h>

/* Writes a number of at least so many digits, with zeros in front where it has fewer. Returns where it ends. */
static inline char *pr_write_number(char *at, uint64_t number, unsigned least_digits) {
    char digits[20];
    unsigned count = 0;
    do digits[count++] = (char)('0' + number % 10);
    while ((number /= 10) > 0 || count < least_digits);
    while (count > 0) *at++ = digits[--count];
    return at;
}

#endif

#ifndef THIMBLE_LINES_H
#define THIMBLE_LINES_H

#include <stdint.h>

/* Lines are put together in a buffer; each of these returns where the next word goes. */
static inline char *put_text(char *at, const char *words)
{
    while (*words) {
        *at++ = *words++;
    }
    return at;
}

static inline char *put_number(char *at, uint32_t value)
{
    char digits[10];
    int32_t count = 0;
    do {
        digits[count++] = (char)('0' + value % 10);
        value /= 10;
    } while (value);
    *at++ = ' ';
    while (count) {
        *at++ = digits[--count];
    }
    return at;
}

#endif

/* Numbers, percent, degrees, durations, clock times and dates as people say them; `pipeline/text/quantities.py` is the
 * readable form of the same. */
#ifndef THIMBLE_QUANTITIES_H
#define THIMBLE_QUANTITIES_H

#include <stdbool.h>

#include "thimble_words.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { THIMBLE_NUMBER = 1, THIMBLE_PERCENT, THIMBLE_DEGREES, THIMBLE_DURATION, THIMBLE_TIME, THIMBLE_DATE };

enum { THIMBLE_MAX_QUANTITY_BYTES = 64, THIMBLE_MORPHEME_BLOCK = 8 };

/* A language's tables, generated. */
typedef struct {
    uint16_t morpheme_bytes, pattern_count;
    uint16_t block_count;          /* of THIMBLE_MORPHEME_BLOCK morphemes, the last one of up to so many */
    uint8_t longest;               /* bytes of the longest morpheme that may stand with others in one word */
    uint8_t decimal;               /* the sign before decimals in digits */
    uint8_t number_style;          /* how 21 and 71 are said */
    const uint16_t *starts;        /* [block_count]: where each block begins in `morphemes` */
    const uint8_t *morphemes;      /* sorted; each: its length, | 0x80 if it may stand together with others; its text;
                                      its classes, | 0x80 the last of them, those below 32 with a value behind */
    const uint8_t *patterns;       /* each: its size; its kind and flags; a value; numbers of classes before and behind;
                                      these classes; its items */
    const uint8_t (*fractions)[2]; /* numerator, denominator */
    const uint8_t (*day_parts)[2]; /* from which hour on it is the afternoon, what 12 is */
    const char *const *dates;
} thimble_quantities;

typedef struct {
    uint8_t kind;
    uint8_t count; /* words that it takes */
    uint8_t value_length;
    uint32_t parts[5]; /* of a duration: weeks, days, hours, minutes, seconds */
    uint8_t value[THIMBLE_MAX_QUANTITY_BYTES];
} thimble_quantity;

/* The longest quantity that begins at a word; false: none does. `words` are skeletons: lower case, without accents. */
bool thimble_quantity_at(const thimble_quantities *tables, const thimble_words *words, uint16_t index,
                         thimble_quantity *quantity);

#ifdef __cplusplus
}
#endif

#endif

/* A text as words: what the steps of the text path hand on. */
#ifndef THIMBLE_WORDS_H
#define THIMBLE_WORDS_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { THIMBLE_MAX_WORDS = 64, THIMBLE_MAX_WORDS_BYTES = 640, THIMBLE_MAX_MARKS = 16 };

/* Normalized words, joined by single spaces. */
typedef struct {
    uint16_t count;
    uint16_t length;                                           /* bytes of `text` */
    uint16_t start[THIMBLE_MAX_WORDS], end[THIMBLE_MAX_WORDS]; /* where each word is in `text` */
    uint16_t from[THIMBLE_MAX_WORDS], to[THIMBLE_MAX_WORDS];   /* and where it was in the original */
    uint8_t text[THIMBLE_MAX_WORDS_BYTES];
} thimble_words;

/* A quantity or a known name in a text. `value` is text without an end mark: in a table, or in the marks' own memory.
 */
typedef struct {
    uint8_t kind;       /* index in the table of kinds */
    uint8_t first, end; /* words */
    uint8_t is_quantity;
    uint32_t parts[5]; /* of a duration: weeks, days, hours, minutes, seconds */
    const uint8_t *value;
    uint16_t value_length;
    uint16_t entry; /* of a name: which of its layer's, */
    uint8_t layer;  /* and which layer of the annotator's */
} thimble_mark;

#ifdef __cplusplus
}
#endif

#endif

/* Words of a text as people type it and as speech recognizers write it; and words whose accents were lost.
 *
 * The host's twin is pipeline/text/normalize.py, which says how texts are folded and cut; both give the same to the
 * byte. */
#ifndef THIMBLE_NORMALIZE_H
#define THIMBLE_NORMALIZE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "thimble_tokenizer.h"
#include "thimble_words.h"

#ifdef __cplusplus
extern "C" {
#endif

/* What a folded code point is to the cutting of words. */
enum {
    THIMBLE_LETTER = 0,
    THIMBLE_SEPARATOR = 1,
    THIMBLE_IGNORED = 2, /* a combining mark, or nothing that is seen */
    THIMBLE_SYMBOL = 3,  /* a word of its own */
    THIMBLE_DIGIT = 4
};

enum { THIMBLE_MAX_RESTORED_BYTES = 64, THIMBLE_RUN_BLOCK = 8 };

/* Tables, generated, of code points up to U+FFFF; all are ascending. Combining marks are given as their distance from
 * U+0300. A run is of code points one after the other, or of every other one, which its length says with 0x80 more. */
typedef struct {
    uint16_t fold_count, pair_count, class_count;
    uint8_t digit_count, plain_count;
    const uint16_t *fold_codes;  /* [fold_count]: where a run of code points begins that are folded alike */
    const uint8_t *fold_runs;    /* [fold_count]: the run's length */
    const uint16_t *fold_to;     /* [fold_count]: what the first of them is folded to */
    const uint16_t *digits;      /* [digit_count]: zeros beside ASCII's; the other nine follow each */
    const uint16_t *class_codes; /* [class_count]: where a class begins, after folding; the first is 0 */
    const uint8_t *classes;      /* two of [class_count] a byte, the first in its lower half */
    const uint16_t *pair_codes;  /* [pair_count]: where a run of what letters with a mark become begins, */
    const uint8_t *pair_runs;    /* [pair_count]: its length, */
    const uint16_t *pair_firsts; /* and for every THIMBLE_RUN_BLOCK-th the index of its first in both of these: */
    const uint8_t *pair_bases;   /* the letter, as an index of `bases`, */
    const uint8_t *pair_marks;   /* and the mark, plus 0x80 where a skeleton keeps it */
    const uint16_t *bases;
    const uint16_t *plain_codes;    /* [plain_count]: letters that do not decompose, */
    const uint8_t (*plain_text)[2]; /* [plain_count]: and what they are in a skeleton; zero bytes stand for none */
    bool umlauts;                   /* in skeletons ae, oe and ue are a, o and u, as other spellings of ä, ö and ü */
    uint16_t restore_count;         /* words that are restored where their accents are lost, by their skeletons */
    const uint16_t *restore_starts; /* [restore_count + 1]: where the bytes of each start in `restore_text` */
    const uint8_t *restore_text;    /* at most THIMBLE_MAX_RESTORED_BYTES a word */
    const char *elided; /* letters that are a word of their own with the apostrophe behind them ("l'air"), each with a
                         * zero byte behind it, and one more at the end; NULL: none */
} thimble_normalizer;

/* Writes the words of a text and returns their number, or THIMBLE_TEXT_NOT_UTF8, or THIMBLE_TEXT_TOO_LONG where they
 * are more than `words` holds or `length` is above 65535. On an error `words` has no meaning. */
int32_t thimble_normalize(const thimble_normalizer *normalizer, const uint8_t *text, size_t length,
                          thimble_words *words);

/* Writes the skeleton of a normalized word, which is never longer, and returns its bytes. `skeleton` may be `word`. */
size_t thimble_skeleton(const thimble_normalizer *normalizer, const uint8_t *word, size_t length, uint8_t *skeleton);

/* The word that lost its accents, by its skeleton, and its bytes; NULL: there is none. */
const uint8_t *thimble_restored(const thimble_normalizer *normalizer, const uint8_t *skeleton, size_t length,
                                size_t *restored_length);

#ifdef __cplusplus
}
#endif

#endif

/* What is known in a sentence: names, also inflected, compounded or misspelt, and quantities.
 *
 * The host's twin is pipeline/text/matcher.py, which says what counts as a name; both find the same to the byte. */
#ifndef THIMBLE_MATCHER_H
#define THIMBLE_MATCHER_H

#include <stdbool.h>

#include "thimble_normalize.h"
#include "thimble_quantities.h"
#include "thimble_words.h"

#ifdef __cplusplus
extern "C" {
#endif

/* What annotate answers instead of a count, beside those of the tokenizer. */
enum { THIMBLE_TEXT_HAS_TOO_MANY_MARKS = -3 };

/* Bytes of the values of quantities in a sentence. */
enum { THIMBLE_MAX_VALUES_BYTES = 512 };

enum { THIMBLE_MAX_NAME_BYTES = 255, THIMBLE_MAX_DROPPED_BYTES = 8, THIMBLE_OWN_TEXT = 0xFFFF, THIMBLE_LAYERS = 2 };

/* What texts and values of names that are added are made of. A text is its words' indices: one byte below 0x80, or two,
 * the high one first, with 0x80 in it. */
typedef struct {
    const uint16_t *text_starts; /* where the indices of each entry's text start in `texts` */
    const uint8_t *texts;
    const uint16_t *word_starts; /* where each word starts in `words` */
    const uint8_t *words;
    const uint16_t *value_starts; /* where each value starts in `values` */
    const uint8_t *values;        /* cases, the high byte first, and indices of words; or 0, and its bytes */
} thimble_coded_names;

/* Of a coded vocabulary a value may be words in cases, from the first word on two bits each, the low ones first: as the
 * word is, its first letter a capital, all of them; so many words and bytes at most. Added to the cases: */
enum { THIMBLE_CASED = 0x8000, THIMBLE_CASED_WORDS = 7, THIMBLE_CASED_BYTES = 32 };
enum { THIMBLE_AS_IT_IS = 0, THIMBLE_FIRST_CAPITAL = 1, THIMBLE_ALL_CAPITALS = 2 };

/* Names, generated or the application's own. The first of equal texts counts, and is the only one here. */
typedef struct {
    uint16_t count;
    uint16_t skeleton_count;     /* entries whose skeletons have three letters or more */
    uint16_t longest;            /* letters of the longest skeleton */
    uint8_t max_words;           /* of a text */
    const uint32_t *text_starts; /* [count + 1]: where each text starts in `text` */
    const uint8_t *text;         /* normalized words, joined by single spaces; at most THIMBLE_MAX_NAME_BYTES each */
    const uint16_t *by_text;     /* [count]: entries, their texts ascending */
    const uint16_t
        *by_skeleton; /* [skeleton_count]: entries, their skeletons ascending; of equal ones the first entry first */
    const uint8_t *kinds;         /* [count]: indices of markers */
    const uint16_t *value_of;     /* [count]: index of the value, THIMBLE_OWN_TEXT: the text is the value */
    const uint32_t *value_starts; /* where each value starts in `values`; the last ends where the next would start */
    const uint8_t *values;
    /* NULL; or texts and values are here, and `value_of` holds the cases of the text, or an index of the values. */
    const thimble_coded_names *coded;
} thimble_vocabulary;

/* Strings one behind the other, each with a zero byte at its end; one more zero byte is behind the last. */
typedef struct {
    uint8_t count;
    const char *text;
} thimble_strings;

/* How the language changes names, generated; what the members mean stands at `Inflection` in
 * pipeline/text/vocabulary.py. */
typedef struct {
    bool umlauts;
    uint8_t min_letters;
    thimble_strings last, clitics, inner, linking, dropped;
    thimble_strings stems; /* each ending with what stands for it behind it, which is no longer; counted once */
} thimble_inflection;

enum { THIMBLE_HASH_BYTES = 3 };

/* All that is known beside the home's names. Hashes are FNV-1a of 32 bits, the highest byte xored to the lowest of the
 * other three; these, the highest first, stand in the tables, which are ascending. */
typedef struct thimble_annotator {
    const thimble_normalizer *normalizer;
    const thimble_quantities *quantities;
    const thimble_inflection *inflection;
    const thimble_vocabulary *layers[THIMBLE_LAYERS]; /* the home's names, the task's lists; NULL: none */
    uint8_t quantity_kinds[THIMBLE_DATE + 1];         /* the index of each kind's marker */
    uint16_t known_count, common_count;
    const uint8_t *known;  /* words that the task's templates say */
    const uint8_t *common; /* words of the language that are no misspelt names */
} thimble_annotator;

/* Names in other forms and with typos take at most so many words. */
enum { THIMBLE_SPAN_WORDS = 8 };

/* Work space: a sentence while it is marked. */
typedef struct {
    const thimble_annotator *annotator;
    const uint8_t *original;
    thimble_words *words;
    thimble_mark *marks;
    uint8_t *values; /* of quantities */
    size_t values_length;
    uint8_t count;                     /* of marks */
    bool is_known[THIMBLE_MAX_WORDS];  /* by the task or as a common word */
    bool is_marked[THIMBLE_MAX_WORDS]; /* before pass 3 */
    thimble_words skeletons;           /* of the words, without spaces between */
    uint8_t
        joined[THIMBLE_MAX_WORDS_BYTES + THIMBLE_MAX_DROPPED_BYTES]; /* the skeleton of a span, or of a part of one */
    uint16_t ends[THIMBLE_SPAN_WORDS + 1]; /* and where it ends with each of its words, 0 for none */
} thimble_annotation;

/* Restores words and finds the marks of a text that `thimble_normalize` has read; words may be replaced and split.
 *
 * Returns the number of marks, in order and never overlapping, or THIMBLE_TEXT_TOO_LONG where the words do not fit, or
 * THIMBLE_TEXT_HAS_TOO_MANY_MARKS. `marks` has room for THIMBLE_MAX_MARKS, `values` for THIMBLE_MAX_VALUES_BYTES;
 * values of marks are in the tables or in `values`. `work` means nothing before and after. */
int32_t thimble_annotate(const thimble_annotator *annotator, const uint8_t *original, thimble_words *words,
                         thimble_mark *marks, uint8_t *values, thimble_annotation *work);

/* The words of a name, one after the other. */
typedef struct {
    const uint8_t *at, *end;
    const thimble_coded_names *coded;
} thimble_name_words;

thimble_name_words thimble_words_of_name(const thimble_vocabulary *names, uint16_t entry);

/* The next word; NULL: there is none. */
const uint8_t *thimble_next_word(thimble_name_words *words, size_t *length);

/* Below 0, 0 or above 0, as the name is lower than a normalized text, equal or higher. */
int thimble_compare_name(const thimble_vocabulary *names, uint16_t entry, const uint8_t *text, size_t length);

/* What an answer holds for a name; `buffer` has room for THIMBLE_CASED_BYTES, and may be where it is. */
const uint8_t *thimble_value_of_name(const thimble_vocabulary *names, uint16_t entry, uint8_t *buffer, size_t *length);

/* The skeleton of a name, of at most THIMBLE_MAX_NAME_BYTES, as vocabularies are sorted by it; its bytes. */
size_t thimble_name_skeleton(const thimble_annotator *annotator, const thimble_vocabulary *names, uint16_t entry,
                             uint8_t *skeleton);

/* Names of the application's own from now on, instead of those of the home that came with the model; NULL: none. The
 * lists of the task stay. */
static inline void thimble_use_vocabulary(thimble_annotator *annotator, const thimble_vocabulary *names)
{
    annotator->layers[0] = names;
}

#ifdef __cplusplus
}
#endif

#endif

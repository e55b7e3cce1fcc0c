/* Byte-fallback BPE: text to ids and back, as the host's tokenizer does it.
 *
 * Characters become ids (or, where a character has none, the ids of its UTF-8 bytes); then the neighbours with the
 * lowest merge rank become one, the leftmost of equals, until none is left to merge. What comes around a text, and
 * which ids end an answer, is the tokenizer's too.
 */
#ifndef THIMBLE_TOKENIZER_H
#define THIMBLE_TOKENIZER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What encode answers instead of a count. */
enum { THIMBLE_TEXT_NOT_UTF8 = -1, THIMBLE_TEXT_TOO_LONG = -2 };

struct thimble_word_rules; /* thimble_pretokenizer.h */

/* Tables, generated. Pairs and characters are sorted for binary search. */
typedef struct {
    uint16_t vocab_size;
    uint16_t merge_count;
    uint16_t character_count;
    uint16_t byte_base; /* the id of byte 0; those of the 255 others follow, unless there are `byte_ids` */
    uint16_t bos;       /* begins every prompt */
    uint8_t prefix_count, suffix_count, stop_count;
    bool folds;                   /* prompts are lower-cased */
    bool words;                   /* no merge crosses the beginning of a word, which is a space */
    bool space_runs;              /* with `words`, a word begins at a run of spaces, tabs and line ends */
    bool bare_start;              /* the space that a piece begins with is not shown right behind `bos` */
    const uint16_t *piece_starts; /* [vocab_size + 1]: where the bytes of each id start in `pieces` */
    const uint8_t *pieces;
    const uint32_t *merge_pairs;   /* [merge_count]: left id << 16 | right id, ascending */
    const uint16_t *merge_ranks;   /* [merge_count]: lower merges first */
    const uint16_t *merge_ids;     /* [merge_count]: what the pair becomes */
    const uint32_t *characters;    /* [character_count]: code points that have an id, ascending */
    const uint16_t *character_ids; /* [character_count] */
    const uint16_t *prefix;        /* [prefix_count]: before a text that is not empty */
    const uint16_t *suffix;        /* [suffix_count]: end every prompt */
    const uint16_t *stops;         /* [stop_count]: end an answer */
    const uint16_t *byte_ids;      /* [256]: the ids of bytes, where they do not follow each other; or NULL */
    /* Bytes of the word that a text begins with, as `thimble_word_length`, and its rules; or NULL. */
    size_t (*word_length)(const struct thimble_word_rules *rules, const uint8_t *text, size_t length);
    const struct thimble_word_rules *word_rules;
} thimble_tokenizer;

/* Where the tokenizer folds: lower-cases A-Z and U+00C0-U+00DE except U+00D7, in place; the length of the UTF-8 text
 * stays. */
void thimble_fold(const thimble_tokenizer *tokenizer, uint8_t *text, size_t length);

/* Writes the ids of the text and returns their number, or THIMBLE_TEXT_NOT_UTF8, or THIMBLE_TEXT_TOO_LONG.
 * `ids` is also the work space: with `capacity` at least `length` + `prefix_count` no text is too long. */
int32_t thimble_encode(const thimble_tokenizer *tokenizer, const uint8_t *text, size_t length, uint16_t *ids,
                       size_t capacity);

/* The same of a word with a space before it, and without a prefix. */
int32_t thimble_encode_word(const thimble_tokenizer *tokenizer, const uint8_t *word, size_t length, uint16_t *ids,
                            size_t capacity);

/* The same of a whole prompt: the text, folded, between `bos` and the suffix. With `capacity` at least
 * `length` + 1 + `prefix_count` + `suffix_count` no text is too long. */
int32_t thimble_encode_prompt(const thimble_tokenizer *tokenizer, const uint8_t *text, size_t length, uint16_t *ids,
                              size_t capacity);

/* Whether the id ends an answer. */
bool thimble_stops(const thimble_tokenizer *tokenizer, int32_t id);

/* The bytes of one id, which may be a part of a character; none for the specials and for ids out of range. `before` is
 * the id that it follows. */
const uint8_t *thimble_piece(const thimble_tokenizer *tokenizer, int32_t before, int32_t id, size_t *length);

#ifdef __cplusplus
}
#endif

#endif

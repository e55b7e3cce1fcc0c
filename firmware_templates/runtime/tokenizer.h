/* Byte-fallback BPE: text to ids and back, as the host's tokenizer does it.
 *
 * A word starts at each space. A word's characters become ids (or, where a character has none, the ids of its UTF-8
 * bytes); then the neighbours with the lowest merge rank become one, leftmost first, until none is left to merge.
 */
#ifndef THIMBLE_TOKENIZER_H
#define THIMBLE_TOKENIZER_H

#include <stddef.h>
#include <stdint.h>

enum { THIMBLE_PAD = 0, THIMBLE_BOS = 1, THIMBLE_SEP = 2, THIMBLE_EOS = 3, THIMBLE_BYTE_BASE = 4 };

/* What encode answers instead of a count. */
enum { THIMBLE_TEXT_NOT_UTF8 = -1, THIMBLE_TEXT_TOO_LONG = -2 };

/* Tables, generated. Pairs and characters are sorted for binary search. */
typedef struct {
    uint16_t vocab_size;
    uint16_t merge_count;
    uint16_t character_count;
    const uint16_t *piece_starts;      /* [vocab_size + 1]: where the bytes of each id start in `pieces` */
    const uint8_t *pieces;
    const uint32_t *merge_pairs;       /* [merge_count]: left id << 16 | right id, ascending */
    const uint16_t *merge_ranks;       /* [merge_count]: lower merges first */
    const uint16_t *merge_ids;         /* [merge_count]: what the pair becomes */
    const uint32_t *characters;        /* [character_count]: code points that have an id, ascending */
    const uint16_t *character_ids;     /* [character_count] */
} thimble_tokenizer;

/* Lower-cases A-Z and U+00C0-U+00DE except U+00D7, in place; the length of the UTF-8 text stays. */
void thimble_fold(uint8_t *text, size_t length);

/* Writes the ids of the text and returns their number, or THIMBLE_TEXT_NOT_UTF8, or THIMBLE_TEXT_TOO_LONG.
 * `ids` is also the work space: with `capacity` at least `length` no text is too long. */
int32_t thimble_encode(const thimble_tokenizer *tokenizer, const uint8_t *text, size_t length, uint16_t *ids,
                       size_t capacity);

/* The bytes of one id, which may be a part of a character; none for the specials and for ids out of range. */
const uint8_t *thimble_piece(const thimble_tokenizer *tokenizer, int32_t id, size_t *length);

#endif

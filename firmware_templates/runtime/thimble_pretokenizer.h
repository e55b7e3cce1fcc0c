/* How byte-level tokenizers cut a text into words, which no merge crosses: their regular expressions by hand. */
#ifndef THIMBLE_PRETOKENIZER_H
#define THIMBLE_PRETOKENIZER_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What a regular expression knows of a character. A digit is a number for what sets digits apart, and none for the
 * expression, whose Unicode is older. */
enum { THIMBLE_WORD_OTHER, THIMBLE_WORD_LETTER, THIMBLE_WORD_NUMBER, THIMBLE_WORD_SPACE, THIMBLE_WORD_DIGIT };

/* The regular expressions: GPT-2's; the same of what lies between digits, each of which is a word; Llama 3's. */
enum { THIMBLE_WORDS_GPT2, THIMBLE_WORDS_GPT2_DIGITS, THIMBLE_WORDS_LLAMA3 };

typedef struct thimble_word_rules {
    const uint32_t *runs; /* [run_count]: the first code point of characters of one class << 3 | class; ascending, from
                             code point 0 on */
    uint16_t run_count;
    uint8_t form;       /* THIMBLE_WORDS_... */
    uint8_t max_digits; /* of a word, with THIMBLE_WORDS_LLAMA3 */
} thimble_word_rules;

/* Bytes of the word that a text of at least one byte begins with. A byte that is no UTF-8 stands for a character of its
 * own. */
size_t thimble_word_length(const thimble_word_rules *rules, const uint8_t *text, size_t length);

#ifdef __cplusplus
}
#endif

#endif

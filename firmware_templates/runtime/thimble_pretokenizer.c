#include "thimble_pretokenizer.h"

#include <stdbool.h>

#include "thimble_utf8.h"

/* What does not stand in the text: where the expression sees no further. */
enum { END = THIMBLE_WORD_DIGIT };

#define LONG_S 0x17Fu /* an s where case does not count */

typedef struct {
    const thimble_word_rules *rules;
    const uint8_t *text;
    size_t length;
} source;

typedef struct {
    uint32_t code;
    size_t size; /* in bytes; 0 at the end */
    uint8_t kind;
} character;

static uint8_t kind_of(const thimble_word_rules *rules, uint32_t code)
{
    size_t low = 0, high = rules->run_count;
    while (high - low > 1) {
        const size_t middle = (low + high) / 2;
        if (rules->runs[middle] >> 3 <= code) {
            low = middle;
        } else {
            high = middle;
        }
    }
    return (uint8_t)(rules->runs[low] & 7);
}

/* The character at a place; one at which the expression ends is of the kind END and keeps its size. */
static character character_at(const source *from, size_t at)
{
    character found = {0, 0, END};
    if (at >= from->length) {
        return found;
    }
    found.size = thimble_read_character(from->text + at, from->length - at, &found.code);
    if (found.size == 0) {
        return (character){0xFFFD, 1, THIMBLE_WORD_OTHER};
    }
    found.kind = kind_of(from->rules, found.code);
    if (from->rules->form == THIMBLE_WORDS_GPT2_DIGITS) {
        found.kind = found.kind == THIMBLE_WORD_NUMBER ? END : found.kind;
    } else if (found.kind == THIMBLE_WORD_DIGIT) {
        found.kind = THIMBLE_WORD_OTHER;
    }
    return found;
}

/* Where the characters of a kind end that begin at a place. */
static size_t run_end(const source *from, size_t at, uint8_t kind)
{
    character next = character_at(from, at);
    while (next.size && next.kind == kind) {
        at += next.size;
        next = character_at(from, at);
    }
    return at;
}

static bool is_line_end(uint32_t code)
{
    return code == '\r' || code == '\n';
}

/* Of white space all but the last character, unless the text ends with it. */
static size_t spaces(const source *from)
{
    size_t at = 0, last = 0;
    character next = character_at(from, 0);
    while (next.size && next.kind == THIMBLE_WORD_SPACE) {
        last = at;
        at += next.size;
        next = character_at(from, at);
    }
    return next.kind == END || last == 0 ? at : last;
}

/* A letter behind an apostrophe, in lower case where case does not count; 0 where there is none. */
static uint32_t letter_behind(const source *from, size_t at, bool folds)
{
    const character next = character_at(from, at);
    if (!folds || next.kind != THIMBLE_WORD_LETTER) {
        return next.kind == THIMBLE_WORD_LETTER ? next.code : 0;
    }
    return next.code == LONG_S ? 's' : next.code >= 'A' && next.code <= 'Z' ? next.code + 0x20 : next.code;
}

/* Bytes of 's, 't, 'm, 'd, 're, 've or 'll; 0 where the text begins otherwise. */
static size_t contraction(const source *from, bool folds)
{
    const uint32_t first = letter_behind(from, 1, folds);
    if (first == 's' || first == 't' || first == 'm' || first == 'd') {
        return 1 + character_at(from, 1).size;
    }
    if (first != 'r' && first != 'v' && first != 'l') {
        return 0;
    }
    return letter_behind(from, 2, folds) == (first == 'l' ? 'l' : 'e') ? 3 : 0;
}

/* By the expression of Llama 3, behind its contractions. */
static size_t folded_length(const source *from, character first)
{
    const character second = character_at(from, first.size);
    if (first.kind == THIMBLE_WORD_LETTER) {
        return run_end(from, 0, THIMBLE_WORD_LETTER);
    }
    if (first.kind != THIMBLE_WORD_NUMBER && !is_line_end(first.code) && second.size &&
        second.kind == THIMBLE_WORD_LETTER) {
        return run_end(from, first.size, THIMBLE_WORD_LETTER);
    }
    if (first.kind == THIMBLE_WORD_NUMBER) {
        size_t at = 0;
        character next = first;
        for (uint8_t digits = 0; digits < from->rules->max_digits && next.kind == THIMBLE_WORD_NUMBER; digits++) {
            at += next.size;
            next = character_at(from, at);
        }
        return at;
    }
    size_t at = first.code == ' ' && second.kind == THIMBLE_WORD_OTHER ? first.size : 0;
    if (at || first.kind == THIMBLE_WORD_OTHER) {
        at = run_end(from, at, THIMBLE_WORD_OTHER);
        while (at < from->length && is_line_end(from->text[at])) {
            at++;
        }
        return at;
    }
    size_t line_end = 0;
    for (character next = first; next.size && next.kind == THIMBLE_WORD_SPACE; next = character_at(from, at)) {
        at += next.size;
        line_end = is_line_end(next.code) ? at : line_end;
    }
    return line_end ? line_end : spaces(from);
}

size_t thimble_word_length(const thimble_word_rules *rules, const uint8_t *text, size_t length)
{
    const source from = {rules, text, length};
    const bool folds = rules->form == THIMBLE_WORDS_LLAMA3;
    const character first = character_at(&from, 0);
    if (first.kind == END) {
        return first.size; /* a digit that is set apart */
    }
    if (first.code == '\'') {
        const size_t size = contraction(&from, folds);
        if (size) {
            return size;
        }
    }
    if (folds) {
        return folded_length(&from, first);
    }
    const size_t start = first.code == ' ' ? first.size : 0;
    const character next = start ? character_at(&from, start) : first;
    if (next.kind != END && next.kind != THIMBLE_WORD_SPACE) {
        return run_end(&from, start, next.kind);
    }
    return spaces(&from);
}

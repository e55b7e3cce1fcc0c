#include "thimble_normalize.h"

#include "thimble_utf8.h"

#include <string.h>

#define FIRST_MARK 0x300u
#define MARK_BITS 0x7Fu
#define KEPT_MARK 0x80u
#define RUN_BITS 0x7Fu
#define EVERY_OTHER 0x80u

/* Code points that the tables do not reach: digits of mathematical alphabets, emoji, tags and what follows them. */
enum {
    FIRST_MATHEMATICAL_DIGIT = 0x1D7CE,
    LAST_MATHEMATICAL_DIGIT = 0x1D7FF,
    FIRST_EMOJI = 0x1F000,
    LAST_EMOJI = 0x1FFFF,
    FIRST_TAG = 0xE0000,
    FIRST_VARIATION_SELECTOR = 0xE0100,
    LAST_VARIATION_SELECTOR = 0xE01EF
};

enum { END = 5 }; /* the class of what comes behind the text */

/* A place in a text: the folded letter there, with the marks behind it, and what comes next. */
typedef struct {
    const thimble_normalizer *normalizer;
    const uint8_t *text;
    size_t length, next;
    size_t from, to; /* bytes of the letter */
    uint32_t code;
    uint8_t class;
} cursor;

/* Writes the UTF-8 of a code point, up to 4 bytes, and returns their number. */
static size_t write_character(uint32_t code, uint8_t *text)
{
    if (code < 0x80) {
        text[0] = (uint8_t)code;
        return 1;
    }
    size_t size = code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    for (size_t i = size - 1; i > 0; i--) {
        text[i] = (uint8_t)(0x80u | (code & 0x3Fu));
        code >>= 6;
    }
    text[0] = (uint8_t)((0xF00u >> size & 0xF0u) | code);
    return size;
}

/* How many of an ascending table are not above `code`. */
static uint32_t not_above(const uint16_t *table, uint32_t count, uint32_t code)
{
    uint32_t low = 0, high = count;
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        if (table[middle] <= code) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static uint32_t step_of(uint8_t run)
{
    return run & EVERY_OTHER ? 2 : 1;
}

/* The index of the run that a code point is in; `count`: it is in none. */
static uint32_t find_run(const uint16_t *codes, const uint8_t *runs, uint32_t count, uint32_t code)
{
    const uint32_t index = not_above(codes, count, code) - 1; /* none: above all */
    if (index >= count) {
        return count;
    }
    const uint32_t distance = code - codes[index], step = step_of(runs[index]);
    return distance % step == 0 && distance / step < (runs[index] & RUN_BITS) ? index : count;
}

static uint32_t fold(const thimble_normalizer *normalizer, uint32_t code)
{
    if (code > 0xFFFF) {
        bool is_digit = code >= FIRST_MATHEMATICAL_DIGIT && code <= LAST_MATHEMATICAL_DIGIT;
        return is_digit ? '0' + (code - FIRST_MATHEMATICAL_DIGIT) % 10 : code;
    }
    uint32_t digits = not_above(normalizer->digits, normalizer->digit_count, code);
    if (digits && code - normalizer->digits[digits - 1] < 10) {
        return '0' + code - normalizer->digits[digits - 1];
    }
    uint32_t run = find_run(normalizer->fold_codes, normalizer->fold_runs, normalizer->fold_count, code);
    return run < normalizer->fold_count ? normalizer->fold_to[run] + code - normalizer->fold_codes[run] : code;
}

static uint8_t class_of(const thimble_normalizer *normalizer, uint32_t code)
{
    if (code <= 0xFFFF) {
        uint32_t index = not_above(normalizer->class_codes, normalizer->class_count, code) - 1;
        return normalizer->classes[index / 2] >> index % 2 * 4 & 15;
    }
    if (code >= FIRST_VARIATION_SELECTOR && code <= LAST_VARIATION_SELECTOR) {
        return THIMBLE_IGNORED;
    }
    return code >= FIRST_TAG || (code >= FIRST_EMOJI && code <= LAST_EMOJI) ? THIMBLE_SEPARATOR : THIMBLE_LETTER;
}

/* What a letter and a mark become together; the letter where they do not. Marks are rare in texts: no index. */
static uint32_t compose(const thimble_normalizer *normalizer, uint32_t letter, uint32_t mark)
{
    for (uint32_t run = 0, index = 0; run < normalizer->pair_count; run++) {
        for (uint32_t i = 0; i < (normalizer->pair_runs[run] & RUN_BITS); i++, index++) {
            if (FIRST_MARK + (normalizer->pair_marks[index] & MARK_BITS) == mark &&
                normalizer->bases[normalizer->pair_bases[index]] == letter) {
                return normalizer->pair_codes[run] + i * step_of(normalizer->pair_runs[run]);
            }
        }
    }
    return letter;
}

/* Goes on to the next letter. */
static void advance(cursor *at)
{
    const thimble_normalizer *normalizer = at->normalizer;
    at->class = END;
    while (at->next < at->length) {
        uint32_t code = 0;
        size_t from = at->next, to = from + thimble_read_character(at->text + from, at->length - from, &code);
        code = fold(normalizer, code);
        uint8_t class = class_of(normalizer, code);
        if (class == THIMBLE_IGNORED) {
            if (at->class == THIMBLE_LETTER) {
                at->code = compose(normalizer, at->code, code);
            }
        } else if (at->class == END) {
            at->code = code;
            at->class = class;
            at->from = from;
        } else {
            return;
        }
        at->next = at->to = to;
    }
}

static cursor behind(cursor at)
{
    advance(&at);
    return at;
}

static bool is_at(const cursor *at, char code)
{
    return at->class == THIMBLE_SEPARATOR && at->code == (uint32_t)(unsigned char)code;
}

/* The word that is being written: the last one. False: there is no room. */
static bool begin_word(thimble_words *words, const cursor *at)
{
    if (words->count == THIMBLE_MAX_WORDS || words->length + 1u > THIMBLE_MAX_WORDS_BYTES) {
        return false;
    }
    if (words->count) {
        words->text[words->length++] = ' ';
    }
    words->start[words->count] = words->end[words->count] = words->length;
    words->from[words->count] = (uint16_t)at->from;
    words->count++;
    return true;
}

/* Takes the letter into the word. */
static bool take(cursor *at, thimble_words *words)
{
    uint8_t bytes[4];
    size_t size = write_character(at->code, bytes);
    if (words->length + size > THIMBLE_MAX_WORDS_BYTES) {
        return false;
    }
    memcpy(words->text + words->length, bytes, size);
    words->length = (uint16_t)(words->length + size);
    words->end[words->count - 1] = words->length;
    words->to[words->count - 1] = (uint16_t)at->to;
    advance(at);
    return true;
}

/* Takes letters, and apostrophes between them. */
static bool take_letters(cursor *at, thimble_words *words)
{
    do {
        if (!take(at, words)) {
            return false;
        }
        if (is_at(at, '\'') && behind(*at).class == THIMBLE_LETTER && !take(at, words)) {
            return false;
        }
    } while (at->class == THIMBLE_LETTER);
    return true;
}

/* Takes digits, and a full stop, comma or colon between two of them. */
static bool take_number(cursor *at, thimble_words *words)
{
    do {
        if (!take(at, words)) {
            return false;
        }
        bool joins = is_at(at, '.') || is_at(at, ',') || is_at(at, ':');
        if (joins && behind(*at).class == THIMBLE_DIGIT && !take(at, words)) {
            return false;
        }
    } while (at->class == THIMBLE_DIGIT);
    return true;
}

/* Whether a single letter follows the one here behind a full stop, as in "a.m."; the cursor goes to it. */
static bool abbreviates(cursor *at)
{
    cursor letter = behind(*at);
    if (!is_at(&letter, '.')) {
        return false;
    }
    advance(&letter);
    cursor next = behind(letter);
    bool ends = next.class != THIMBLE_LETTER && next.class != THIMBLE_DIGIT;
    if (letter.class != THIMBLE_LETTER || !ends || (is_at(&next, '\'') && behind(next).class == THIMBLE_LETTER)) {
        return false;
    }
    *at = letter;
    return true;
}

/* Takes the letters of an abbreviation without their full stops; *taken says whether there is one. */
static bool take_abbreviation(cursor *at, thimble_words *words, bool *taken)
{
    cursor letter = *at;
    for (*taken = false; abbreviates(&letter); *taken = true) {
        if (!take(at, words)) {
            return false;
        }
        *at = letter;
    }
    return !*taken || take(at, words);
}

/* The text behind a text and its end mark. */
static const char *next_text(const char *text)
{
    while (*text) {
        text++;
    }
    return text + 1;
}

/* Takes an article or the like that lost its vowel, with its apostrophe; *taken says whether there is one. */
static bool take_elided(cursor *at, thimble_words *words, bool *taken)
{
    const char *text = at->normalizer->elided;
    for (*taken = false; text && *text && !*taken; text = next_text(text)) {
        cursor letter = *at;
        const char *rest = text;
        while (*rest && letter.class == THIMBLE_LETTER && letter.code == (uint32_t)(unsigned char)*rest) {
            advance(&letter);
            rest++;
        }
        *taken = !*rest && is_at(&letter, '\'') && behind(letter).class == THIMBLE_LETTER;
    }
    for (bool ends = !*taken; !ends;) {
        ends = is_at(at, '\'');
        if (!take(at, words)) {
            return false;
        }
    }
    return true;
}

int32_t thimble_normalize(const thimble_normalizer *normalizer, const uint8_t *text, size_t length,
                          thimble_words *words)
{
    uint32_t code;
    for (size_t i = 0, size; i < length; i += size) {
        size = thimble_read_character(text + i, length - i, &code);
        if (size == 0) {
            return THIMBLE_TEXT_NOT_UTF8;
        }
    }
    if (length > UINT16_MAX) {
        return THIMBLE_TEXT_TOO_LONG;
    }
    words->count = words->length = 0;
    cursor at = {.normalizer = normalizer, .text = text, .length = length};
    uint8_t before = THIMBLE_SEPARATOR; /* the class of the letter before */
    advance(&at);
    while (at.class != END) {
        bool is_sign = is_at(&at, '-') && before == THIMBLE_SEPARATOR && behind(at).class == THIMBLE_DIGIT;
        if (at.class == THIMBLE_SEPARATOR && !is_sign) {
            before = THIMBLE_SEPARATOR;
            advance(&at);
            continue;
        }
        bool fits = begin_word(words, &at), taken = false;
        if (at.class == THIMBLE_LETTER) {
            fits = fits && take_elided(&at, words, &taken);
            if (!taken) {
                fits = fits && take_abbreviation(&at, words, &taken);
            }
            if (!taken) {
                fits = fits && take_letters(&at, words);
                /* Behind a number that begins a word come letters alone; any other word goes on. */
                while (fits && before != THIMBLE_DIGIT && (at.class == THIMBLE_DIGIT || at.class == THIMBLE_LETTER)) {
                    fits = at.class == THIMBLE_DIGIT ? take_number(&at, words) : take_letters(&at, words);
                }
            }
            before = THIMBLE_LETTER;
        } else {
            before = at.class == THIMBLE_SYMBOL ? THIMBLE_SYMBOL : THIMBLE_DIGIT;
            fits = fits && (!is_sign || take(&at, words)) &&
                   (before == THIMBLE_DIGIT ? take_number(&at, words) : take(&at, words));
        }
        if (!fits) {
            return THIMBLE_TEXT_TOO_LONG;
        }
    }
    return words->count;
}

/* The letter without its accents. */
static uint32_t without_marks(const thimble_normalizer *normalizer, uint32_t code)
{
    for (;;) {
        uint32_t run = find_run(normalizer->pair_codes, normalizer->pair_runs, normalizer->pair_count, code);
        if (run == normalizer->pair_count) {
            return code;
        }
        uint32_t index = (code - normalizer->pair_codes[run]) / step_of(normalizer->pair_runs[run]);
        index += normalizer->pair_firsts[run / THIMBLE_RUN_BLOCK];
        for (uint32_t before = run / THIMBLE_RUN_BLOCK * THIMBLE_RUN_BLOCK; before < run; before++) {
            index += normalizer->pair_runs[before] & RUN_BITS;
        }
        if (normalizer->pair_marks[index] & KEPT_MARK) {
            return code;
        }
        code = normalizer->bases[normalizer->pair_bases[index]];
    }
}

size_t thimble_skeleton(const thimble_normalizer *normalizer, const uint8_t *word, size_t length, uint8_t *skeleton)
{
    size_t count = 0;
    bool after_umlaut = false; /* an "e" would be the second letter of one */
    for (size_t i = 0; i < length;) {
        uint32_t code;
        size_t size = thimble_read_character(word + i, length - i, &code);
        if (size == 0) {
            break;
        }
        uint8_t bytes[4] = {word[i]};
        i += size;
        if (code >= 0x80 || code == '\'') { /* others are as they are, and the matcher reads many names */
            code = without_marks(normalizer, code);
            uint32_t plain = code > 0xFFFF ? 0 : not_above(normalizer->plain_codes, normalizer->plain_count, code);
            if (plain && normalizer->plain_codes[plain - 1] == code) {
                memcpy(bytes, normalizer->plain_text[plain - 1], 2);
                size = bytes[0] == 0 ? 0 : bytes[1] == 0 ? 1 : 2;
            } else {
                size = write_character(code, bytes);
            }
        }
        for (size_t j = 0; j < size; j++) {
            bool left_out = after_umlaut && bytes[j] == 'e';
            after_umlaut = normalizer->umlauts && (bytes[j] == 'a' || bytes[j] == 'o' || bytes[j] == 'u');
            if (!left_out) {
                skeleton[count++] = bytes[j];
            }
        }
    }
    return count;
}

const uint8_t *thimble_restored(const thimble_normalizer *normalizer, const uint8_t *skeleton, size_t length,
                                size_t *restored_length)
{
    uint32_t low = 0, high = normalizer->restore_count;
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        const uint8_t *word = normalizer->restore_text + normalizer->restore_starts[middle];
        size_t word_length = (size_t)(normalizer->restore_starts[middle + 1] - normalizer->restore_starts[middle]);
        uint8_t own[THIMBLE_MAX_RESTORED_BYTES];
        size_t own_length = thimble_skeleton(normalizer, word, word_length, own);
        int order = memcmp(own, skeleton, own_length < length ? own_length : length);
        if (order == 0 && own_length == length) {
            *restored_length = word_length;
            return word;
        }
        if (order < 0 || (order == 0 && own_length < length)) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return NULL;
}

/* Reads tables and sentences from the standard input and writes words and marks, for test_matcher_in_c.py.
 *
 * "L" layer: a vocabulary. "K" known, "C" common: hashes. "I": how names change. "S": a sentence. With HAS_VOCABULARY
 * all but sentences may be left out. Numbers are of 4 bytes, little-endian. Every table has memory of its own, so that
 * a sanitizer sees each byte that is read beyond one. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "thimble_matcher.h"
#include "normalizer_tables.h"
#include "quantity_tables.h"
#ifdef HAS_VOCABULARY
#include "vocabulary_tables.h"
#endif

static void *read_bytes(size_t length)
{
    void *bytes = malloc(length ? length : 1);
    if (!bytes || fread(bytes, 1, length, stdin) != length) {
        exit(1);
    }
    return bytes;
}

static uint32_t read_number(void)
{
    uint32_t number;
    if (fread(&number, sizeof number, 1, stdin) != 1) {
        exit(1);
    }
    return number;
}

static void *read_table(size_t size, uint32_t *count)
{
    *count = read_number();
    return read_bytes(*count * size);
}

static thimble_vocabulary *read_vocabulary(void)
{
    thimble_vocabulary *names = calloc(1, sizeof *names);
    uint32_t count;
    names->longest = (uint16_t)read_number();
    names->max_words = (uint8_t)read_number();
    names->text_starts = read_table(4, &count);
    names->text = read_table(1, &count);
    names->by_text = read_table(2, &count);
    names->by_skeleton = read_table(2, &count);
    names->skeleton_count = (uint16_t)count;
    names->kinds = read_table(1, &count);
    names->count = (uint16_t)count;
    names->value_of = read_table(2, &count);
    names->value_starts = read_table(4, &count);
    names->values = read_table(1, &count);
    return names;
}

static void free_vocabulary(const thimble_vocabulary *names)
{
    if (!names) {
        return;
    }
    const void *tables[] = {names->text_starts, names->text,     names->by_text,      names->by_skeleton,
                            names->kinds,       names->value_of, names->value_starts, names->values};
    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++) {
        free((void *)(uintptr_t)tables[i]);
    }
    free((void *)(uintptr_t)names);
}

static thimble_strings read_strings(void)
{
    thimble_strings strings;
    uint32_t length;
    strings.count = (uint8_t)read_number();
    strings.text = read_table(1, &length);
    return strings;
}

static void say_annotated(const thimble_annotator *annotator)
{
    uint32_t length;
    uint8_t *text = read_table(1, &length);
    static thimble_words words;
    static thimble_mark marks[THIMBLE_MAX_MARKS];
    static uint8_t values[THIMBLE_MAX_VALUES_BYTES];
    static thimble_annotation work;
    int32_t count = thimble_normalize(annotator->normalizer, text, length, &words);
    if (count >= 0) {
        count = thimble_annotate(annotator, text, &words, marks, values, &work);
    }
    printf("%d\n", (int)count);
    if (count >= 0) {
        printf("%d\n", words.count);
        for (size_t i = 0; i < words.count; i++) {
            printf("%.*s %d %d\n", words.end[i] - words.start[i], (const char *)words.text + words.start[i],
                   words.from[i], words.to[i]);
        }
        for (int32_t i = 0; i < count; i++) {
            printf("%d %d %d %d %u %u %u %u %u %.*s\n", marks[i].kind, marks[i].first, marks[i].end,
                   marks[i].is_quantity, marks[i].parts[0], marks[i].parts[1], marks[i].parts[2], marks[i].parts[3],
                   marks[i].parts[4], marks[i].value_length, (const char *)marks[i].value);
        }
    }
    fflush(stdout);
    free(text);
}

int main(void)
{
    static thimble_inflection inflection = {.last = {0, ""},
                                            .clitics = {0, ""},
                                            .inner = {0, ""},
                                            .linking = {0, ""},
                                            .dropped = {0, ""},
                                            .stems = {0, ""}};
    static thimble_annotator annotator;
    annotator = (thimble_annotator){
        .normalizer = &thimble_model_normalizer, .quantities = &thimble_model_quantities, .inflection = &inflection};
#ifdef HAS_VOCABULARY
    annotator = thimble_model_annotator;
#endif
    for (uint8_t kind = THIMBLE_NUMBER; kind <= THIMBLE_DATE; kind++) {
        annotator.quantity_kinds[kind] = kind;
    }
    for (int command; (command = getchar()) != EOF;) {
        uint32_t count;
        switch (command) {
        case 'L': {
            const uint32_t layer = read_number();
            free_vocabulary(annotator.layers[layer]);
            annotator.layers[layer] = read_vocabulary();
            break;
        }
        case 'K':
            free((void *)(uintptr_t)annotator.known);
            annotator.known = read_table(1, &count);
            annotator.known_count = (uint16_t)(count / THIMBLE_HASH_BYTES);
            break;
        case 'C':
            free((void *)(uintptr_t)annotator.common);
            annotator.common = read_table(1, &count);
            annotator.common_count = (uint16_t)(count / THIMBLE_HASH_BYTES);
            break;
        case 'I':
            inflection.umlauts = read_number() != 0;
            inflection.min_letters = (uint8_t)read_number();
            inflection.last = read_strings();
            inflection.clitics = read_strings();
            inflection.inner = read_strings();
            inflection.linking = read_strings();
            inflection.dropped = read_strings();
            inflection.stems = read_strings();
            break;
        default: say_annotated(&annotator);
        }
    }
    return 0;
}

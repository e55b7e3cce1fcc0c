/* Reads requests from the standard input and writes answers, for test_normalize_in_c.py.
 *
 * A request is a letter ("N"ormalize, "S"keleton, "R"estored), a number and as many bytes; an answer is a number, which
 * is an error if it is negative, and what it counts. Numbers are of 4 bytes. Every text has memory of its own, so that
 * a sanitizer sees each byte that is read beyond it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "normalizer_tables.h"

static void write_number(int32_t number)
{
    fwrite(&number, sizeof number, 1, stdout);
}

static void normalize(const uint8_t *text, size_t length)
{
    thimble_words words;
    memset(&words, 0xFF, sizeof words);
    int32_t count = thimble_normalize(&thimble_model_normalizer, text, length, &words);
    write_number(count);
    if (count < 0) {
        return;
    }
    write_number(words.count);
    for (size_t i = 0; i < words.count; i++) {
        write_number(words.start[i]);
        write_number(words.end[i]);
        write_number(words.from[i]);
        write_number(words.to[i]);
    }
    write_number(words.length);
    fwrite(words.text, 1, words.length, stdout);
}

int main(void)
{
    for (int kind; (kind = getchar()) != EOF;) {
        uint32_t length;
        if (fread(&length, sizeof length, 1, stdin) != 1) {
            return 1;
        }
        uint8_t *text = malloc(length), *skeleton = malloc(length);
        if (fread(text, 1, length, stdin) != length) {
            return 1;
        }
        if (kind == 'N') {
            normalize(text, length);
        } else if (kind == 'S') {
            size_t count = thimble_skeleton(&thimble_model_normalizer, text, length, skeleton);
            write_number((int32_t)count);
            fwrite(skeleton, 1, count, stdout);
        } else {
            size_t count = 0;
            const uint8_t *word = thimble_restored(&thimble_model_normalizer, text, length, &count);
            write_number(word ? (int32_t)count : -1);
            fwrite(word ? word : text, 1, word ? count : 0, stdout);
        }
        free(text);
        free(skeleton);
    }
    return 0;
}

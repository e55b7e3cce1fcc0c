/* Reading UTF-8, for the tokenizer and the normalizer. */
#ifndef THIMBLE_UTF8_H
#define THIMBLE_UTF8_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Bytes of the character that starts the text, 0 if it is not well-formed UTF-8 (Unicode 15, table 3-7). */
static inline size_t thimble_read_character(const uint8_t *text, size_t length, uint32_t *code)
{
    uint8_t first = text[0];
    if (first < 0x80) {
        *code = first;
        return 1;
    }
    size_t size = first >= 0xC2 && first <= 0xDF   ? 2
                  : (first & 0xF0) == 0xE0         ? 3
                  : first >= 0xF0 && first <= 0xF4 ? 4
                                                   : 0;
    if (size == 0 || size > length) {
        return 0;
    }
    uint32_t value = first & (0x7Fu >> size);
    for (size_t i = 1; i < size; i++) {
        if ((text[i] & 0xC0) != 0x80) {
            return 0;
        }
        value = value << 6 | (text[i] & 0x3Fu);
    }
    if ((size == 3 && value < 0x800) || (size == 4 && (value < 0x10000 || value > 0x10FFFF)) ||
        (value >= 0xD800 && value <= 0xDFFF)) {
        return 0;
    }
    *code = value;
    return size;
}

#ifdef __cplusplus
}
#endif

#endif

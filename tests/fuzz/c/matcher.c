/* Names and quantities in any text, of two languages: in order, never overlapping, inside of the text. */
#include <stdlib.h>
#include <string.h>

#include "thimble_matcher.h"
#include "thimble_tokenizer.h"

extern const thimble_annotator annotator_0, annotator_1;

static void require(bool holds)
{
    if (!holds) {
        __builtin_trap();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static thimble_words words;
    static thimble_annotation work;
    if (!size) {
        return 0;
    }
    const thimble_annotator *const annotator = data[0] & 1 ? &annotator_1 : &annotator_0;
    uint8_t *text = malloc(size);
    memcpy(text, data + 1, size - 1);
    if (thimble_normalize(annotator->normalizer, text, size - 1, &words) >= 0) {
        thimble_mark *marks = malloc(THIMBLE_MAX_MARKS * sizeof *marks);
        uint8_t *values = malloc(THIMBLE_MAX_VALUES_BYTES);
        const int32_t count = thimble_annotate(annotator, text, &words, marks, values, &work);
        require(count <= THIMBLE_MAX_MARKS);
        require(count >= 0 || count == THIMBLE_TEXT_TOO_LONG || count == THIMBLE_TEXT_HAS_TOO_MANY_MARKS);
        uint8_t end = 0;
        volatile uint8_t read = 0;
        for (int32_t i = 0; i < count; i++) {
            require(marks[i].first >= end && marks[i].first < marks[i].end && marks[i].end <= words.count);
            end = marks[i].end;
            require(words.to[end - 1] <= size - 1);
            for (uint16_t at = 0; at < marks[i].value_length; at++) {
                read = (uint8_t)(read ^ marks[i].value[at]); /* for the sanitizer */
            }
        }
        free(values);
        free(marks);
    }
    free(text);
    return 0;
}

/* Words of any bytes, of two languages: in the order of the text, inside of it and of their memory, and folded again
 * they stay as they are. The skeleton of each is no longer than it. */
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

static void check_words(const thimble_normalizer *normalizer, const thimble_words *words, size_t length)
{
    require(words->count <= THIMBLE_MAX_WORDS && words->length <= THIMBLE_MAX_WORDS_BYTES);
    uint32_t end = 0, to = 0;
    for (uint16_t i = 0; i < words->count; i++) {
        require(words->start[i] >= end && words->start[i] < words->end[i] && words->end[i] <= words->length);
        require(words->from[i] >= to && words->from[i] <= words->to[i] && words->to[i] <= length);
        end = words->end[i];
        to = words->to[i];
        const size_t size = (size_t)(words->end[i] - words->start[i]);
        uint8_t *skeleton = malloc(size);
        const size_t kept = thimble_skeleton(normalizer, words->text + words->start[i], size, skeleton);
        require(kept <= size);
        size_t restored;
        const uint8_t *word = thimble_restored(normalizer, skeleton, kept, &restored);
        require(!word || restored <= THIMBLE_MAX_RESTORED_BYTES);
        free(skeleton);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!size) {
        return 0;
    }
    const thimble_normalizer *const normalizer = (data[0] & 1 ? &annotator_1 : &annotator_0)->normalizer;
    uint8_t *text = malloc(size);
    memcpy(text, data + 1, size - 1);
    static thimble_words words, again;
    const int32_t count = thimble_normalize(normalizer, text, size - 1, &words);
    require(count == words.count || count == THIMBLE_TEXT_NOT_UTF8 || count == THIMBLE_TEXT_TOO_LONG);
    if (count >= 0) {
        check_words(normalizer, &words, size - 1);
        require(thimble_normalize(normalizer, words.text, words.length, &again) == count);
        require(again.length == words.length && !memcmp(again.text, words.text, words.length));
    }
    free(text);
    return 0;
}

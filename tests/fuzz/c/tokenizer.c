/* Three tokenizers on any bytes: what is UTF-8 becomes ids that say it again, in just the memory that is promised to be
 * enough; what is not is refused. */
#include <stdlib.h>
#include <string.h>

#include "thimble_tokenizer.h"
#include "thimble_utf8.h"

extern const thimble_tokenizer tokenizer_0, tokenizer_1, tokenizer_2;

static bool is_utf8(const uint8_t *text, size_t length)
{
    uint32_t point;
    for (size_t at = 0; at < length;) {
        const size_t size = thimble_read_character(text + at, length - at, &point);
        if (!size) {
            return false;
        }
        at += size;
    }
    return true;
}

static void require(bool holds)
{
    if (!holds) {
        __builtin_trap();
    }
}

static void encode(const thimble_tokenizer *tokenizer, const uint8_t *text, size_t length, size_t less)
{
    size_t capacity = length + tokenizer->prefix_count;
    uint16_t *ids = malloc(capacity * sizeof *ids + 1);
    const int32_t count = thimble_encode(tokenizer, text, length, ids, capacity);
    require(is_utf8(text, length) ? count >= 0 && (size_t)count <= capacity : count == THIMBLE_TEXT_NOT_UTF8);
    const uint8_t *at = text;
    int32_t before = tokenizer->bos;
    for (int32_t i = 0; i < count; i++) {
        size_t size;
        const uint8_t *piece = thimble_piece(tokenizer, before, ids[i], &size);
        require(ids[i] < tokenizer->vocab_size && size <= (size_t)(text + length - at) && !memcmp(at, piece, size));
        at += size;
        before = ids[i];
    }
    require(count < 0 || at == text + length);
    free(ids);

    capacity = capacity > less ? capacity - less : 0;
    uint16_t *fewer = malloc(capacity * sizeof *fewer + 1);
    const int32_t told = thimble_encode(tokenizer, text, length, fewer, capacity);
    require(told == count || told == THIMBLE_TEXT_TOO_LONG);
    free(fewer);
}

static void prompt(const thimble_tokenizer *tokenizer, const uint8_t *text, size_t length)
{
    const size_t capacity = length + 1u + tokenizer->prefix_count + tokenizer->suffix_count;
    uint16_t *ids = malloc(capacity * sizeof *ids);
    const int32_t count = thimble_encode_prompt(tokenizer, text, length, ids, capacity);
    require(is_utf8(text, length) ? count > 0 && ids[0] == tokenizer->bos : count == THIMBLE_TEXT_NOT_UTF8);
    free(ids);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const thimble_tokenizer *const all[] = {&tokenizer_0, &tokenizer_1, &tokenizer_2};
    if (!size) {
        return 0;
    }
    const thimble_tokenizer *const tokenizer = all[data[0] % 3];
    const size_t length = size - 1, less = data[0] / 3;
    uint8_t *text = malloc(length ? length : 1);
    memcpy(text, data + 1, length);
    encode(tokenizer, text, length, less);
    prompt(tokenizer, text, length);
    thimble_fold(tokenizer, text, length);
    encode(tokenizer, text, length, 0);
    free(text);
    return 0;
}

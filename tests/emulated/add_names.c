/* Adds names as an application does, and prints the vocabulary; tests/emulated/test_names_in_c.py writes them to stdin.
 */
#include "thimble_names.h"
#include "vocabulary_tables.h"

#include <stdio.h>
#include <stdlib.h>

static uint32_t number(void)
{
    uint32_t value;
    if (fread(&value, sizeof value, 1, stdin) != 1) {
        exit(0);
    }
    return value;
}

static uint8_t *bytes(uint32_t *count)
{
    *count = number();
    uint8_t *data = malloc(*count ? *count : 1);
    if (fread(data, 1, *count, stdin) != *count) {
        exit(1);
    }
    return data;
}

static void put(const uint8_t *text, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        printf("%02x", text[i]);
    }
}

int main(void)
{
    for (;;) {
        static thimble_words words;
        thimble_names names;
        const uint32_t memory_bytes = number(), count = number();
        void *memory = malloc(memory_bytes);
        thimble_names_init(&names, memory, memory_bytes);
        for (uint32_t i = 0; i < count; i++) {
            uint32_t value_length, length;
            const uint8_t kind = (uint8_t)number();
            uint8_t *value = bytes(&value_length), *text = bytes(&length);
            printf("%d ", thimble_names_add(&names, &thimble_model_annotator, kind, value, value_length, text, length,
                                            &words));
            free(value);
            free(text);
        }
        const thimble_vocabulary *v = &names.vocabulary;
        printf("\n%u %u %u\n", v->count, v->longest, v->max_words);
        for (uint16_t i = 0; i < v->count; i++) {
            thimble_name_words of_name = thimble_words_of_name(v, i);
            uint8_t buffer[THIMBLE_CASED_BYTES];
            const uint8_t *word;
            size_t length;
            printf("%u ", v->kinds[i]);
            for (const char *between = ""; (word = thimble_next_word(&of_name, &length)) != NULL; between = "20") {
                printf("%s", between);
                put(word, length);
            }
            printf(" ");
            const uint8_t *value = thimble_value_of_name(v, i, buffer, &length);
            put(value, length);
            printf("\n");
        }
        for (uint16_t i = 0; i < v->count; i++) {
            printf("%u ", v->by_text[i]);
        }
        printf("\n");
        for (uint16_t i = 0; i < v->skeleton_count; i++) {
            printf("%u ", v->by_skeleton[i]);
        }
        printf("\n%zu\nend\n", thimble_names_used(&names));
        thimble_names_clear(&names);
        free(memory);
    }
}

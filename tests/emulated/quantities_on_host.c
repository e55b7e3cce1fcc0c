/* Reads a line of words, prints for each word the quantity that begins there, and a line "." behind the last. */
#include <stdio.h>
#include <string.h>

#include "quantity_tables.h"

static void read_words(const char *line, thimble_words *words)
{
    memset(words, 0, sizeof *words);
    words->length = (uint16_t)strlen(line);
    memcpy(words->text, line, words->length);
    for (uint16_t i = 0; i < words->length; i++) {
        if (i == 0 || line[i - 1] == ' ') {
            words->start[words->count] = i;
        }
        if (i + 1 == words->length || line[i + 1] == ' ') {
            words->end[words->count++] = (uint16_t)(i + 1);
        }
    }
}

int main(void)
{
    static char line[THIMBLE_MAX_WORDS_BYTES + 2];
    static thimble_words words;
    while (fgets(line, sizeof line, stdin)) {
        line[strcspn(line, "\n")] = 0;
        read_words(line, &words);
        for (uint16_t i = 0; i < words.count; i++) {
            thimble_quantity q;
            if (!thimble_quantity_at(&thimble_model_quantities, &words, i, &q)) {
                continue;
            }
            printf("%u %u %u %.*s", i, q.kind, q.count, q.value_length, (const char *)q.value);
            for (int unit = 0; unit < 5; unit++) {
                printf(" %lu", (unsigned long)q.parts[unit]);
            }
            printf("\n");
        }
        printf(".\n");
        fflush(stdout);
    }
    return 0;
}

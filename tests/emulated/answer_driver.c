/* Asks the answer tokens' C for one sentence after another; tests/emulated/test_answers_in_c.py writes them to stdin.
 */
#include "answer_tables.h"
#include "tokenizer_tables.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint32_t number(void)
{
    uint32_t value;
    if (fread(&value, sizeof value, 1, stdin) != 1) {
        exit(0);
    }
    return value;
}

/* Bytes in memory of just their size, so that the sanitizer sees what is read behind them. */
static uint8_t *bytes(uint32_t *count)
{
    *count = number();
    uint8_t *data = malloc(*count ? *count : 1);
    if (fread(data, 1, *count, stdin) != *count) {
        exit(1);
    }
    return data;
}

static void say(void *to, const uint8_t *text, size_t count)
{
    (void)to;
    for (size_t i = 0; i < count; i++) {
        printf("%02x", text[i]);
    }
}

int main(void)
{
    for (;;) {
        thimble_words words = {0};
        thimble_mark *marks;
        thimble_answer answer;
        thimble_reason reason;
        thimble_slot slots[MODEL_ANSWER_SLOTS];
        uint32_t size;
        uint8_t *original = bytes(&size);
        uint8_t *text = bytes(&size);
        memcpy(words.text, text, size);
        words.length = (uint16_t)size;
        words.count = (uint16_t)number();
        for (size_t i = 0; i < words.count; i++) {
            words.start[i] = (uint16_t)number();
            words.end[i] = (uint16_t)number();
            words.from[i] = (uint16_t)number();
            words.to[i] = (uint16_t)number();
        }
        const uint32_t mark_count = number();
        marks = calloc(mark_count ? mark_count : 1, sizeof *marks);
        for (thimble_mark *mark = marks; mark < marks + mark_count; mark++) {
            mark->kind = (uint8_t)number();
            mark->first = (uint8_t)number();
            mark->end = (uint8_t)number();
            mark->is_quantity = (uint8_t)number();
            for (size_t i = 0; i < 5; i++) {
                mark->parts[i] = number();
            }
            mark->value = bytes(&size);
            mark->value_length = (uint16_t)size;
        }
        const uint32_t capacity = number(), rows = number();
        uint16_t *ids = malloc(sizeof *ids * (capacity ? capacity : 1)),
                 *tokens = malloc(sizeof *tokens * (rows ? rows : 1));
        const thimble_model model = {
            .vocab = (int32_t)number(), .logit_bytes = (int32_t)number(), .logit_step = (int32_t)number()};
        const int32_t count = thimble_answer_prompt(&answer, &thimble_model_answers, &thimble_model_tokenizer, original,
                                                    &words, marks, mark_count, ids, capacity, &reason);
        printf("%s", thimble_reason_name(reason));
        for (int32_t i = 0; i < count; i++) {
            printf(" %u", ids[i]);
        }
        printf("\n");
        size_t taken = 0;
        for (uint32_t row = 0; row < rows; row++) {
            uint8_t *logits = bytes(&size);
            if (count && !thimble_answer_is_whole(&answer)) {
                for (int32_t id = thimble_answer_allowed(&answer, -1); id >= 0;
                     id = thimble_answer_allowed(&answer, id)) {
                    printf("%d ", id);
                }
                tokens[taken] = (uint16_t)thimble_answer_choose(&answer, &model, logits);
                printf("-> %u %u\n", tokens[taken], answer.confidence);
                taken++;
            }
            free(logits);
        }
        if (count && thimble_answer_is_whole(&answer)) {
            size_t made = thimble_answer_slots(&answer, tokens, taken, slots);
            reason = thimble_answer_reason(&answer, slots, made);
            printf("%s %u ", thimble_reason_name(reason), thimble_answer_context(&answer));
            thimble_answer_say(&thimble_model_answers, answer.intent, slots, made, say, NULL);
            printf("\n");
        }
        printf("end\n");
        for (size_t i = 0; i < mark_count; i++) {
            free((void *)(uintptr_t)marks[i].value);
        }
        free(marks);
        free(original);
        free(text);
        free(ids);
        free(tokens);
    }
}

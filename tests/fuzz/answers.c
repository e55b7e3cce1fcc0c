/* Says what sentences ask for, with logits that are a hash of what the model was given: what tests/fuzz/answers.py
 * builds under sanitizers and writes sentences to. Logits that are left for later are wrong until they are computed. */
#include "answer_tables.h"
#include "tokenizer_tables.h"
#include "thimble_understand.h"
#include "vocabulary_tables.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The cache, in which names are found, begins anywhere. */
enum { CACHE_BYTES = sizeof(thimble_annotation) + 4, ARENA_BYTES = 20, PROMPT_IDS = 1500 };

static uint32_t hash;
static int8_t computed[VOCAB];

static int8_t logit_of(uint32_t id)
{
    uint32_t x = hash ^ (id + 1) * 2654435761u;
    x = (x ^ x >> 16) * 0x45d9f3bu;
    x = (x ^ x >> 13) * 0x45d9f3bu;
    return (int8_t)((x ^ x >> 16) & 0xff);
}

static void compute(int8_t *arena, int32_t first, int32_t count)
{
    (void)arena;
    if (first % 4 != 0 || count <= 0 || first + count > VOCAB) {
        exit(3);
    }
    for (int32_t id = first; id < first + count; id++) {
        computed[id] = logit_of((uint32_t)id);
    }
}

static const void *step(int8_t *cache, int8_t *arena, const int32_t *tokens, int32_t count, int32_t position,
                        int32_t wanted)
{
    (void)cache;
    hash = position == 0 ? 0 : hash;
    for (int32_t i = 0; i < count; i++) {
        hash = (hash + (uint32_t)tokens[i]) * 1664525u + 1013904223u;
    }
    memset(computed, 127, sizeof computed); /* would win */
    if (wanted == THIMBLE_ALL_LOGITS) {
        compute(arena, 0, VOCAB);
    }
    return wanted == THIMBLE_NO_LOGITS ? NULL : computed;
}

static const thimble_cache_part part = {0, 0, 0};

static const thimble_model model = {
    .vocab = VOCAB,
    .context = CONTEXT,
    .cache_bytes = CACHE_BYTES,
    .arena_bytes = ARENA_BYTES,
    .cache_parts = 1, /* its state is that of all tokens: it cannot go back to an earlier one */
    .cache = &part,
    .block = 2,
    .logit_bytes = 1,
    .logit_step = LOGIT_STEP,
    .step = step,
    .logits = compute,
};

static void put_hex(const uint8_t *text, size_t count)
{
    printf("-");
    for (size_t i = 0; i < count; i++) {
        printf("%02x", text[i]);
    }
}

/* A sentence of the model, with memory for its ids. */
static thimble_understanding understanding_of(thimble_context *context, uint16_t *ids)
{
    return (thimble_understanding){
        .context = context,
        .answers = &thimble_model_answers,
        .tokenizer = &thimble_model_tokenizer,
        .annotator = &thimble_model_annotator,
        .ids = ids,
        .capacity = PROMPT_IDS,
    };
}

/* "intent index confidence reason context slots choices", and a line for each slot. */
static void put_said(uint16_t intent, uint32_t confidence, const char *reason, uint8_t room, const thimble_slot *slots,
                     size_t count, size_t choices)
{
    size_t name_length;
    const uint8_t *name = thimble_intent_name(&thimble_model_answers, intent, &name_length);
    put_hex(name, name_length);
    printf(" %u %u %s %u %zu %zu\n", intent, confidence, reason, room, count, choices);
    for (const thimble_slot *slot = slots; slot < slots + count; slot++) {
        put_hex(slot->name, slot->name_length);
        for (size_t i = 0; slot->unit[i]; i++) {
            printf("%02x", (unsigned char)slot->unit[i]);
        }
        printf(" %u %u %u %u %u %u %d %u ", slot->slot, slot->type, slot->layer, slot->entry, slot->from, slot->to,
               slot->amount, slot->number);
        put_hex(slot->value ? slot->value : (const uint8_t *)"", slot->value ? slot->value_length : 0);
        printf(" %d\n", slot->value != NULL);
    }
}

int main(void)
{
    static _Alignas(16) uint8_t memory[CACHE_BYTES + ARENA_BYTES];
    static uint16_t ids[PROMPT_IDS];
    thimble_context context;
    thimble_understanding sentence = understanding_of(&context, ids);
    if (thimble_init(&context, &model, memory, sizeof memory) != THIMBLE_OK) {
        return 2;
    }
    uint32_t length;
    while (fread(&length, sizeof length, 1, stdin) == 1) {
        /* In memory of just its size, so that the sanitizer sees what is read behind it. */
        uint8_t *text = malloc(length ? length : 1);
        thimble_slot slots[MODEL_ANSWER_SLOTS];
        thimble_result result;
        if (fread(text, 1, length, stdin) != length) {
            return 1;
        }
        if (memchr(text, 0, length)) {
            (void)thimble_understand_begin(&sentence, text, length);
            do {
                while (thimble_understand_feed(&sentence)) {
                    thimble_understand_choose(&sentence);
                }
            } while (thimble_understand_again(&sentence, slots));
            thimble_understand_end(&sentence, slots, &result);
        } else {
            text = realloc(text, length + 1);
            text[length] = 0;
            if (thimble_understand(&sentence, (const char *)text, slots, &result) != (result.intent != 0)) {
                return 4;
            }
        }
        put_said(result.intent, result.confidence, thimble_reason_name(result.reason), result.context, result.slots,
                 result.slot_count, result.choice_count);
        for (size_t i = 0; i < result.choice_count; i++) {
            const thimble_choice *choice = &result.choices[i];
            put_said(choice->intent, choice->confidence, "-", choice->context, choice->slots, choice->slot_count, 0);
        }
        free(text);
    }
    return 0;
}

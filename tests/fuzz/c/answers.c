/* Any sentence to the end: names, prompt, answer tokens, typed slots. The first bytes decide what the model says. */
#define main answers_of_stdin
#include "../answers.c"
#undef main

static void require(bool holds)
{
    if (!holds) {
        __builtin_trap();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static _Alignas(16) uint8_t memory[CACHE_BYTES + ARENA_BYTES];
    static thimble_context context;
    uint16_t *ids = malloc(PROMPT_IDS * sizeof *ids);
    thimble_understanding sentence = understanding_of(&context, ids);
    require(thimble_init(&context, &model, memory, sizeof memory) == THIMBLE_OK);
    uint8_t *text = malloc(size ? size : 1);
    memcpy(text, data, size);
    thimble_slot slots[MODEL_ANSWER_SLOTS];
    thimble_result result;
    (void)thimble_understand_begin(&sentence, text, size);
    uint32_t steps = 0;
    while (thimble_understand_feed(&sentence)) {
        thimble_understand_choose(&sentence);
        require(++steps <= CONTEXT);
    }
    thimble_understand_end(&sentence, slots, &result);
    require(result.slot_count <= MODEL_ANSWER_SLOTS && (result.intent || result.slot_count <= 1));
    require(result.reason == THIMBLE_NO_REASON || result.intent == 0);
    volatile uint8_t read = 0;
    for (const thimble_slot *slot = result.slots; slot < result.slots + result.slot_count; slot++) {
        require(slot->from <= slot->to && slot->to <= size);
        for (size_t i = 0; slot->value && i < slot->value_length; i++) {
            read = (uint8_t)(read ^ slot->value[i]); /* for the sanitizer */
        }
    }
    free(text);
    free(ids);
    return 0;
}

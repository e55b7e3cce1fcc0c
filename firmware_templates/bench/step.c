/* A decode step at three fills of the context, its layers where THIMBLE_PROFILE marks them, and a prompt. */
#include "device.h"
#include "model.h"

static _Alignas(16) unsigned char memory[THIMBLE_MODEL_MEMORY_BYTES];
static thimble_context context;
static int32_t tokens[THIMBLE_MODEL_CONTEXT];

#define PROMPT (THIMBLE_MODEL_CONTEXT / 4)
#define TIMES 4

static void restart(void)
{
    (void)thimble_init(&context, &thimble_the_model, memory, sizeof memory);
}

static void fill(int32_t position)
{
    const void *logits;
    restart();
    if (position > 0) {
        (void)thimble_prefill(&context, tokens, (size_t)position, &logits);
    }
}

#ifdef THIMBLE_PROFILE

static uint32_t layer_ticks[THIMBLE_MODEL_LAYERS + 1], marked, last_ticks;
static int32_t counting;

void thimble_profile_mark(uint32_t layer)
{
    if (counting) {
        layer_ticks[marked] += count_ticks() - last_ticks;
        marked = layer;
        last_ticks = count_ticks();
    }
}

void measure(void)
{
    for (int32_t i = 0; i < THIMBLE_MODEL_CONTEXT; i++) {
        tokens[i] = (int32_t)(draw() % THIMBLE_MODEL_VOCAB);
    }
    for (int32_t time = 0; time < TIMES; time++) {
        const void *logits;
        fill(THIMBLE_MODEL_CONTEXT / 2);
        counting = 1;
        marked = THIMBLE_MODEL_LAYERS;
        count_start();
        last_ticks = count_ticks();
        (void)thimble_step(&context, tokens[time], &logits);
        counting = 0;
    }
    for (int32_t i = 0; i < THIMBLE_MODEL_LAYERS; i++) {
        print_row(thimble_the_model_layers[i], i, 0, layer_ticks[i], TIMES);
    }
}

#else

void measure(void)
{
    static const int32_t fills[3] = {0, THIMBLE_MODEL_CONTEXT / 2, THIMBLE_MODEL_CONTEXT - 1};
    const void *logits;
    for (int32_t i = 0; i < THIMBLE_MODEL_CONTEXT; i++) {
        tokens[i] = (int32_t)(draw() % THIMBLE_MODEL_VOCAB);
    }
    for (int32_t i = 0; i < 3; i++) {
        uint32_t ticks = 0;
        for (int32_t time = 0; time < TIMES; time++) {
            fill(fills[i]);
            count_start();
            (void)thimble_step(&context, tokens[time], &logits);
            ticks += count_ticks();
        }
        print_row("step", fills[i], 0, ticks, TIMES);
    }
    restart();
    count_start();
    (void)thimble_prefill(&context, tokens, PROMPT, &logits);
    print_row("prompt", PROMPT, 0, count_ticks(), PROMPT);
    restart();
    count_start();
    for (int32_t i = 0; i < PROMPT; i++) {
        (void)thimble_step(&context, tokens[i], &logits);
    }
    print_row("prompt_by_step", PROMPT, 0, count_ticks(), PROMPT);
}

#endif

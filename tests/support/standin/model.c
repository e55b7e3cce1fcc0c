#include "model.h"

#include <string.h>

/* Volatile: a weight that is patched in the image must count, though the compiler knows its value here. */
static const volatile uint32_t weights[16] __attribute__((section(".rodata.thimble.model.weights"), used)) = {
    3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5, 8, 9, 7, 9, 3,
};

static const void *standin_step(int8_t *cache, int8_t *arena, const int32_t *tokens, int32_t count, int32_t position,
                                int32_t wanted)
{
    const int32_t token = *tokens;
    (void)count;
    (void)wanted;
    uint32_t hash;
    memcpy(&hash, cache, sizeof hash);
    THIMBLE_MARK(0);
    hash += (uint32_t)token * 2654435761u + (uint32_t)position;
    for (uint32_t i = 0; i < 4 * THIMBLE_MODEL_VOCAB; i++) {
        hash = hash * 1664525u + 1013904223u + weights[i % 16];
        arena[i % THIMBLE_MODEL_VOCAB] = (int8_t)((int32_t)(hash >> 25) - 64);
    }
    THIMBLE_MARK(1);
    arena[hash % 6 == 0 ? 3 : hash % THIMBLE_MODEL_VOCAB] = 127;
    memcpy(cache, &hash, sizeof hash);
    THIMBLE_MARK(2);
    return arena;
}

static const thimble_cache_part parts[] = {{0, 4, 0}};

const thimble_model thimble_the_model = {
    .vocab = THIMBLE_MODEL_VOCAB,
    .context = THIMBLE_MODEL_CONTEXT,
    .cache_bytes = THIMBLE_MODEL_CACHE_BYTES,
    .arena_bytes = THIMBLE_MODEL_ARENA_BYTES,
    .cache_parts = 1,
    .block = 1,
    .logit_bytes = THIMBLE_MODEL_LOGIT_BYTES,
    .logit_zero_point = 0,
    .logit_step = 1 << 21,
    .cache = parts,
    .step = standin_step,
};

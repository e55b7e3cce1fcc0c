/* Draws the next token: temperature, top-k, top-p, repetition penalty, in integers, so that every machine draws the
 * same. docs/sampling.md is the definition. */
#ifndef THIMBLE_SAMPLER_H
#define THIMBLE_SAMPLER_H

#include "thimble.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The most tokens that top-k keeps, and that top-p chooses from. */
#define THIMBLE_SAMPLER_CANDIDATES 64
/* How many of the newest tokens the repetition penalty applies to. */
#define THIMBLE_SAMPLER_RECENT 64

typedef struct {
    uint32_t temperature; /* in thousandths; 0: the best token */
    uint32_t top_k;       /* 0: all */
    uint32_t top_p;       /* in thousandths; 1000: all */
    uint32_t penalty;     /* in thousandths; 1000: none, as 0 is */
    uint64_t state;       /* of PCG32 */
    uint32_t taken;       /* tokens since the last reset */
    uint16_t recent[THIMBLE_SAMPLER_RECENT];
    uint8_t *marks; /* a bit for each id of the vocabulary, placed by the caller: [(vocab + 7) / 8] */
    bool marks_are_clear;
    bool (*allows)(const void *allowing, int32_t id); /* whether a token may be drawn; NULL: each. One always may. */
    const void *allowing;
} thimble_sampler;

/* Greedy, until it is set; `marks` as above, whatever they hold. */
void thimble_sampler_init(thimble_sampler *sampler, uint8_t *marks);

/* Starts the random numbers anew. */
void thimble_sampler_seed(thimble_sampler *sampler, uint32_t seed);

/* Forgets the tokens of a text. */
void thimble_sampler_reset(thimble_sampler *sampler);

/* Tells of a token that the model took. */
void thimble_sampler_take(thimble_sampler *sampler, int32_t token);

/* The next token, by the model's logits. */
int32_t thimble_sampler_draw(thimble_sampler *sampler, const thimble_model *model, const void *logits);

/* 2^16 * 2^-x of x in 2^-16. */
uint32_t thimble_power(uint64_t x);

#ifdef __cplusplus
}
#endif

#endif

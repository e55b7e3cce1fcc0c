/* A model that TensorFlow Lite Micro's interpreter runs, behind the functions of a thimble_model. */
#ifndef THIMBLE_INTERPRETER_H
#define THIMBLE_INTERPRETER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#include "thimble.h"
#include "thimble_kernels.h"

/* A cache, of each of `heads` its rows, and the interpreter's input and output that are it and its new row of each
 * head. */
typedef struct {
    int32_t input, output, offset, heads, head_bytes, row_bytes;
    int32_t zero_point; /* of empty rows */
} thimble_interpreter_cache;

/* What is generated with a model. The numbers are of the interpreter's inputs and outputs. */
typedef struct {
    int32_t arena_bytes;
    const thimble_interpreter_cache *caches;
    int32_t cache_count;
    int32_t token, position, logits;
    int32_t rows, sinks;   /* of a cache that goes round; else 0 */
    const uint16_t *slots; /* the row that the token at each position takes, where that is no ring; else NULL */
    int32_t rotation;      /* an input, where positions have no end; else -1 */
    const thimble_turn_params *turn;
} thimble_interpreter_plan;

extern const unsigned char g_model[];
extern const thimble_interpreter_plan thimble_the_plan;

/* Makes the interpreter in `arena` [plan.arena_bytes], 16-byte aligned. False: it refuses the model or the arena; the
 * log says why. */
bool thimble_interpreter_start(int8_t *arena);

/* One token; see thimble_model.step. NULL if an operator fails. */
const void *thimble_interpreter_step(int8_t *cache, int8_t *arena, const int32_t *tokens, int32_t count,
                                     int32_t position, int32_t wanted);

/* Bytes of the arena in use once the interpreter is made. */
int32_t thimble_interpreter_used(void);

/* The smallest arena, a multiple of 16 bytes, in which the interpreter can be made: more than it uses in the end, since
 * planning takes memory too. Afterwards the interpreter has all of the arena again. */
int32_t thimble_interpreter_smallest(int8_t *arena);

/* The first lines that TensorFlow Lite Micro wrote, at most 159 characters. */
const char *thimble_interpreter_log(void);

#ifdef __cplusplus
}
#endif

#endif

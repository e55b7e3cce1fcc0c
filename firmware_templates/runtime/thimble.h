/* The interface that an application sees: a model, a context that the caller places, and one step a token.
 *
 * Logits are those of the .tflite's decode step at that position. A prompt is taken in blocks of tokens, each weight
 * read once a block, and all but its last token skip what only logits need. There is no state besides the context, and
 * no heap. */
#ifndef THIMBLE_H
#define THIMBLE_H

#if !defined(__cplusplus) && (!defined(__STDC_VERSION__) || __STDC_VERSION__ < 199901L)
#error "Thimble is written in C99: compile it with -std=c99 or a later standard"
#endif

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "thimble_place.h"

#if defined(INT_MAX) && INT_MAX < 0x7fffffff
#error "Thimble computes in int, which must have 32 bits: 8- and 16-bit cores would give wrong results"
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* What a call says of its end. A number of 32 bits, whatever size a compiler gives to enumerations. */
typedef int32_t thimble_status;
enum {
    THIMBLE_OK = 0,
    THIMBLE_BAD_MEMORY,   /* none, too small, not aligned to 4 bytes, or refused by the model's engine */
    THIMBLE_BAD_TOKEN,    /* outside of the vocabulary */
    THIMBLE_CONTEXT_FULL, /* `context` tokens were taken since the last reset; 2^31 - 1 with a window */
    THIMBLE_FAILED,       /* the model's engine stopped in the middle of a step: thimble_reset before going on */
    THIMBLE_NO_TOKENS,    /* there is none to take */
    THIMBLE_BAD_TEXT,     /* no well-formed UTF-8, or nothing at all */
    THIMBLE_LONG_TEXT,    /* longer than the session's memory or the context holds */
    THIMBLE_BAD_OPTION,   /* out of range */
    /* Of a session's steps, which are no errors. */
    THIMBLE_MORE,          /* go on */
    THIMBLE_END_OF_ANSWER, /* the model has said all */
    THIMBLE_END_LENGTH,    /* the answer has as many tokens, or bytes, as it may have */
    THIMBLE_END_CONTEXT,   /* the context is full */
    THIMBLE_CANCELLED
};

/* A part of the KV cache that is read before all of it is written, and the value of an empty entry there. */
typedef struct {
    int32_t offset;
    int32_t bytes;
    int8_t zero_point;
} thimble_cache_part;

/* Which logits a call computes: none, for there are tokens to come; those of all ids; or none yet, since only some are
 * of use, which `thimble_logits` computes. */
typedef enum { THIMBLE_NO_LOGITS = 0, THIMBLE_ALL_LOGITS, THIMBLE_LOGITS_LATER } thimble_wanted;

/* Constants in memory. */
typedef struct {
    const void *start;
    uint32_t bytes;
} thimble_stretch;

struct thimble_text;

/* A generated model. */
typedef struct {
    int32_t vocab;
    int32_t context;
    int32_t cache_bytes;
    int32_t arena_bytes;
    int32_t cache_parts;
    int32_t block;  /* the most tokens that one call of `step` takes */
    int32_t window; /* the most tokens that it sees, which the cache holds; `context` itself means that there is no end;
                       0: all */
    int32_t logit_bytes; /* 1: logits are int8; 2: int16 */
    int32_t logit_zero_point;
    int32_t logit_step; /* what a step of the logits is, in 2^-24 of a factor of two */
    const thimble_cache_part *cache;
    /* Takes `count` tokens, 1..block, the first at `position`; one at a time past the window. Returns the last one's
     * logits [vocab], which lie in the arena; unless they are wanted, a thimble_wanted, it may skip what only they
     * need, and return NULL. NULL in place of wanted ones: it failed. */
    const void *(*step)(int8_t *cache, int8_t *arena, const int32_t *tokens, int32_t count, int32_t position,
                        int32_t wanted);
    /* Computes the logits of `count` ids from `first` on, a multiple of 4, after a step that left them out. NULL: a
     * step that is asked for logits computes them all. */
    void (*logits)(int8_t *arena, int32_t first, int32_t count);
    bool (*start)(
        int8_t *arena); /* what comes before the first step; may be NULL. False: the model does not run in its arena */
    const struct thimble_text *text; /* its tokenizer and answers; NULL: it is given ids, and gives ids */
    const thimble_stretch *data;     /* weights and tables; NULL: nobody checks them here */
    int32_t data_count;
    uint32_t data_crc; /* CRC-32 of their bytes, one behind the other */
} thimble_model;

typedef struct {
    const thimble_model *model;
    int8_t *cache;
    int8_t *arena;
    int32_t position; /* tokens taken since the last reset */
} thimble_context;

/* Places a context in `memory`: model->cache_bytes + model->arena_bytes bytes, 4-byte aligned. */
thimble_status thimble_init(thimble_context *context, const thimble_model *model, void *memory, size_t bytes);

/* Forgets all tokens. */
void thimble_reset(thimble_context *context);

/* Forgets the tokens from `position` on, or all, where those before would not be what they were: a window that has gone
 * past its end, or caches that are read where nothing is written. Returns how many are kept. */
int32_t thimble_rewind(thimble_context *context, int32_t position);

/* Takes one token; *logits stay valid until the next step. On an error but THIMBLE_FAILED nothing changes. */
thimble_status thimble_step(thimble_context *context, int32_t token, const void **logits);

/* Takes `count` > 0 tokens; *logits are those after the last. On an error but THIMBLE_FAILED nothing changes. */
thimble_status thimble_prefill(thimble_context *context, const int32_t *tokens, size_t count, const void **logits);

/* The same, with only those logits that are wanted. Of those that were left for later, *logits is the place. */
thimble_status thimble_take(thimble_context *context, const int32_t *tokens, size_t count, thimble_wanted wanted,
                            const void **logits);

/* Computes, of the logits that the last call left for later, at least those of ids first..last: fours of ids from a
 * multiple of 4 on. The bytes are those that the whole vocabulary would have there. */
void thimble_logits(const thimble_context *context, int32_t first, int32_t last);

/* Whether weights and tables are those that were generated. True of a model that says nothing of them (`data`). */
bool thimble_is_intact(const thimble_model *model);

/* The most likely token of the model's logits; the first of equals. */
int32_t thimble_sample_greedy(const thimble_model *model, const void *logits);

#ifdef THIMBLE_PROFILE
/* Called before layer `layer` of a step, and with the number of layers at its end; the application defines it. */
void thimble_profile_mark(uint32_t layer);
#endif

#ifdef THIMBLE_YIELD
/* Called before each layer of a step and at its end; the application defines it, to feed a watchdog or to let others
 * run. It must not touch the context at hand. */
void thimble_yield(void);
#endif

#if defined THIMBLE_PROFILE
#define THIMBLE_MARK(layer) thimble_profile_mark(layer)
#elif defined THIMBLE_YIELD
#define THIMBLE_MARK(layer) thimble_yield()
#else
#define THIMBLE_MARK(layer) ((void)0)
#endif

#ifdef __cplusplus
}
#endif

#endif

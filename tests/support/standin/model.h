/* A stand-in for a generated model: as cheap as can be, and still every weight and every token before counts. */
#ifndef MODEL_H
#define MODEL_H

#include "thimble.h"

#define THIMBLE_MODEL_VERSION "5eed000000000001"
#define THIMBLE_MODEL_VOCAB 300
#define THIMBLE_MODEL_CONTEXT 48
#define THIMBLE_MODEL_ENDLESS 0
#define THIMBLE_MODEL_LAYERS 2
#define THIMBLE_MODEL_LOGIT_BYTES 1
#define THIMBLE_MODEL_CACHE_BYTES 4
#define THIMBLE_MODEL_ARENA_BYTES 300
#define THIMBLE_MODEL_MEMORY_BYTES (THIMBLE_MODEL_CACHE_BYTES + THIMBLE_MODEL_ARENA_BYTES)

extern const thimble_model thimble_the_model;

#endif

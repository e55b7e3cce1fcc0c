/* Loads a generated model, runs it once as a function or token by token as a decode step, and writes what it computes.

   run_tflite MODEL.so, with standard input as 32-bit integers: the arena's bytes, the number of tokens (0: a function),
   then of a function its token and position, its inputs (number, then of each offset and bytes, and the bytes
   themselves) and its outputs (number, then of each offset and bytes); of a step the tokens. */

#include "thimble.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int32_t number(void)
{
    int32_t value;
    if (fread(&value, sizeof value, 1, stdin) != 1) {
        exit(3);
    }
    return value;
}

int main(int count, char **arguments)
{
    if (count != 2) {
        return 2;
    }
    void *library = dlopen(arguments[1], RTLD_NOW);
    if (library == NULL) {
        fprintf(stderr, "%s\n", dlerror());
        return 2;
    }
    const thimble_model *model = dlsym(library, "thimble_the_model");
    int32_t arena_bytes = number(), tokens = number();
    int8_t *arena = malloc((size_t)arena_bytes), *cache = malloc((size_t)(model->cache_bytes + 1));
    memset(arena, 0x55, (size_t)arena_bytes);
    memset(cache, 0x5A, (size_t)model->cache_bytes);
    for (int32_t i = 0; i < model->cache_parts; i++) {
        memset(cache + model->cache[i].offset, model->cache[i].zero_point, (size_t)model->cache[i].bytes);
    }
    if (tokens == 0) {
        int32_t token = number(), position = number();
        for (int32_t i = number(); i > 0; i--) {
            int32_t offset = number(), bytes = number();
            if (fread(arena + offset, 1, (size_t)bytes, stdin) != (size_t)bytes) {
                return 3;
            }
        }
        (void)model->step(cache, arena, &token, 1, position, 1);
        for (int32_t i = number(); i > 0; i--) {
            int32_t offset = number(), bytes = number();
            fwrite(arena + offset, 1, (size_t)bytes, stdout);
        }
    }
    for (int32_t position = 0; position < tokens; position++) {
        int32_t token = number();
        const void *logits = model->step(cache, arena, &token, 1, position, 1);
        fwrite(logits, (size_t)model->logit_bytes, (size_t)model->vocab, stdout);
    }
    free(arena);
    free(cache);
    return 0;
}

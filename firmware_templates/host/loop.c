/* The generated model on the host: what pipeline/verification/host_engine.py calls. Greedy decoding is one call, for
 * measuring thousands of sentences. Functions that can fail return a thimble_status. */
#include "model.h"

#include <string.h>

static _Alignas(16) unsigned char memory[THIMBLE_MODEL_MEMORY_BYTES];
static thimble_context context;

int32_t host_logit_bytes(void)
{
    return THIMBLE_MODEL_LOGIT_BYTES;
}

int32_t host_reset(void)
{
    return (int32_t)thimble_init(&context, &thimble_the_model, memory, sizeof memory);
}

int32_t host_prefill(const int32_t *tokens, int32_t count, void *logits)
{
    const void *row = 0;
    const thimble_status status = thimble_prefill(&context, tokens, (size_t)count, &row);
    if (status == THIMBLE_OK) {
        memcpy(logits, row, THIMBLE_MODEL_VOCAB * THIMBLE_MODEL_LOGIT_BYTES);
    }
    return (int32_t)status;
}

/* Writes the tokens after the prompt, without `eos`, at most `max_new`, and returns their number; negative: minus the
 * status. */
int32_t host_generate(const int32_t *prompt, int32_t count, int32_t max_new, int32_t eos, int32_t *out)
{
    const void *logits = 0;
    thimble_status status = (thimble_status)host_reset();
    int32_t made = 0;
    if (status == THIMBLE_OK) {
        status = thimble_prefill(&context, prompt, (size_t)count, &logits);
    }
    while (status == THIMBLE_OK && made < max_new) {
        const int32_t next = thimble_sample_greedy(&thimble_the_model, logits);
        if (next == eos) {
            break;
        }
        out[made++] = next;
        if (made == max_new || (!THIMBLE_MODEL_ENDLESS && context.position == THIMBLE_MODEL_CONTEXT)) {
            break;
        }
        status = thimble_step(&context, next, &logits);
    }
    return status == THIMBLE_OK ? made : -(int32_t)status;
}

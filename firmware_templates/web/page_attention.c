/* What the model's attention looks at, for a page: model.c's calls of the fused attention kernels come here first,
 * since it is compiled with their names replaced (pipeline/playground/wasm.py). While `observes` is set, every head's
 * row of weights is computed once more from the query and the KV cache, by the kernel itself, and handed to JavaScript;
 * the step's own result is the kernel's, unchanged. */
#include <stdbool.h>

#include "page.h"
#include "thimble_kernels.h"

enum { MAX_HEAD_DIM = 64, MAX_HEAD_DIM_S16 = 256 };

static bool observes;

/* A token's K and V were put into a row of the cache. */
IMPORT(append) void page_on_append(int32_t row);

/* Weights of one head over rows 0..rows-1 of the cache: uint8 in 1/256, or int16 in 1/32768, by `bytes`. */
IMPORT(attention) void page_on_attention(int32_t head, int32_t rows, const void *weights, int32_t bytes);

EXPORT(observe) void page_observe(int32_t value)
{
    observes = value;
}

void page_append_rows_s8(const thimble_attention_s8_params *p, const int8_t *k, const int8_t *v, int8_t *k_cache,
                         int8_t *v_cache, int32_t position, int32_t tokens);
void page_append_rows_s8(const thimble_attention_s8_params *p, const int8_t *k, const int8_t *v, int8_t *k_cache,
                         int8_t *v_cache, int32_t position, int32_t tokens)
{
    page_on_append(position);
    thimble_append_rows_s8(p, k, v, k_cache, v_cache, position, tokens);
}

void page_attention_rows_s8(const thimble_attention_s8_params *p, const int8_t *q, const int8_t *k_cache,
                            const int8_t *v_cache, int32_t position, int8_t *to, void *scratch, int32_t tokens);
void page_attention_rows_s8(const thimble_attention_s8_params *p, const int8_t *q, const int8_t *k_cache,
                            const int8_t *v_cache, int32_t position, int8_t *to, void *scratch, int32_t tokens)
{
    const int32_t heads = p->kv_heads * p->group;
    for (int32_t head = 0; observes && tokens == 1 && p->head_dim <= MAX_HEAD_DIM && head < heads; head++) {
        const int32_t start = head / p->group * THIMBLE_CACHE_ROWS(p->context) * p->head_dim;
        thimble_attention_s8_params one = *p;
        int8_t unused[MAX_HEAD_DIM];
        one.kv_heads = one.group = 1;
        thimble_attention_rows_s8(&one, q + head * p->head_dim, k_cache + start, v_cache + start, position, unused,
                                  scratch, 1);
        page_on_attention(head, position + 1, scratch, 1);
    }
    thimble_attention_rows_s8(p, q, k_cache, v_cache, position, to, scratch, tokens);
}

void page_append_s16(const thimble_attention_s16_params *p, const int16_t *k, const int16_t *v, int16_t *k_cache,
                     int16_t *v_cache, int32_t position);
void page_append_s16(const thimble_attention_s16_params *p, const int16_t *k, const int16_t *v, int16_t *k_cache,
                     int16_t *v_cache, int32_t position)
{
    page_on_append(position);
    thimble_append_s16(p, k, v, k_cache, v_cache, position);
}

void page_attention_s16(const thimble_attention_s16_params *p, const int16_t *q, const int16_t *k_cache,
                        const int16_t *v_cache, int32_t position, int16_t *to, int16_t *scratch);
void page_attention_s16(const thimble_attention_s16_params *p, const int16_t *q, const int16_t *k_cache,
                        const int16_t *v_cache, int32_t position, int16_t *to, int16_t *scratch)
{
    const int32_t heads = p->kv_heads * p->group;
    for (int32_t head = 0; observes && p->head_dim <= MAX_HEAD_DIM_S16 && head < heads; head++) {
        const int32_t start = head / p->group * p->context * p->head_dim;
        thimble_attention_s16_params one = *p;
        int16_t unused[MAX_HEAD_DIM_S16];
        one.kv_heads = one.group = 1;
        thimble_attention_s16(&one, q + head * p->head_dim, k_cache + start, v_cache + start, position, unused,
                              scratch);
        page_on_attention(head, position + 1, scratch, 2);
    }
    thimble_attention_s16(p, q, k_cache, v_cache, position, to, scratch);
}

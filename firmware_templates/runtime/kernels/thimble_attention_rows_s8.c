#include <string.h>

#include "thimble_elementwise.h"
#include "thimble_helium.h"
#include "thimble_kernels.h"
#include "thimble_softmax_row.h"

/* count is a multiple of 4. */
static inline void copy_row(int8_t *to, const int8_t *from, int32_t count)
{
#ifdef THIMBLE_HELIUM
    for (; count > 0; count -= 16, from += 16, to += 16) {
        thimble_store_16(to, thimble_load_16(from, count), count);
    }
#else
    memcpy(to, from, (size_t)count);
#endif
}

/* to[i * stride] = from[i] + 128, unsigned; count is a multiple of 4. */
static inline void copy_column(int8_t *to, int32_t stride, const int8_t *from, int32_t count)
{
#ifdef THIMBLE_HELIUM
    const uint32x4_t places = vmulq_n_u32(vidupq_n_u32(0, 1), (uint32_t)stride);
    for (; count > 0; count -= 4, from += 4, to += 4 * stride) {
        vstrbq_scatter_offset_s32(to, places, vaddq_n_s32(vldrbq_s32(from), 128));
    }
#else
    for (int32_t i = 0; i < count; i++) {
        to[i * stride] = (int8_t)(from[i] ^ -128);
    }
#endif
}

void thimble_append_rows_s8(const thimble_attention_s8_params *p, const int8_t *k, const int8_t *v, int8_t *k_cache,
                            int8_t *v_cache, int32_t position, int32_t tokens)
{
    const int32_t capacity = THIMBLE_CACHE_ROWS(p->context), head_dim = p->head_dim, kv_heads = p->kv_heads;
    for (; tokens > 0; tokens--, position--, k += kv_heads * head_dim, v += kv_heads * head_dim) {
        for (int32_t head = 0; head < kv_heads; head++) {
            copy_row(k_cache + (head * capacity + position) * head_dim, k + head * head_dim, head_dim);
        }
        copy_column(v_cache + position, capacity, v, kv_heads * head_dim);
    }
}

#ifndef THIMBLE_HELIUM

/* Masked scores of a query with `rows` rows of K; returns the largest. */
static THIMBLE_HOT(score) int32_t
    score(const thimble_attention_s8_params *p, const int8_t *q, const int8_t *k, int32_t rows, int8_t *scores)
{
    int32_t largest = -128;
    for (int32_t row = 0; row < rows; row++, k += p->head_dim) {
        int32_t sum = 0;
        for (int32_t i = 0; i < p->head_dim; i++) {
            sum += (q[i] + p->q_offset) * (k[i] + p->k_offset);
        }
        const int32_t masked = p->mask[thimble_scale_product(&p->score, 2 * sum) + 128];
        scores[row] = (int8_t)masked;
        largest = masked > largest ? masked : largest;
    }
    return largest;
}

/* The sum of the scores' exponentials. */
static THIMBLE_HOT(sum_exponentials) int32_t sum_exponentials(const int32_t *exp, const int8_t *scores, int32_t rows)
{
    int32_t sum = 0;
    for (int32_t row = 0; row < rows; row++) {
        sum += thimble_exp_for_sum(exp[scores[row]]);
    }
    return sum;
}

/* Scores become weights, 0..255, in place. Returns their sum. */
static THIMBLE_HOT(weigh) int32_t weigh(const int32_t *exp, int32_t total, int8_t *scores, int32_t rows)
{
    const thimble_reciprocal reciprocal = thimble_softmax_reciprocal(total);
    int32_t sum = 0;
    for (int32_t row = 0; row < rows; row++) {
        const int32_t weight = thimble_probability(reciprocal, exp[scores[row]]);
        scores[row] = (int8_t)weight;
        sum += weight;
    }
    return sum;
}

/* out = weights * V; V is there plus 128, which the weights' sum takes off again. */
static THIMBLE_HOT(mix) void mix(const thimble_attention_s8_params *p, const uint8_t *weights, int32_t weight_sum,
                                 const int8_t *v, int32_t rows, int8_t *out)
{
    const uint8_t *column = (const uint8_t *)v;
    for (int32_t i = 0; i < p->head_dim; i++, column += THIMBLE_CACHE_ROWS(p->context)) {
        int32_t sum = weight_sum * (p->v_offset - 128);
        for (int32_t row = 0; row < rows; row++) {
            sum += weights[row] * column[row];
        }
        out[i] = thimble_scale_product(&p->out, 2 * sum);
    }
}

#else
#include "thimble_attention_rows_s8_mve.h"
#endif

static THIMBLE_HOT(attend) void attend(const thimble_attention_s8_params *p, const int8_t *q, const int8_t *k_cache,
                                       const int8_t *v_cache, int32_t position, int8_t *out, int8_t *scores)
{
    const int32_t head_dim = p->head_dim, head_bytes = THIMBLE_CACHE_ROWS(p->context) * head_dim;
    const int32_t rows = position + 1, masked = p->context - position;
    for (int32_t head = 0; head < p->kv_heads; head++, k_cache += head_bytes, v_cache += head_bytes) {
        for (int32_t i = 0; i < p->group; i++, q += head_dim, out += head_dim) {
            int32_t largest = score(p, q, k_cache, rows, scores);
            if (masked > 0 && p->masked_score > largest) {
                largest = p->masked_score;
            }
            const int32_t *const exp = p->exp + 255 - largest;
            const int32_t hidden = masked * thimble_exp_for_sum(exp[p->masked_score]);
            const int32_t total = hidden + sum_exponentials(exp, scores, rows);
            const int32_t weight_sum = weigh(exp, total, scores, rows);
            mix(p, (const uint8_t *)scores, weight_sum, v_cache, rows, out);
        }
    }
}

void thimble_attention_rows_s8(const thimble_attention_s8_params *p, const int8_t *q, const int8_t *k_cache,
                               const int8_t *v_cache, int32_t position, int8_t *out, void *scratch, int32_t tokens)
{
    const int32_t columns = p->kv_heads * p->group * p->head_dim;
    for (; tokens > 0; tokens--, position--, q += columns, out += columns) {
        attend(p, q, k_cache, v_cache, position, out, scratch);
    }
}

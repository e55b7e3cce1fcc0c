#include "thimble_elementwise.h"
#include "thimble_kernels.h"
#include "thimble_pairs.h"
#include "thimble_softmax_row.h"

void thimble_append_pairs_s8(const thimble_attention_s8_params *p, const int8_t *k, const int8_t *v, int8_t *k_cache,
                             int8_t *v_cache, int32_t position, int32_t tokens, int32_t stride)
{
    const int32_t capacity = THIMBLE_CACHE_ROWS(p->context), head_dim = p->head_dim;
    for (; tokens > 0; tokens--, position--, k += stride, v += stride) {
        for (int32_t i = 0; i < p->kv_heads * head_dim; i += 4) {
            const int32_t head = i / head_dim, column = i % head_dim;
            int8_t *const k_blocks = k_cache + head * capacity * head_dim + (position & ~3) * head_dim;
            int8_t *const v_blocks = v_cache + i * capacity;
            for (int32_t j = 0; j < 4; j++) {
                thimble_pairs_put(k_blocks, position & 3, column + j, k[i + j]);
                thimble_pairs_put(v_blocks, j, position, v[i + j]);
            }
        }
    }
}

/* Masked scores of a widened query with `rows` rows of K. Returns the largest; up to a multiple of 4 scores are written. */
static int32_t score(const thimble_attention_s8_params *p, const int16_t *wide, const int16_t *k, int32_t rows, int16_t *scores)
{
    int32_t query_sum = 0;
    for (int32_t i = 0; i < p->head_dim; i++) {
        query_sum += wide[i];
    }
    const int32_t excess = 128 * query_sum, twice_offset = 2 * query_sum * p->k_offset;
    const thimble_product_scale scale = p->score;
    const int8_t *const mask = p->mask + 128;
    int32_t row = 0;
    for (; row < rows; row += 4, k += 2 * p->head_dim) {
        const thimble_four_sums sums = thimble_pairs_sum(k, wide, p->head_dim, excess);
        for (int32_t i = 0; i < 4; i++) {
            scores[row + i] = mask[thimble_scale_product(&scale, 2 * sums.row[i] + twice_offset)];
        }
    }
    int32_t largest = -128;
    for (row = 0; row < rows; row++) {
        largest = scores[row] > largest ? scores[row] : largest;
    }
    return largest;
}

/* Scores become weights, 0..255, in place; zeros up to a multiple of 4. Returns their sum. */
static int32_t weigh(const int32_t *exp, int32_t total, int16_t *scores, int32_t rows)
{
    const thimble_reciprocal reciprocal = thimble_softmax_reciprocal(total);
    int32_t sum = 0;
    for (int16_t *const end = scores + rows; scores != end; scores++) {
        const int32_t weight = thimble_probability(reciprocal, exp[*scores]);
        *scores = (int16_t)weight;
        sum += weight;
    }
    for (; rows % 4 != 0; rows++) {
        *scores++ = 0;
    }
    return sum;
}

/* One query head over `rows` filled rows of K and V. */
static void attend(const thimble_attention_s8_params *p, const int16_t *wide, const int8_t *k, const int8_t *v, int32_t rows,
                   int8_t *out, int16_t *weights)
{
    const int32_t masked = p->context + 1 - rows;
    int32_t largest = score(p, wide, (const int16_t *)(const void *)k, rows, weights);
    if (masked > 0 && p->masked_score > largest) {
        largest = p->masked_score;
    }
    const int32_t *const exp = p->exp + 255 - largest;
    int32_t total = masked * thimble_exp_for_sum(exp[p->masked_score]);
    for (int32_t row = 0; row < rows; row++) {
        total += thimble_exp_for_sum(exp[weights[row]]);
    }
    const int32_t weight_sum = weigh(exp, total, weights, rows);
    const int32_t excess = 128 * weight_sum, twice_offset = 2 * weight_sum * p->v_offset;
    const thimble_product_scale scale = p->out;
    const int16_t *blocks = (const int16_t *)(const void *)v;
    for (int32_t i = 0; i < p->head_dim; i += 4, blocks += 2 * THIMBLE_CACHE_ROWS(p->context)) {
        const thimble_four_sums sums = thimble_pairs_sum(blocks, weights, THIMBLE_CACHE_ROWS(rows), excess);
        for (int32_t j = 0; j < 4; j++) {
            *out++ = thimble_scale_product(&scale, 2 * sums.row[j] + twice_offset);
        }
    }
}

void thimble_attention_pairs_s8(const thimble_attention_s8_params *p, const int8_t *q, const int8_t *k_cache,
                                const int8_t *v_cache, int32_t position, int8_t *out, void *scratch)
{
    int16_t *const weights = scratch, *const wide = weights + THIMBLE_CACHE_ROWS(p->context);
    const int32_t head_dim = p->head_dim, head_bytes = THIMBLE_CACHE_ROWS(p->context) * head_dim;
    for (int32_t head = 0; head < p->kv_heads; head++, k_cache += head_bytes, v_cache += head_bytes) {
        for (int32_t i = 0; i < p->group; i++, q += head_dim, out += head_dim) {
            for (int32_t j = 0; j < head_dim; j++) {
                wide[j] = (int16_t)(q[j] + p->q_offset);
            }
            attend(p, wide, k_cache, v_cache, position + 1, out, weights);
        }
    }
}

#include <string.h>

#include "thimble_fixed_point_s16.h"
#include "thimble_kernels_s16.h"
#include "thimble_softmax_row_s16.h"

#ifndef THIMBLE_DSP

/* q . k over a multiple of 4 columns. */
static inline int64_t dot(const int16_t *q, const int16_t *k, int32_t count)
{
    int64_t sum = 0;
    for (int32_t i = 0; i < count; i++) {
        sum += q[i] * k[i];
    }
    return sum;
}

/* Four columns of V summed over the rows, each with its weight. */
static inline void weigh_four(const int16_t *p, const int16_t *v, int32_t stride, int32_t rows, int32_t sums[4])
{
    for (int32_t i = 0; i < 4; i++) {
        sums[i] = 0;
        for (int32_t row = 0; row < rows; row++) {
            sums[i] += p[row] * v[row * stride + i];
        }
    }
}

#else
#include "thimble_attention_s16_dsp.h"
#endif

/* Scores times a number. */
static void scale_scores(const thimble_attention_s16_params *p, int16_t *scores, int32_t rows)
{
    const int16_t factor = (int16_t)p->factor;
    const thimble_operand_s16 each = {scores, 0, 1}, number = {&factor, 0, 0};
    thimble_mul_s16(p->scaling, number, each, scores, 0, 1, rows);
}

/* Unmasked scores become the softmax's input. */
static THIMBLE_HOT(add_mask) void add_mask(const thimble_attention_s16_params *p, int16_t *scores, int32_t rows)
{
    const int16_t unmasked = (int16_t)p->unmasked;
    const thimble_operand_s16 each = {scores, 0, 1}, mask = {&unmasked, 0, 0};
    thimble_add_s16(p->mask, p->unmasked_first ? mask : each, p->unmasked_first ? each : mask, scores, 0, 1, rows);
}

/* One query head over `rows` filled rows of K and V. */
static THIMBLE_HOT(attend) void attend(const thimble_attention_s16_params *p, const int16_t *q, const int16_t *k,
                                       const int16_t *v, int32_t rows, int16_t *out, int16_t *weights)
{
    const int32_t masked = p->context + 1 - rows;
    const thimble_wide_scaler score_scale = thimble_prepare_wide(p->score_multiplier, p->score_shift);
    for (int32_t row = 0; row < rows; row++, k += p->head_dim) {
        weights[row] = thimble_saturate_s16(thimble_scale_wide(score_scale, dot(q, k, p->head_dim)));
    }
    if (p->scaling) {
        scale_scores(p, weights, rows);
    }
    if (p->mask) {
        add_mask(p, weights, rows);
    }
    int32_t largest = p->masked_score; /* the new row stands apart in the .tflite, so one column at least is masked */
    for (int32_t row = 0; row < rows; row++) {
        largest = weights[row] > largest ? weights[row] : largest;
    }
    const int16_t *const table = p->softmax.exp;
    const thimble_scaler scale = thimble_prepare(p->softmax.multiplier, p->softmax.shift);
    int32_t total = masked * thimble_exp_s16(table, scale, p->masked_score - largest);
    for (int32_t row = 0; row < rows; row++) {
        const int32_t exp = thimble_exp_s16(table, scale, weights[row] - largest);
        weights[row] = (int16_t)exp;
        total += exp;
    }
    const thimble_reciprocal_s16 reciprocal = thimble_softmax_reciprocal_s16(&p->softmax, total);
    for (int32_t row = 0; row < rows; row++) {
        weights[row] = (int16_t)thimble_probability_s16(reciprocal, weights[row]);
    }
    for (int32_t i = 0; i < p->head_dim; i += 4) {
        int32_t sums[4];
        weigh_four(weights, v + i, p->head_dim, rows, sums);
        for (int32_t j = 0; j < 4; j++) {
            *out++ = thimble_saturate_s16(thimble_high_word(sums[j], p->out_multiplier));
        }
    }
}

void thimble_append_s16(const thimble_attention_s16_params *p, const int16_t *k_new, const int16_t *v_new,
                        int16_t *k_cache, int16_t *v_cache, int32_t position)
{
    const size_t row_bytes = 2 * (size_t)p->head_dim;
    for (int32_t head = 0; head < p->kv_heads; head++) {
        const int32_t row = (head * p->context + position) * p->head_dim;
        memcpy(k_cache + row, k_new + head * p->head_dim, row_bytes);
        memcpy(v_cache + row, v_new + head * p->head_dim, row_bytes);
    }
}

void thimble_attention_s16(const thimble_attention_s16_params *p, const int16_t *q, const int16_t *k_cache,
                           const int16_t *v_cache, int32_t position, int16_t *out, int16_t *scratch)
{
    for (int32_t head = 0; head < p->kv_heads; head++) {
        for (int32_t i = 0; i < p->group; i++) {
            attend(p, q, k_cache, v_cache, position + 1, out, scratch);
            q += p->head_dim;
            out += p->head_dim;
        }
        k_cache += p->context * p->head_dim;
        v_cache += p->context * p->head_dim;
    }
}

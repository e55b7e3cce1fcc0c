#include <string.h>

#include "thimble_fixed_point.h"
#include "thimble_kernels.h"
#include "thimble_softmax_row.h"

#if defined(__ARM_FEATURE_DSP) && !defined(THIMBLE_PLAIN_C)

static inline int32_t load_word(const void *from)
{
    int32_t word;
    memcpy(&word, from, 4);
    return word;
}

/* Bytes 0 and 2, and bytes 1 and 3, as two int16 each. */
static inline int16x2_t even_bytes(int32_t four)
{
    return __sxtb16(four);
}

static inline int16x2_t odd_bytes(int32_t four)
{
    int16x2_t odd;
    __asm__("sxtb16 %0, %1, ror #8" : "=r"(odd) : "r"(four));
    return odd;
}

/* Four values of a head as two words: columns 0 and 2, then 1 and 3, the order in which SXTB16 widens four bytes. */
static void widen_query(const int8_t *q, int32_t offset, int16_t *wide, int32_t head_dim)
{
    for (int32_t i = 0; i < head_dim; i += 4) {
        wide[i] = (int16_t)(q[i] + offset);
        wide[i + 1] = (int16_t)(q[i + 2] + offset);
        wide[i + 2] = (int16_t)(q[i + 1] + offset);
        wide[i + 3] = (int16_t)(q[i + 3] + offset);
    }
}

static inline int32_t dot(const int16_t *wide, const int8_t *k, int32_t head_dim)
{
    int32_t sum = 0;
    for (int32_t i = 0; i < head_dim; i += 4) {
        const int32_t four = load_word(k + i);
        sum = __smlad(even_bytes(four), load_word(wide + i), sum);
        sum = __smlad(odd_bytes(four), load_word(wide + i + 2), sum);
    }
    return sum;
}

/* sums[d] = sum over rows of p[row] * v[row][d], for four d. */
static inline void weigh_four(const uint8_t *p, const int8_t *v, int32_t stride, int32_t rows, int32_t sums[4])
{
    int32_t s0 = 0, s1 = 0, s2 = 0, s3 = 0;
    for (int32_t row = 0; row < rows; row++, v += stride) {
        const int32_t weight = p[row];
        const int32_t four = load_word(v);
        const int16x2_t even = even_bytes(four);
        const int16x2_t odd = odd_bytes(four);
        s0 = __smlabb(weight, even, s0);
        s2 = __smlabt(weight, even, s2);
        s1 = __smlabb(weight, odd, s1);
        s3 = __smlabt(weight, odd, s3);
    }
    sums[0] = s0;
    sums[1] = s1;
    sums[2] = s2;
    sums[3] = s3;
}

#else

static void widen_query(const int8_t *q, int32_t offset, int16_t *wide, int32_t head_dim)
{
    for (int32_t i = 0; i < head_dim; i++) {
        wide[i] = (int16_t)(q[i] + offset);
    }
}

static inline int32_t dot(const int16_t *wide, const int8_t *k, int32_t head_dim)
{
    int32_t sum = 0;
    for (int32_t i = 0; i < head_dim; i++) {
        sum += wide[i] * k[i];
    }
    return sum;
}

static inline void weigh_four(const uint8_t *p, const int8_t *v, int32_t stride, int32_t rows, int32_t sums[4])
{
    for (int32_t i = 0; i < 4; i++) {
        sums[i] = 0;
        for (int32_t row = 0; row < rows; row++) {
            sums[i] += p[row] * v[row * stride + i];
        }
    }
}

#endif

/* One query head over `rows` filled rows of K and V. */
static void attend(const thimble_attention_s8_params *p, const int8_t *q, const int8_t *k, const int8_t *v, int32_t rows,
                   int8_t *out, int16_t *wide, uint8_t *weights)
{
    const int32_t masked = p->context + 1 - rows;
    int8_t *scores = (int8_t *)weights; /* each score becomes its weight in place */
    widen_query(q, p->q_offset, wide, p->head_dim);
    int32_t query_sum = 0;
    for (int32_t i = 0; i < p->head_dim; i++) {
        query_sum += wide[i];
    }
    const int32_t offset = query_sum * p->k_offset;
    const thimble_scaler score_scale = thimble_prepare(p->score_multiplier, p->score_shift);
    const int8_t *mask = p->mask + 128;
    int32_t largest = masked > 0 ? p->masked_score : -128;
    for (int32_t row = 0; row < rows; row++, k += p->head_dim) {
        const int32_t sum = dot(wide, k, p->head_dim) + offset;
        const int8_t score = mask[thimble_saturate_s8(thimble_scale(score_scale, sum) + p->score_zero_point)];
        scores[row] = score;
        largest = score > largest ? score : largest;
    }
    int32_t total = masked * thimble_exp_for_sum(p->exp[largest - p->masked_score]);
    for (int32_t row = 0; row < rows; row++) {
        total += thimble_exp_for_sum(p->exp[largest - scores[row]]);
    }
    const thimble_reciprocal reciprocal = thimble_softmax_reciprocal(total);
    int32_t weight_sum = 0;
    for (int32_t row = 0; row < rows; row++) {
        const int32_t weight = thimble_probability(reciprocal, p->exp[largest - scores[row]]);
        weights[row] = (uint8_t)weight;
        weight_sum += weight;
    }
    const thimble_scaler out_scale = thimble_prepare(p->out_multiplier, p->out_shift);
    const int32_t v_offset = weight_sum * p->v_offset;
    for (int32_t i = 0; i < p->head_dim; i += 4) {
        int32_t sums[4];
        weigh_four(weights, v + i, p->head_dim, rows, sums);
        for (int32_t j = 0; j < 4; j++) {
            *out++ = thimble_saturate_s8(thimble_scale(out_scale, sums[j] + v_offset) + p->out_zero_point);
        }
    }
}

void thimble_attention_s8(const thimble_attention_s8_params *p, const int8_t *q, const int8_t *k_new, const int8_t *v_new,
                          int8_t *k_cache, int8_t *v_cache, int32_t position, int8_t *out, void *scratch)
{
    int16_t *wide = scratch;
    uint8_t *weights = (uint8_t *)(wide + p->head_dim);
    const size_t row_bytes = (size_t)p->head_dim;
    for (int32_t head = 0; head < p->kv_heads; head++) {
        memcpy(k_cache + position * p->head_dim, k_new, row_bytes);
        memcpy(v_cache + position * p->head_dim, v_new, row_bytes);
        for (int32_t i = 0; i < p->group; i++) {
            attend(p, q, k_cache, v_cache, position + 1, out, wide, weights);
            q += p->head_dim;
            out += p->head_dim;
        }
        k_new += p->head_dim;
        v_new += p->head_dim;
        k_cache += p->context * p->head_dim;
        v_cache += p->context * p->head_dim;
    }
}

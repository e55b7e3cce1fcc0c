#include <string.h>

#include "thimble_fixed_point_s16.h"
#include "thimble_kernels_s16.h"
#include "thimble_softmax_row_s16.h"

#ifdef THIMBLE_DSP

/* clang-format off */
#define FOUR_PRODUCTS                        \
    "ldrd   %[q0], %[q1], [%[q]], #8\n"      \
    "ldrd   %[k0], %[k1], [%[k]], #8\n"      \
    "smlald %[low], %[high], %[q0], %[k0]\n" \
    "smlald %[low], %[high], %[q1], %[k1]\n"

#define SUM_PRODUCTS(instructions)                                                                                         \
    __asm__ volatile(instructions                                                                                          \
                     : [q] "+&r"(q), [k] "+&r"(k), [low] "+&r"(low), [high] "+&r"(high), [q0] "=&r"(q0), [q1] "=&r"(q1),       \
                       [k0] "=&r"(k0), [k1] "=&r"(k1)                                                                      \
                     :                                                                                                     \
                     : "memory")
/* clang-format on */

/* q . k over a multiple of 4 columns. */
static inline int64_t dot(const int16_t *q, const int16_t *k, int32_t count)
{
    uint32_t low = 0;
    int32_t high = 0, q0, q1, k0, k1;
    const int16_t *const end = q + count;
    for (const int16_t *const whole = q + (count & ~15); q != whole;) {
        SUM_PRODUCTS(FOUR_PRODUCTS FOUR_PRODUCTS FOUR_PRODUCTS FOUR_PRODUCTS);
    }
    while (q != end) {
        SUM_PRODUCTS(FOUR_PRODUCTS);
    }
    return (int64_t)((uint64_t)(uint32_t)high << 32 | low);
}

/* A row of V, four columns, with the weight in the lower or upper half of w. */
/* clang-format off */
#define ROW_LOW(w)                          \
    "ldrd   %[v0], %[v1], [%[v]]\n"         \
    "add    %[v], %[v], %[step]\n"          \
    "smlabb %[s0], %[v0], %[" w "], %[s0]\n" \
    "smlatb %[s1], %[v0], %[" w "], %[s1]\n" \
    "smlabb %[s2], %[v1], %[" w "], %[s2]\n" \
    "smlatb %[s3], %[v1], %[" w "], %[s3]\n"
#define ROW_HIGH(w)                         \
    "ldrd   %[v0], %[v1], [%[v]]\n"         \
    "add    %[v], %[v], %[step]\n"          \
    "smlabt %[s0], %[v0], %[" w "], %[s0]\n" \
    "smlatt %[s1], %[v0], %[" w "], %[s1]\n" \
    "smlabt %[s2], %[v1], %[" w "], %[s2]\n" \
    "smlatt %[s3], %[v1], %[" w "], %[s3]\n"

#define SUM_ROWS(instructions)                                                                                             \
    __asm__ volatile(instructions                                                                                          \
                     : [p] "+&r"(p), [v] "+&r"(v), [s0] "+&r"(s0), [s1] "+&r"(s1), [s2] "+&r"(s2), [s3] "+&r"(s3),               \
                       [v0] "=&r"(v0), [v1] "=&r"(v1), [w0] "=&r"(w0), [w1] "=&r"(w1)                                      \
                     : [step] "r"(step)                                                                                    \
                     : "memory")
/* clang-format on */

/* Four columns of V summed over the rows, each with its weight. */
static inline void weigh_four(const int16_t *p, const int16_t *v, int32_t stride, int32_t rows, int32_t sums[4])
{
    int32_t s0 = 0, s1 = 0, s2 = 0, s3 = 0, v0, v1, w0, w1;
    const uintptr_t step = (uintptr_t)stride * 2;
    const int16_t *const end = p + rows;
    for (const int16_t *const whole = p + (rows & ~3); p != whole;) {
        SUM_ROWS("ldrd %[w0], %[w1], [%[p]], #8\n" ROW_LOW("w0") ROW_HIGH("w0") ROW_LOW("w1") ROW_HIGH("w1"));
    }
    while (p != end) {
        SUM_ROWS("ldrh %[w0], [%[p]], #2\n" ROW_LOW("w0"));
    }
    (void)w1;
    sums[0] = s0;
    sums[1] = s1;
    sums[2] = s2;
    sums[3] = s3;
}

#else

static inline int64_t dot(const int16_t *q, const int16_t *k, int32_t count)
{
    int64_t sum = 0;
    for (int32_t i = 0; i < count; i++) {
        sum += q[i] * k[i];
    }
    return sum;
}

static inline void weigh_four(const int16_t *p, const int16_t *v, int32_t stride, int32_t rows, int32_t sums[4])
{
    for (int32_t i = 0; i < 4; i++) {
        sums[i] = 0;
        for (int32_t row = 0; row < rows; row++) {
            sums[i] += p[row] * v[row * stride + i];
        }
    }
}

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

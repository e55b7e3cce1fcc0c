/* A body of thimble_attention_rows_s8.c, for cores with Helium (Cortex-M55). */
#ifndef THIMBLE_ATTENTION_ROWS_S8_MVE_H
#define THIMBLE_ATTENTION_ROWS_S8_MVE_H

/* One row of K: its products with the query and, times the query's offset, its sum enter the row's sum. */
/* clang-format off */
#define ROW_OF_16(sum)                         \
    "vldrb.u8 q0, [%[k]]\n"                    \
    "add %[k], %[k], %[head_dim]\n"            \
    "vmladava.s8 " sum ", q0, %q[q0]\n"        \
    "vmladav.s8 r12, q0, %q[one0]\n"           \
    "mla " sum ", r12, %[offset], " sum "\n"
#define ROW_OF_32(sum)                         \
    "vldrb.u8 q0, [%[k]]\n"                    \
    "vldrb.u8 q1, [%[k], #16]\n"               \
    "add %[k], %[k], %[head_dim]\n"            \
    "vmladava.s8 " sum ", q0, %q[q0]\n"        \
    "vmladav.s8 r12, q0, %q[one0]\n"           \
    "vmladava.s8 " sum ", q1, %q[q1]\n"        \
    "vmladava.s8 r12, q1, %q[one1]\n"          \
    "mla " sum ", r12, %[offset], " sum "\n"
#define FOUR_OF_16 ROW_OF_16("r4") ROW_OF_16("r6") ROW_OF_16("r8") ROW_OF_16("r10")
#define FOUR_OF_32 ROW_OF_32("r4") ROW_OF_32("r6") ROW_OF_32("r8") ROW_OF_32("r10")
/* clang-format on */
/* Two rows of eight in one vector, with the query and ones in the low and in the high half of two. */
/* clang-format off */
#define TWO_OF_8(sum, other)                       \
    "vldrb.u8 q0, [%[k]], #16\n"                   \
    "vmladava.s8 " sum ", q0, %q[q0]\n"            \
    "vmladav.s8 r12, q0, %q[one0]\n"               \
    "mla " sum ", r12, %[offset], " sum "\n"       \
    "vmladava.s8 " other ", q0, %q[q1]\n"          \
    "vmladav.s8 r12, q0, %q[one1]\n"               \
    "mla " other ", r12, %[offset], " other "\n"
#define FOUR_OF_8 TWO_OF_8("r4", "r6") TWO_OF_8("r8", "r10")
/* clang-format on */
/* Masked scores, four rows at a time. The constants are four times what a sum begins with, then, at `constants`, the
 * scale's multiplier, negated shift and zero point, and the mask. The largest of the filled rows' scores alone is
 * wanted. */
/* clang-format off */
#define SCORES(FOUR)                                                                                              \
    __asm__ volatile("1:\n"                                                                                       \
                     "ldmdb %[constants], {r4, r6, r8, r10}\n" FOUR                                               \
                     "vmov q0[2], q0[0], r4, r8\n"                                                                \
                     "vmov q0[3], q0[1], r6, r10\n"                                                               \
                     "ldmia %[constants], {r4, r6, r8, r10}\n"                                                    \
                     "vshr.s32 q1, q0, #31\n"                                                                     \
                     "vqrdmlah.s32 q1, q0, r4\n"                                                                  \
                     "vrshl.s32 q1, r6\n"                                                                         \
                     "vadd.i32 q1, q1, r8\n"                                                                      \
                     "vmin.s32 q1, q1, %q[most]\n"                                                                \
                     "vmax.s32 q1, q1, %q[least]\n"                                                               \
                     "vldrb.s32 q0, [r10, q1]\n"                                                                  \
                     "vctp.32 %[rows]\n"                                                                          \
                     "vpst\n"                                                                                     \
                     "vmaxvt.s32 %[largest], q0\n"                                                                \
                     "vstrb.32 q0, [%[scores]], #4\n"                                                             \
                     "subs %[rows], %[rows], #4\n"                                                                \
                     "bgt 1b\n"                                                                                   \
                     : [k] "+&r"(k), [rows] "+&r"(rows), [largest] "+&r"(largest), [scores] "+&l"(scores)             \
                     : [constants] "r"(constants + 4), [head_dim] "r"(head_dim),                                  \
                       [offset] "r"(p->q_offset), [q0] "w"(q0), [q1] "w"(q1), [one0] "w"(one0), [one1] "w"(one1), \
                       [most] "w"(vdupq_n_s32(255)), [least] "w"(vdupq_n_s32(0))                                  \
                     : "r4", "r6", "r8", "r10", "r12", "q0", "q1", "cc", "memory")
/* clang-format on */

/* Masked scores where a row of K takes more than two vectors. */
static THIMBLE_HOT(score_long) int32_t
    score_long(const thimble_attention_s8_params *p, const int8_t *q, const int8_t *k, int32_t rows, int8_t *scores)
{
    int32_t largest = -128;
    for (int32_t row = 0; row < rows; row++, k += p->head_dim) {
        int32_t products = 0, k_sum = 0, query_sum = p->head_dim * p->q_offset;
        for (int32_t i = 0; i < p->head_dim; i += 16) {
            const int8x16_t x = thimble_load_16(k + i, p->head_dim - i), y = thimble_load_16(q + i, p->head_dim - i);
            products = vmladavaq_s8(products, x, y);
            k_sum = vaddvaq_s8(k_sum, x);
            query_sum = vaddvaq_s8(query_sum, y);
        }
        products += p->q_offset * k_sum + p->k_offset * query_sum;
        scores[row] = p->mask[thimble_scale_product(&p->score, 2 * products) + 128];
        largest = scores[row] > largest ? scores[row] : largest;
    }
    return largest;
}

/* The first of 32 ones, the others 0. */
static const int8_t ones[64] = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,
                                1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1};

/* Masked scores of a query with `rows` rows of K; returns the largest. */
static THIMBLE_HOT(score) int32_t
    score(const thimble_attention_s8_params *p, const int8_t *q, const int8_t *k, int32_t rows, int8_t *scores)
{
    const int32_t head_dim = p->head_dim;
    if (head_dim > 32) {
        return score_long(p, q, k, rows, scores);
    }
    const int8x16_t one0 = vldrbq_s8(ones + 32 - head_dim);
    int8x16_t one1 = vldrbq_s8(ones + 48 - head_dim);
    const int8x16_t q0 = thimble_load_16(q, head_dim);
    int8x16_t q1 = head_dim > 16 ? thimble_load_16(q + 16, head_dim - 16) : vdupq_n_s8(0);
    const int32_t first = p->k_offset * vaddvaq_s8(vaddvaq_s8(head_dim * p->q_offset, q0), q1);
    const int32_t constants[8] = {first,
                                  first,
                                  first,
                                  first,
                                  p->score.multiplier,
                                  -1 - p->score.right_shift_less_one,
                                  (p->score.twice_zero_point_plus_one >> 1) + 128,
                                  (int32_t)p->mask};
    int32_t largest = -128;
    if (head_dim == 8) {
        one1 = vsubq_s8(vdupq_n_s8(1), one0);
        const int32x4_t low = vreinterpretq_s32_s8(q0);
        const int32x4_t third = vsetq_lane_s32(vgetq_lane_s32(low, 0), vdupq_n_s32(0), 2);
        q1 = vreinterpretq_s8_s32(vsetq_lane_s32(vgetq_lane_s32(low, 1), third, 3));
        SCORES(FOUR_OF_8);
    } else if (head_dim <= 16) {
        SCORES(FOUR_OF_16);
    } else {
        SCORES(FOUR_OF_32);
    }
    return largest;
}

/* The sum of the scores' exponentials. */
static THIMBLE_HOT(sum_exponentials) int32_t sum_exponentials(const int32_t *exp, const int8_t *scores, int32_t rows)
{
    int32_t sum = 0;
    /* clang-format off */
    __asm__ volatile("dlstp.32 lr, %[rows]\n"
                     "1:\n"
                     "vldrb.s32 q0, [%[scores]], #4\n"
                     "vldrw.u32 q1, [%[exp], q0, uxtw #2]\n"
                     "vrshr.u32 q1, q1, #12\n"
                     "vaddva.u32 %[sum], q1\n"
                     "letp lr, 1b\n"
                     : [scores] "+&l"(scores), [sum] "+&Te"(sum)
                     : [rows] "r"(rows), [exp] "r"(exp)
                     : "lr", "q0", "q1", "memory");
    /* clang-format on */
    return sum;
}

/* Scores become weights, 0..255, in place. Returns their sum. */
static THIMBLE_HOT(weigh) int32_t weigh(const int32_t *exp, int32_t total, int8_t *scores, int32_t rows)
{
    const thimble_reciprocal reciprocal = thimble_softmax_reciprocal(total);
    const int32_t right = reciprocal.half != 0 ? reciprocal.shift : 63;
    int32_t sum = 0;
    /* clang-format off */
    __asm__ volatile("dlstp.32 lr, %[rows]\n"
                     "1:\n"
                     "vldrb.s32 q0, [%[scores]]\n"
                     "vldrw.u32 q1, [%[exp], q0, uxtw #2]\n"
                     "vrmulh.u32 q1, q1, %q[mantissa]\n"
                     "vrshl.u32 q1, %[shift]\n"
                     "vmin.u32 q1, q1, %q[most]\n"
                     "vaddva.u32 %[sum], q1\n"
                     "vstrb.32 q1, [%[scores]], #4\n"
                     "letp lr, 1b\n"
                     : [scores] "+&l"(scores), [sum] "+&Te"(sum)
                     : [rows] "r"(rows), [exp] "r"(exp), [mantissa] "w"(vdupq_n_u32(reciprocal.doubled_mantissa)),
                       [shift] "r"(-right), [most] "w"(vdupq_n_u32(255))
                     : "lr", "q0", "q1", "memory");
    /* clang-format on */
    return sum;
}

/* out = weights * V; the weights' sum times `offset` is added. */
static THIMBLE_HOT(mix) void mix(const thimble_attention_s8_params *p, const uint8_t *weights, int32_t weight_sum,
                                 const int8_t *v, int32_t rows, int8_t *out)
{
    const int32_t capacity = THIMBLE_CACHE_ROWS(p->context), first = weight_sum * (p->v_offset - 128);
    const int32_t start[4] = {first, first, first, first};
    const thimble_product_scale scale = p->out;
    const int32_t right = scale.right_shift_less_one + 1, zero_point = scale.twice_zero_point_plus_one >> 1;
    for (int32_t left = p->head_dim; left > 0; left -= 4, out += 4, v += 4 * capacity) {
        const int32x4_t sums = thimble_four_rows_u8(weights, (const uint8_t *)v, capacity, rows, start);
        thimble_store_4(out, vaddq_n_s32(thimble_scale_4(sums, scale.multiplier, right), zero_point));
    }
}

#endif

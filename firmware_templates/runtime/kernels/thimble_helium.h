/* Helium (Cortex-M55): arithmetic on vectors of 4, 8 and 16 lanes, exactly that of thimble_fixed_point.h. */
#ifndef THIMBLE_HELIUM_H
#define THIMBLE_HELIUM_H

#include "thimble_bodies.h"
#include "thimble_kernels.h"

#ifdef THIMBLE_HELIUM

/* As far as `count` goes, at least 1, of 16 or 4 values; the others are 0, or left as they are. Asm, since the compiler
 * would carry a predicate through a core register. */
static inline int8x16_t thimble_load_16(const int8_t *x, int32_t count)
{
    int8x16_t values;
    mve_pred16_t lanes;
    /* clang-format off */
    __asm__("vctp.8 %3\n"
            "vpst\n"
            "vldrbt.u8 %q0, [%2]\n"
            : "=w"(values), "=Up"(lanes)
            : "r"(x), "r"(count), "m"(*(const int8_t(*)[16])x));
    /* clang-format on */
    return values;
}

static inline void thimble_store_16(int8_t *out, int8x16_t values, int32_t count)
{
    mve_pred16_t lanes;
    /* clang-format off */
    __asm__("vctp.8 %3\n"
            "vpst\n"
            "vstrbt.8 %q2, [%4]\n"
            : "+m"(*(int8_t(*)[16])out), "=Up"(lanes)
            : "w"(values), "r"(count), "r"(out));
    /* clang-format on */
}

static inline int32x4_t thimble_load_4(const int8_t *x, int32_t count)
{
    int32x4_t values;
    mve_pred16_t lanes;
    /* clang-format off */
    __asm__("vctp.32 %3\n"
            "vpst\n"
            "vldrbt.s32 %q0, [%2]\n"
            : "=w"(values), "=Up"(lanes)
            : "l"(x), "r"(count), "m"(*(const int8_t(*)[4])x));
    /* clang-format on */
    return values;
}

static inline void thimble_store_some_of_4(int8_t *out, int32x4_t values, int32_t count)
{
    mve_pred16_t lanes;
    /* clang-format off */
    __asm__("vctp.32 %3\n"
            "vpst\n"
            "vstrbt.32 %q2, [%4]\n"
            : "+m"(*(int8_t(*)[4])out), "=Up"(lanes)
            : "w"(values), "r"(count), "l"(out));
    /* clang-format on */
}

/* x * multiplier / 2^(31 + right), rounded twice, for right of 1..31: a rounding shift rounds halves up, so values
 * below zero lose 1 before it. That x's sign is taken for the product's does not matter where the product is 0. */
static inline int32x4_t thimble_scale_4(int32x4_t x, int32_t multiplier, int32_t right)
{
    return vrshlq_n_s32(vqrdmlahq_n_s32(vshrq_n_s32(x, 31), x, multiplier), -right);
}

/* 16 int8 plus an offset as int16: those of even and of odd places. */
typedef struct {
    int16x8_t even, odd;
} thimble_halves;

static inline thimble_halves thimble_halves_of(int8x16_t x, int32_t offset)
{
    return (thimble_halves){vaddq_n_s16(vmovlbq_s8(x), (int16_t)offset), vaddq_n_s16(vmovltq_s8(x), (int16_t)offset)};
}

/* 16 numbers by their place modulo 4. */
typedef struct {
    int32x4_t at[4];
} thimble_quarters;

static inline thimble_quarters thimble_products(thimble_halves x, thimble_halves y)
{
    return (thimble_quarters){{vmullbq_int_s16(x.even, y.even), vmullbq_int_s16(x.odd, y.odd),
                               vmulltq_int_s16(x.even, y.even), vmulltq_int_s16(x.odd, y.odd)}};
}

/* Limits to int16: the lanes of both, in turn. */
static inline int16x8_t thimble_narrow_8(int32x4_t even, int32x4_t odd)
{
    /* clang-format off */
    __asm__("vqmovnb.s32 %q0, %q0\n"
            "vqmovnt.s32 %q0, %q1\n"
            : "+&w"(even)
            : "w"(odd));
    /* clang-format on */
    return vreinterpretq_s16_s32(even);
}

/* 16 int8 of those of even and of odd places, each plus the zero point, limited to -128..127. */
static inline int8x16_t thimble_join_16(int16x8_t even, int16x8_t odd, int32_t zero_point)
{
    even = vqaddq_n_s16(even, (int16_t)zero_point);
    odd = vqaddq_n_s16(odd, (int16_t)zero_point);
    /* clang-format off */
    __asm__("vqmovnb.s16 %q0, %q0\n"
            "vqmovnt.s16 %q0, %q1\n"
            : "+&w"(even)
            : "w"(odd));
    /* clang-format on */
    return vreinterpretq_s8_s16(even);
}

/* 16 values that are not doubled yet, as thimble_requantize_s8 scales them. */
static inline int8x16_t thimble_requantize_16(thimble_quarters x, const thimble_product_scale *scale)
{
#pragma GCC unroll 4
    for (int32_t i = 0; i < 4; i++) {
        x.at[i] = thimble_scale_4(x.at[i], scale->multiplier, scale->right_shift_less_one + 1);
    }
    return thimble_join_16(thimble_narrow_8(x.at[0], x.at[2]), thimble_narrow_8(x.at[1], x.at[3]),
                           scale->twice_zero_point_plus_one >> 1);
}

/* Stores 4 numbers as int8, limited to -128..127. */
static inline void thimble_store_4(int8_t *out, int32x4_t x)
{
    __asm__("vqmovnb.s32 %q0, %q0\n" /* what a narrowed value leaves of its lane is not stored */
            "vqmovnb.s16 %q0, %q0\n"
            : "+w"(x));
    vstrbq_s32(out, x);
}

/* The sum of two int8 values, as thimble_sum_scale has it but half as large: what thimble_scale_4 wants. */
static inline int32x4_t thimble_sum_4(const thimble_sum_scale *s, int32x4_t x, int32x4_t y)
{
    y = vaddq_n_s32(vmulq_n_s32(y, s->y_factor >> 1), s->y_base >> 1);
    x = vaddq_n_s32(vmulq_n_s32(x, s->x_factor >> 1), s->x_base >> 1);
    return vmlaq_n_s32(x, thimble_scale_4(y, s->y_multiplier, s->y_right_less_one + 1), s->y_sign);
}

/* A row of an operand that can be read 16 at a time, `step` bytes on for each: one value alone is repeated. */
typedef struct {
    const int8_t *data;
    int32_t step;
} thimble_row;

static inline thimble_row thimble_row_of(thimble_operand x, int8_t *repeated)
{
    if (x.step == 0) {
        vstrbq_s8(repeated, vdupq_n_s8(*x.data));
        return (thimble_row){repeated, 0};
    }
    return (thimble_row){x.data, 16};
}

/* table[x + 128] of 16 int8. */
static inline int8x16_t thimble_look_up_16(const int8_t *table, int8x16_t x)
{
    return vldrbq_gather_offset_s8(table, vreinterpretq_u8_s8(veorq_s8(x, vdupq_n_s8(-128))));
}

/* Four rows of w, `stride` bytes apart, times x, each added to its number of `start`: 16 columns of x are loaded once
 * for four loads and sums. The loop counts columns, and leaves out what lies beyond the depth. TYPE is s8 or u8. */
/* clang-format off */
#define THIMBLE_FOUR_ROWS(TYPE)                                                                                     \
    __asm__ volatile("ldmia %[start], {r4, r6, r8, r10}\n"                                                          \
                     "dlstp.8 lr, %[depth]\n"                                                                       \
                     "1:\n"                                                                                         \
                     "vldrb.u8 %q[xs], [%[x]], #16\n"                                                               \
                     "vldrb.u8 %q[sums], [%[w0]], #16\n"                                                            \
                     "vmladava." TYPE " r4, %q[xs], %q[sums]\n"                                                     \
                     "vldrb.u8 %q[sums], [%[w1]], #16\n"                                                            \
                     "vmladava." TYPE " r6, %q[xs], %q[sums]\n"                                                     \
                     "vldrb.u8 %q[sums], [%[w2]], #16\n"                                                            \
                     "vmladava." TYPE " r8, %q[xs], %q[sums]\n"                                                     \
                     "vldrb.u8 %q[sums], [%[w3]], #16\n"                                                            \
                     "vmladava." TYPE " r10, %q[xs], %q[sums]\n"                                                    \
                     "letp lr, 1b\n"                                                                                \
                     "vmov %q[sums][2], %q[sums][0], r4, r8\n"                                                      \
                     "vmov %q[sums][3], %q[sums][1], r6, r10\n"                                                     \
                     : [sums] "=&w"(sums), [xs] "=&w"(xs), [x] "+&r"(x), [w0] "+&r"(w), [w1] "+&r"(w1), [w2] "+&r"(w2), \
                       [w3] "+&r"(w3)                                                                                \
                     : [start] "r"(start), [depth] "r"(depth)                                                       \
                     : "r4", "r6", "r8", "r10", "lr", "memory")
/* clang-format on */

static inline int32x4_t thimble_four_rows_s8(const int8_t *x, const int8_t *w, int32_t stride, int32_t depth,
                                             const int32_t *start)
{
    const int8_t *w1 = w + stride, *w2 = w1 + stride, *w3 = w2 + stride;
    int32x4_t sums;
    int8x16_t xs;
    THIMBLE_FOUR_ROWS("s8");
    return sums;
}

static inline int32x4_t thimble_four_rows_u8(const uint8_t *x, const uint8_t *w, int32_t stride, int32_t depth,
                                             const int32_t *start)
{
    const uint8_t *w1 = w + stride, *w2 = w1 + stride, *w3 = w2 + stride;
    int32x4_t sums;
    uint8x16_t xs;
    THIMBLE_FOUR_ROWS("u8");
    return sums;
}

#endif
#endif

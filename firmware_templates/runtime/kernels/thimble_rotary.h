/* Pairs of int8 values times 2 x 2 matrices, as parts of kernels. */
#ifndef THIMBLE_ROTARY_H
#define THIMBLE_ROTARY_H

#include "thimble_elementwise.h"
#include "thimble_helium.h"

#ifdef THIMBLE_HELIUM

/* One column of four pairs' matrices. */
typedef struct {
    int32x4_t a, b;
} column;

/* Every fourth byte, as far as `count` of them go, plus an offset. */
static inline int32x4_t cells(const int8_t *matrices, int32_t count, int32_t offset)
{
    const mve_pred16_t lanes = vctp32q((uint32_t)count);
    return vaddq_n_s32(vldrbq_gather_offset_z_s32(matrices, vidupq_n_u32(0, 4), lanes), offset);
}

static inline column column_of(const int8_t *matrices, int32_t left, int32_t offset)
{
    return (column){cells(matrices, left, offset), cells(matrices + 2, left, offset)};
}

static inline int32x4_t times(int32x4_t a, int32x4_t b, column x)
{
    return vaddq_s32(vmulq_s32(a, x.a), vmulq_s32(b, x.b));
}

static inline int32x4_t scaled(const thimble_product_scale *s, int32x4_t sums)
{
    const int32x4_t x = thimble_scale_4(sums, s->multiplier, s->right_shift_less_one + 1);
    return vshrq_n_s32(vqshlq_n_s32(vaddq_n_s32(x, s->twice_zero_point_plus_one >> 1), 24), 24);
}

#else

#ifdef THIMBLE_DSP

typedef struct {
    int32_t multiplier, right, addend;
} scale;

static inline scale scale_of(const thimble_product_scale *s)
{
    return (scale){s->multiplier, thimble_shift_of(s), thimble_addend_of(s)};
}

/* A doubled sum as int8. */
static inline int8_t scaled(scale s, int32_t sum)
{
    int32_t high;
    __asm__(THIMBLE_TO_S8("%[sum]", "%[high]", "%[multiplier]", "%[right]", "%[addend]")
            : [sum] "+&r"(sum), [high] "=&r"(high)
            : [multiplier] "r"(s.multiplier), [right] "r"(s.right), [addend] "r"(s.addend));
    return (int8_t)sum;
}

typedef int16x2_t row;

static inline row row_of(int32_t a, int32_t b)
{
    row x;
    __asm__("pkhbt %0, %1, %2, lsl #16" : "=r"(x) : "r"(a), "r"(b));
    return x;
}

static inline row plus(row x, row offset)
{
    return __sadd16(x, offset);
}

static inline int32_t times(row x, row column)
{
    return __smuad(x, column);
}

static inline int32_t times_plus(row x, row column, int32_t sum)
{
    return __smlad(x, column, sum);
}

#else

typedef thimble_product_scale scale;

static inline scale scale_of(const thimble_product_scale *s)
{
    return *s;
}

static inline int8_t scaled(scale s, int32_t sum)
{
    return thimble_scale_product(&s, sum);
}

typedef struct {
    int32_t a, b;
} row;

static inline row row_of(int32_t a, int32_t b)
{
    return (row){a, b};
}

static inline row plus(row x, row offset)
{
    return (row){x.a + offset.a, x.b + offset.b};
}

static inline int32_t times(row x, row column)
{
    return x.a * column.a + x.b * column.b;
}

static inline int32_t times_plus(row x, row column, int32_t sum)
{
    return sum + times(x, column);
}

#endif

/* The columns of a matrix, doubled. */
typedef struct {
    row first, second;
} columns;

static inline columns columns_of(const int8_t *cells, int32_t offset)
{
    return (columns){row_of(2 * (cells[0] + offset), 2 * (cells[2] + offset)),
                     row_of(2 * (cells[1] + offset), 2 * (cells[3] + offset))};
}

#endif

#endif

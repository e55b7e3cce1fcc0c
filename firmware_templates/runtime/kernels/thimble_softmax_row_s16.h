/* What softmax of int16 needs for a row. */
#ifndef THIMBLE_SOFTMAX_ROW_S16_H
#define THIMBLE_SOFTMAX_ROW_S16_H

#include "thimble_fixed_point_s16.h"
#include "thimble_kernels_s16.h"

/* e^difference in Q0.15 for a difference in -65535..0 to the row's largest value. */
static inline int32_t thimble_exp_s16(const int16_t *table, thimble_scaler scale, int32_t difference)
{
    const int32_t scaled = thimble_scale(scale, difference) + 32767;
    return thimble_interpolate_s16(table, scaled < -32768 ? -32768 : scaled);
}

/* 1 / sum is multiplier / 2^15 * 2^(shift - 30). */
typedef struct {
    int32_t multiplier;
    int32_t shift;
} thimble_reciprocal_s16;

/* Of a sum of exponentials in Q16.15, at least that of the row's largest. */
static inline thimble_reciprocal_s16 thimble_softmax_reciprocal_s16(const thimble_softmax_s16_params *p, int32_t sum)
{
    const int32_t zeros = __builtin_clz((uint32_t)sum);
    const int32_t shifted = (int32_t)((((int64_t)sum << (zeros - 1)) + (1 << 13)) >> 14) - ((1 << 15) + (1 << 16));
    return (thimble_reciprocal_s16){thimble_interpolate_s16(p->reciprocal, shifted > 32767 ? 32767 : shifted),
                                    31 - zeros};
}

/* The share that one exponential has in the sum, 0..32767. */
static inline int32_t thimble_probability_s16(thimble_reciprocal_s16 reciprocal, int32_t exp)
{
    const int32_t share = (exp * reciprocal.multiplier + (1 << (reciprocal.shift - 1))) >> reciprocal.shift;
    return share > 32767 ? 32767 : share;
}

#endif

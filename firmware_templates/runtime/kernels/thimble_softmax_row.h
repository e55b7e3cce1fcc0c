/* What softmax needs once a row: the reciprocal of the sum of exponentials. */
#ifndef THIMBLE_SOFTMAX_ROW_H
#define THIMBLE_SOFTMAX_ROW_H

#include "thimble_fixed_point.h"

/* 1 / sum: a Q0.31 mantissa, doubled, the right shift that brings mantissa * exp to 1/256 steps, and half of what it
 * drops. */
typedef struct {
    uint32_t doubled_mantissa;
    int32_t shift;
    uint32_t half;
} thimble_reciprocal;

/* exp >= 0 in Q0.31 as it enters the sum, in Q12.19. */
static inline int32_t thimble_exp_for_sum(int32_t exp)
{
    return (int32_t)(((uint32_t)exp + (1u << 11)) >> 12);
}

/* round(a * b / 2^32). */
static inline uint32_t thimble_unsigned_high_multiply(uint32_t a, uint32_t b)
{
    const uint64_t product = (uint64_t)a * b;
    return (uint32_t)(product >> 32) + ((uint32_t)product >> 31);
}

/* sum: Q12.19, at least 2^19 (the largest score's own exponential is 1). Newton-Raphson division as in gemmlowp; its
 * saturations are left out, since half, the normalized sum over 2, lies in [1/2, 1), and so y in [1, 2], with errors
 * below 1/17. */
static inline thimble_reciprocal thimble_softmax_reciprocal(int32_t sum)
{
    const int32_t headroom = __builtin_clz((uint32_t)sum);
    const uint32_t half = ((uint32_t)sum << headroom) >> 1;
    int32_t y = 1515870810 + thimble_high_multiply(2 * -1010580540, (int32_t)half); /* 48/17 - 32/17 half, Q2.29 */
    for (int32_t i = 0; i < 3; i++) {
        const int32_t error = (1 << 29) - (int32_t)thimble_unsigned_high_multiply(2u * (uint32_t)y, half);
        y += 4 * thimble_high_multiply(2 * error, y);
    }
    const uint32_t mantissa = 2u * (uint32_t)y > INT32_MAX ? INT32_MAX : 2u * (uint32_t)y;
    const int32_t shift = 12 - headroom + 23; /* at least 23; from 32 on all probabilities are 0 */
    return (thimble_reciprocal){2u * mantissa, shift < 32 ? shift : 31, shift < 32 ? 1u << (shift - 1) : 0};
}

/* The probability of a score, 0..255 in steps of 1/256; exp >= 0. */
static inline int32_t thimble_probability(thimble_reciprocal reciprocal, int32_t exp)
{
    const uint32_t high = thimble_unsigned_high_multiply(reciprocal.doubled_mantissa, (uint32_t)exp);
    return thimble_saturate_u8((high + reciprocal.half) >> reciprocal.shift);
}

#endif

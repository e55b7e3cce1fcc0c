/* What softmax needs once a row: the reciprocal of the sum of exponentials. */
#ifndef THIMBLE_SOFTMAX_ROW_H
#define THIMBLE_SOFTMAX_ROW_H

#include "thimble_fixed_point.h"

/* 1 / sum: a Q0.31 mantissa, the right shift that brings mantissa * exp to 1/256 steps, and half of what that drops. */
typedef struct {
    int32_t mantissa;
    int32_t shift;
    uint32_t half;
} thimble_reciprocal;

/* exp >= 0 in Q0.31 as it enters the sum, in Q12.19. */
static inline int32_t thimble_exp_for_sum(int32_t exp)
{
    return (int32_t)(((uint32_t)exp + (1u << 11)) >> 12);
}

/* sum: Q12.19, at least 2^19 (the largest score's own exponential is 1). Newton-Raphson division as in gemmlowp. */
static inline thimble_reciprocal thimble_softmax_reciprocal(int32_t sum)
{
    const int32_t headroom = __builtin_clz((uint32_t)sum);
    const int32_t x = (int32_t)(((uint32_t)sum << headroom) - 0x80000000u);
    const int32_t half_denominator = (int32_t)(((int64_t)x + INT32_MAX + 1) / 2);
    int32_t y = 1515870810 + thimble_doubling_high_multiply(half_denominator, -1010580540); /* 48/17 - 32/17 h, Q2.29 */
    for (int32_t i = 0; i < 3; i++) {
        const int32_t error = (1 << 29) - thimble_doubling_high_multiply(half_denominator, y);
        const int64_t step = (int64_t)thimble_doubling_high_multiply(y, error) * 4;
        y += step > INT32_MAX ? INT32_MAX : step < INT32_MIN ? INT32_MIN : (int32_t)step;
    }
    const int64_t doubled = (int64_t)y * 2;
    const int32_t mantissa = doubled > INT32_MAX ? INT32_MAX : (int32_t)doubled;
    const int32_t shift = 12 - headroom + 23; /* at least 23; from 32 on all probabilities are 0 */
    return (thimble_reciprocal){mantissa, shift < 32 ? shift : 31, shift < 32 ? 1u << (shift - 1) : 0};
}

/* The probability of a score, 0..255 in steps of 1/256; exp >= 0. */
static inline int32_t thimble_probability(thimble_reciprocal reciprocal, int32_t exp)
{
    const uint64_t product = (uint64_t)(2u * (uint32_t)reciprocal.mantissa) * (uint32_t)exp;
    const uint32_t high = (uint32_t)(product >> 32) + ((uint32_t)product >> 31);
    const uint32_t p = (high + reciprocal.half) >> reciprocal.shift;
    return p > 255 ? 255 : (int32_t)p;
}

#endif

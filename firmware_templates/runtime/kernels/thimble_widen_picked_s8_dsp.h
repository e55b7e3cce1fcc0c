/* A body of thimble_widen_picked_s8.c, for cores with DSP instructions (Cortex-M4, M7, M33). */
#ifndef THIMBLE_WIDEN_PICKED_S8_DSP_H
#define THIMBLE_WIDEN_PICKED_S8_DSP_H

/* Four inputs as int16: the first and third, the second and fourth. */
static inline void widen_four(const int8_t *in, int32_t offset, int32_t *even, int32_t *odd)
{
    const int32_t both = (int32_t)((uint32_t)offset << 16 | ((uint32_t)offset & 0xffff));
    int32_t four;
    memcpy(&four, in, 4);
    __asm__("sxtab16 %0, %1, %2" : "=r"(*even) : "r"(both), "r"(four));
    __asm__("sxtab16 %0, %1, %2, ror #8" : "=r"(*odd) : "r"(both), "r"(four));
}

/* The lower half of one below the upper half of the other, and the upper halves of both. */
static inline int32_t below(int32_t upper, int32_t lower)
{
    int32_t both;
    __asm__("pkhbt %0, %1, %2" : "=r"(both) : "r"(lower), "r"(upper));
    return both;
}

static inline int32_t upper_halves(int32_t upper, int32_t lower)
{
    int32_t both;
    __asm__("pkhtb %0, %1, %2, asr #16" : "=r"(both) : "r"(upper), "r"(lower));
    return both;
}

#endif

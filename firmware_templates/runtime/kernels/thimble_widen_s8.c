#include <string.h>

#include "thimble_fixed_point.h"
#include "thimble_kernels.h"

#if defined(__ARM_FEATURE_DSP) && !defined(THIMBLE_PLAIN_C)

/* Four at a time, added to the sum; returns how many. */
static int32_t widen_words(const int8_t *in, int32_t offset, int16_t *out, int32_t count, int32_t *sum)
{
    const int16x2_t both = (int16x2_t)((uint32_t)offset << 16 | ((uint32_t)offset & 0xffff));
    const int16x2_t ones = 0x00010001;
    int16_t *const end = out + (count & ~3);
    for (; out != end; in += 4, out += 4) {
        int32_t four;
        memcpy(&four, in, 4);
        int16x2_t even, odd, first, second;
        __asm__("sxtab16 %0, %1, %2" : "=r"(even) : "r"(both), "r"(four));
        __asm__("sxtab16 %0, %1, %2, ror #8" : "=r"(odd) : "r"(both), "r"(four));
        __asm__("pkhbt %0, %1, %2, lsl #16" : "=r"(first) : "r"(even), "r"(odd));
        __asm__("pkhtb %0, %1, %2, asr #16" : "=r"(second) : "r"(odd), "r"(even));
        *sum = __smlad(even, ones, __smlad(odd, ones, *sum));
        memcpy(out, &first, 4);
        memcpy(out + 2, &second, 4);
    }
    return count & ~3;
}

#else

static int32_t widen_words(const int8_t *in, int32_t offset, int16_t *out, int32_t count, int32_t *sum)
{
    int32_t total = 0;
    for (const int8_t *const end = in + (count & ~3); in != end; in++, out++) {
        const int32_t value = *in + offset;
        *out = (int16_t)value;
        total += value;
    }
    *sum = total;
    return count & ~3;
}

#endif

static void widen_token(const int8_t *in, int32_t offset, int16_t *out, int32_t depth)
{
    int32_t sum = 0;
    int32_t i = widen_words(in, offset, out, depth, &sum);
    for (; i < ((depth + 3) & ~3); i++) {
        out[i] = (int16_t)(i < depth ? in[i] + offset : 0);
        sum += out[i];
    }
    sum *= 128;
    memcpy(out + i, &sum, 4);
}

void thimble_widen_s8(const int8_t *in, int32_t offset, int16_t *out, int32_t depth, int32_t tokens, int32_t stride)
{
    for (; tokens > 0; tokens--, in += stride, out += stride / 2) {
        widen_token(in, offset, out, depth);
    }
}

#include <string.h>

#include "thimble_kernels.h"

/* `count` values, a multiple of 4, as words that are `step` bytes apart, and their sum behind. */
#if defined(__ARM_FEATURE_DSP) && !defined(THIMBLE_PLAIN_C)

static void widen_token(const int8_t *in, int32_t offset, int8_t *out, int32_t count, int32_t step)
{
    const uint32_t offsets = (uint32_t)offset << 16 | ((uint32_t)offset & 0xffff);
    int32_t sum = 0, even, odd, second;
    __asm__ volatile("1:\n\t"
                     "ldr     %[even], [%[in]], #4\n\t"
                     "sxtab16 %[odd], %[offsets], %[even], ror #8\n\t"
                     "sxtab16 %[even], %[offsets], %[even]\n\t"
                     "smlad   %[sum], %[odd], %[ones], %[sum]\n\t"
                     "smlad   %[sum], %[even], %[ones], %[sum]\n\t"
                     "pkhtb   %[second], %[odd], %[even], asr #16\n\t"
                     "pkhbt   %[even], %[even], %[odd], lsl #16\n\t"
                     "str     %[second], [%[out], %[step]]\n\t"
                     "str     %[even], [%[out]]\n\t"
                     "add     %[out], %[out], %[step], lsl #1\n\t"
                     "cmp     %[in], %[end]\n\t"
                     "bne     1b\n\t"
                     "lsl     %[sum], %[sum], #7\n\t"
                     "str     %[sum], [%[out]]\n\t"
                     : [in] "+r"(in), [out] "+r"(out), [sum] "+r"(sum), [even] "=&r"(even), [odd] "=&r"(odd),
                       [second] "=&r"(second)
                     : [offsets] "r"(offsets), [ones] "r"(0x00010001), [step] "r"(step), [end] "r"(in + count)
                     : "cc", "memory");
}

#else

static void widen_token(const int8_t *in, int32_t offset, int8_t *out, int32_t count, int32_t step)
{
    int32_t sum = 0;
    for (int32_t i = 0; i < count; i += 2, out += step) {
        const int16_t word[2] = {(int16_t)(in[i] + offset), (int16_t)(in[i + 1] + offset)};
        memcpy(out, word, 4);
        sum += word[0] + word[1];
    }
    sum *= 128;
    memcpy(out, &sum, 4);
}

#endif

void thimble_widen_s8(const int8_t *in, int32_t offset, int16_t *out, int32_t depth, int32_t tokens)
{
    const int32_t count = THIMBLE_TOKEN_BYTES(depth);
    int8_t *to = (int8_t *)out;
    for (int32_t second = 0; tokens > 0; tokens--, in += count, second ^= 1) {
        widen_token(in, offset, to, count, tokens > 1 || second ? 8 : 4);
        to += second ? 4 * count + 4 : 4;
    }
}

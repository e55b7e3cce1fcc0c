#include "thimble_bodies.h"
#include "thimble_kernels.h"

#ifdef THIMBLE_DSP

/* Four values of `in` as two words, added to a sum. */
/* clang-format off */
#define WIDEN_FOUR(load, first, second, sum)                       \
    load                                                           \
    "sxtab16 r8, %[offsets], " first ", ror #8\n\t"                \
    "sxtab16 " first ", %[offsets], " first "\n\t"                 \
    "smlad   " sum ", r8, %[ones], " sum "\n\t"                    \
    "smlad   " sum ", " first ", %[ones], " sum "\n\t"             \
    "pkhtb   " second ", r8, " first ", asr #16\n\t"               \
    "pkhbt   " first ", " first ", r8, lsl #16\n\t"
/* clang-format on */

static THIMBLE_HOT(widen_one) void widen_one(const int8_t *in, uint32_t offsets, int16_t *out, int32_t count)
{
    int32_t sum = 0;
    /* clang-format off */
    __asm__ volatile("1:\n\t"
                     WIDEN_FOUR("ldr r3, [%[in]], #4\n\t", "r3", "r4", "%[sum]")
                     "strd    r3, r4, [%[out]], #8\n\t"
                     "cmp     %[in], %[end]\n\t"
                     "bne     1b\n\t"
                     "lsl     %[sum], %[sum], #7\n\t"
                     "str     %[sum], [%[out]]\n\t"
                     : [in] "+&r"(in), [out] "+&r"(out), [sum] "+&r"(sum)
                     : [offsets] "r"(offsets), [ones] "r"(0x00010001), [end] "r"(in + count)
                     : "r3", "r4", "r8", "cc", "memory");
    /* clang-format on */
}

/* Takes all registers but one: what is compiled around it must not want more. */
__attribute__((noinline,
               no_instrument_function)) static THIMBLE_HOT(widen_two) void widen_two(const int8_t *in, uint32_t offsets,
                                                                                     int16_t *out, int32_t count)
{
    int32_t sum = 0, sum2 = 0;
    /* clang-format off */
    __asm__ volatile("1:\n\t"
                     WIDEN_FOUR("ldr r4, [%[in], %[count]]\n\t", "r4", "r6", "%[sum2]")
                     WIDEN_FOUR("ldr r3, [%[in]], #4\n\t", "r3", "r5", "%[sum]")
                     "stmia   %[out]!, {r3-r6}\n\t"
                     "cmp     %[in], %[end]\n\t"
                     "bne     1b\n\t"
                     "lsl     %[sum], %[sum], #7\n\t"
                     "lsl     %[sum2], %[sum2], #7\n\t"
                     "strd    %[sum], %[sum2], [%[out]]\n\t"
                     : [in] "+&r"(in), [out] "+&r"(out), [sum] "+&r"(sum), [sum2] "+&r"(sum2)
                     : [offsets] "r"(offsets), [ones] "r"(0x00010001), [end] "r"(in + count), [count] "r"(count)
                     : "r3", "r4", "r5", "r6", "r8", "cc", "memory");
    /* clang-format on */
}

#else

/* A token's words, `step` halfwords apart, and behind them its sum. */
static THIMBLE_HOT(widen_token) void widen_token(const int8_t *in, int16_t offset, int16_t *out, int32_t count,
                                                 int32_t step)
{
    int32_t sum = 0;
    for (int32_t i = 0; i < count; i += 2, out += step) {
        out[0] = (int16_t)(in[i] + offset);
        out[1] = (int16_t)(in[i + 1] + offset);
        sum += out[0] + out[1];
    }
    sum *= 128;
    __builtin_memcpy(out, &sum, 4);
}

static THIMBLE_HOT(widen_one) void widen_one(const int8_t *in, uint32_t offsets, int16_t *out, int32_t count)
{
    widen_token(in, (int16_t)offsets, out, count, 2);
}

static THIMBLE_HOT(widen_two) void widen_two(const int8_t *in, uint32_t offsets, int16_t *out, int32_t count)
{
    widen_token(in, (int16_t)offsets, out, count, 4);
    widen_token(in + count, (int16_t)offsets, out + 2, count, 4);
}

#endif

void thimble_widen_s8(const int8_t *in, int32_t offset, int16_t *out, int32_t depth, int32_t tokens)
{
    const int32_t count = THIMBLE_TOKEN_BYTES(depth);
    const uint32_t offsets = (uint32_t)offset << 16 | ((uint32_t)offset & 0xffff); /* in both halfwords */
    for (; tokens > 1; tokens -= 2, in += 2 * count, out += THIMBLE_WIDE_BYTES(depth)) {
        widen_two(in, offsets, out, count);
    }
    if (tokens) {
        widen_one(in, offsets, out, count);
    }
}

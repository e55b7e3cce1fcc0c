/* A body of thimble_widen_s8.c, for cores with DSP instructions (Cortex-M4, M7, M33). */
#ifndef THIMBLE_WIDEN_S8_DSP_H
#define THIMBLE_WIDEN_S8_DSP_H

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

#endif

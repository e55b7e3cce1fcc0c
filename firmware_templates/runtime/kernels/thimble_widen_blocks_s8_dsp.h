/* A body of thimble_widen_blocks_s8.c, for cores with DSP instructions (Cortex-M4, M7, M33). */
#ifndef THIMBLE_WIDEN_BLOCKS_S8_DSP_H
#define THIMBLE_WIDEN_BLOCKS_S8_DSP_H

/* Four inputs, twice each, in `first` and `second`; `sum`, an instruction, begins or goes on with -256 times their sum
 * in r4. */
/* clang-format off */
#define FOUR(sum, first, second)                                       \
    "ldr     " first ", [%[in]], #4\n"                                  \
    "sxtab16 " second ", %[both], " first "\n"                          \
    "sxtab16 %[odd], %[both], " first ", ror #8\n" sum                  \
    "smlad   r4, %[odd], %[factors], r4\n"                              \
    "pkhbt   " first ", " second ", %[odd], lsl #16\n"                  \
    "pkhtb   " second ", %[odd], " second ", asr #16\n"                 \
    "sadd16  " first ", " first ", " first "\n"                         \
    "sadd16  " second ", " second ", " second "\n"

#define BEGIN "smuad   r4, r6, %[factors]\n"
#define GO_ON "smlad   r4, r10, %[factors], r4\n"

#define WIDEN(instructions)                                                                                \
    __asm__ volatile(instructions                                                                          \
                     : [in] "+&r"(in), [out] "+&r"(out), [odd] "=&r"(odd)                                    \
                     : [both] "r"(both), [factors] "r"(factors)                                            \
                     : "r4", "r5", "r6", "r8", "r10", "memory")
/* clang-format on */

/* Whole blocks, up to `end`. */
static inline THIMBLE_HOT(widen_blocks) void widen_blocks(const int8_t *in, const int8_t *end, int32_t offset,
                                                          int32_t *out, int32_t columns)
{
    const uint32_t both = (uint32_t)offset << 16 | ((uint32_t)offset & 0xffff), factors = 0xff00ff00;
    uint32_t odd;
    if (columns == 4) {
        while (in != end) {
            WIDEN(FOUR(BEGIN, "r5", "r6") "stmia   %[out]!, {r4, r5, r6}\n");
        }
    } else {
        while (in != end) {
            WIDEN(FOUR(BEGIN, "r5", "r6") FOUR(GO_ON, "r8", "r10") "stmia   %[out]!, {r4, r5, r6, r8, r10}\n");
        }
    }
}

#endif

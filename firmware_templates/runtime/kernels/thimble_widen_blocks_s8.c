#include "thimble_fixed_point.h"
#include "thimble_kernels.h"

#ifdef THIMBLE_DSP

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

#else

static inline THIMBLE_HOT(widen_blocks) void widen_blocks(const int8_t *in, const int8_t *end, int32_t offset,
                                                          int32_t *out, int32_t columns)
{
    for (; in != end; in += columns, out += 1 + columns / 2) {
        int16_t *const wide = (int16_t *)(void *)(out + 1);
        int32_t sum = 0;
        for (int32_t i = 0; i < columns; i++) {
            const int32_t twice = 2 * (in[i] + offset);
            wide[i] = (int16_t)twice;
            sum += twice;
        }
        out[0] = -128 * sum;
    }
}

#endif

void thimble_widen_blocks_s8(const int8_t *in, int32_t offset, int32_t *out, int32_t depth, int32_t columns)
{
    const int32_t left = depth & (columns - 1);
    widen_blocks(in, in + depth - left, offset, out, columns);
    if (left) {
        int8_t last[8];
        for (int32_t i = 0; i < columns; i++) {
            last[i] = (int8_t)(i < left ? in[depth - left + i] : -offset);
        }
        widen_blocks(last, last + columns, offset, out + depth / columns * (1 + columns / 2), columns);
    }
}

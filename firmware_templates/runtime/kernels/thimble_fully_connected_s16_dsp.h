/* A body of thimble_fully_connected_s16.c, for cores with DSP instructions (Cortex-M4, M7, M33). */
#ifndef THIMBLE_FULLY_CONNECTED_S16_DSP_H
#define THIMBLE_FULLY_CONNECTED_S16_DSP_H

/* Four columns of four rows: SMLALD sums 256 a + b over two columns in 64 bits, SXTB16 leaves b, SMLAD sums b alone. */
/* clang-format off */
#define FOUR_COLUMNS                           \
    "ldrd   %[x0], %[x1], [%[x]], #8\n"        \
    "ldmia  %[w]!, {r4, r5, r6, r8}\n"         \
    "smlald %[m0], %[h0], r4, %[x0]\n"         \
    "sxtb16 r4, r4\n"                          \
    "smlad  %[l0], r4, %[x0], %[l0]\n"         \
    "smlald %[m0], %[h0], r5, %[x1]\n"         \
    "sxtb16 r5, r5\n"                          \
    "smlad  %[l0], r5, %[x1], %[l0]\n"         \
    "smlald %[m1], %[h1], r6, %[x0]\n"         \
    "sxtb16 r6, r6\n"                          \
    "smlad  %[l1], r6, %[x0], %[l1]\n"         \
    "smlald %[m1], %[h1], r8, %[x1]\n"         \
    "sxtb16 r8, r8\n"                          \
    "smlad  %[l1], r8, %[x1], %[l1]\n"

#define SUM_COLUMNS(instructions)                                                                                      \
    __asm__ volatile(instructions                                                                                      \
                     : [m0] "+&r"(mixed0), [h0] "+&r"(high0), [l0] "+&r"(low0), [m1] "+&r"(mixed1), [h1] "+&r"(high1),      \
                       [l1] "+&r"(low1), [x] "+&r"(x), [w] "+&r"(weights), [x0] "=&r"(x0), [x1] "=&r"(x1)                 \
                     :                                                                                                 \
                     : "r4", "r5", "r6", "r8", "memory")
/* clang-format on */

/* (high:mixed - low) / 256, which fits 32 bits. */
static inline int32_t upper_row(uint32_t mixed, int32_t high, int32_t low)
{
    const int64_t sum = (int64_t)((uint64_t)(uint32_t)high << 32 | mixed) - low;
    return (int32_t)((uint32_t)sum >> 8 | (uint32_t)(sum >> 32) << 24);
}

__attribute__((always_inline)) static THIMBLE_HOT(sum_block) inline four_sums
    sum_block(const int16_t *weights, const int16_t *x, int32_t depth)
{
    uint32_t mixed0 = 0, mixed1 = 0;
    int32_t high0 = 0, high1 = 0, low0 = 0, low1 = 0, x0, x1;
    const int16_t *const end = x + depth;
    for (const int16_t *const whole = x + (depth & ~15); x != whole;) {
        SUM_COLUMNS(FOUR_COLUMNS FOUR_COLUMNS FOUR_COLUMNS FOUR_COLUMNS);
    }
    while (x != end) {
        SUM_COLUMNS(FOUR_COLUMNS);
    }
    return (four_sums){{upper_row(mixed0, high0, low0), low0, upper_row(mixed1, high1, low1), low1}};
}

#endif

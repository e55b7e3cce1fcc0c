/* A body of thimble_fully_connected_picked_s8.c, for cores with DSP instructions (Cortex-M4, M7, M33). */
#ifndef THIMBLE_FULLY_CONNECTED_PICKED_S8_DSP_H
#define THIMBLE_FULLY_CONNECTED_PICKED_S8_DSP_H

/* Two pairs, whose places begin at these bits. */
/* clang-format off */
#define WORD(weights, first, second)                       \
    "ubfx   %[pair], %[places], #" first ", #4\n"          \
    "ldr    %[pair], [%[x], %[pair], lsl #2]\n"            \
    "sxtb16 %[both], " weights "\n"                        \
    "smlad  %[sum], %[both], %[pair], %[sum]\n"            \
    "ubfx   %[pair], %[places], #" second ", #4\n"         \
    "add    %[x], %[step]\n"                               \
    "ldr    %[pair], [%[x], %[pair], lsl #2]\n"            \
    "sxtb16 %[both], " weights ", ror #8\n"                \
    "smlad  %[sum], %[both], %[pair], %[sum]\n"            \
    "add    %[x], %[step]\n"
/* clang-format on */

/* Adds a row's products over so many words to the sum; each pair's columns are `step` bytes of x behind the one before.
 * Returns the next row. */
static inline const uint32_t *add_row(const uint32_t *stream, const int32_t *x, int32_t words, int32_t step,
                                      int32_t *row_sum)
{
    int32_t sum = 0, both, pair;
    uint32_t places = 0;
    for (; words >= 4; words -= 4) {
        /* clang-format off */
        __asm__ volatile("ldr    %[places], [%[stream]], #4\n"
                         "ldmia  %[stream]!, {r4, r5, r6, r8}\n"
                         WORD("r4", "0", "4") WORD("r5", "8", "12") WORD("r6", "16", "20") WORD("r8", "24", "28")
                         : [stream] "+&r"(stream), [x] "+&r"(x), [sum] "+&r"(sum), [places] "=&r"(places), [both] "=&r"(both),
                           [pair] "=&r"(pair)
                         : [step] "r"(step)
                         : "r4", "r5", "r6", "r8", "memory");
        /* clang-format on */
    }
    if (words) {
        places = *stream++;
    }
    for (; words; words--, places >>= 8) {
        /* clang-format off */
        __asm__ volatile("ldr    r4, [%[stream]], #4\n" WORD("r4", "0", "4")
                         : [stream] "+&r"(stream), [x] "+&r"(x), [sum] "+&r"(sum), [both] "=&r"(both), [pair] "=&r"(pair)
                         : [step] "r"(step), [places] "r"(places)
                         : "r4", "memory");
        /* clang-format on */
    }
    *row_sum = sum;
    return stream;
}

#endif

/* A body of thimble_fully_connected_rows_s16.c, for cores with Thumb-2 instructions (Cortex-M3). */
#ifndef THIMBLE_FULLY_CONNECTED_ROWS_S16_THUMB2_H
#define THIMBLE_FULLY_CONNECTED_ROWS_S16_THUMB2_H

/* clang-format off */
#define COLUMN                        \
    "ldrsh   %[x0], [%[x]], #2\n"     \
    "ldrsb   %[w0], [%[first]], #1\n" \
    "mla     %[a], %[w0], %[x0], %[a]\n" \
    "ldrsb   %[w0], [%[second]], #1\n" \
    "mla     %[b], %[w0], %[x0], %[b]\n" \
    "ldrsb   %[w0], [%[third]], #1\n" \
    "mla     %[c], %[w0], %[x0], %[c]\n" \
    "ldrsb   %[w0], [%[fourth]], #1\n" \
    "mla     %[d], %[w0], %[x0], %[d]\n"

#define SUM_COLUMNS(instructions)                                                                                          \
    __asm__ volatile(instructions                                                                                          \
                     : [a] "+&r"(a), [b] "+&r"(b), [c] "+&r"(c), [d] "+&r"(d), [x] "+&r"(x), [first] "+&r"(first),               \
                       [second] "+&r"(second), [third] "+&r"(third), [fourth] "+&r"(fourth), [x0] "=&r"(x0), [w0] "=&r"(w0)   \
                     :                                                                                                     \
                     : "memory")
/* clang-format on */

/* Adds to the sums of four rows; not inlined, since the loop takes all registers. */
__attribute__((noinline)) static THIMBLE_HOT(add_rows) void add_rows(const int8_t *first, const int16_t *x,
                                                                     int32_t depth, int32_t sums[4])
{
    const int8_t *second = first + depth, *third = second + depth, *fourth = third + depth;
    int32_t a = sums[0], b = sums[1], c = sums[2], d = sums[3], x0, w0;
    const int16_t *const end = x + depth;
    for (const int16_t *const whole = x + (depth & ~3); x != whole;) {
        SUM_COLUMNS(COLUMN COLUMN COLUMN COLUMN);
    }
    while (x != end) {
        SUM_COLUMNS(COLUMN);
    }
    sums[0] = a;
    sums[1] = b;
    sums[2] = c;
    sums[3] = d;
}

#endif

/* Sums over weights that are packed in pairs.
 *
 * A block is four rows and four columns, eight halfwords 256 * a + (b + 128): first rows 0 (a) and 1 (b) at columns 0..3, then
 * rows 2 and 3. With m the sum of (256 a + b + 128) x and l that of (b + 128) x, both modulo 2^32:
 * sum a x = (m - l) >> 8 while it is less than 2^23 in size, and sum b x = l - 128 sum x. The compiler proves the first for
 * weights; for K and V it holds at any depth that a context has. */
#ifndef THIMBLE_PAIRS_H
#define THIMBLE_PAIRS_H

#include <stdint.h>

#if defined(__ARM_FEATURE_DSP) && !defined(THIMBLE_PLAIN_C)
#include <arm_acle.h>
#define THIMBLE_PAIRS_DSP 1
#endif

/* The sums of four rows. */
typedef struct {
    int32_t row[4];
} thimble_four_sums;

#ifdef THIMBLE_PAIRS_DSP

/* Four columns of four rows: SMLAD sums over two columns, UXTB16 leaves the low bytes. */
#define THIMBLE_FOUR_COLUMNS                  \
    "ldrd   %[x0], %[x1], [%[x]], #8\n"       \
    "ldmia  %[w]!, {r4, r5, r6, r8}\n"        \
    "smlad  %[m0], r4, %[x0], %[m0]\n"        \
    "uxtb16 r4, r4\n"                         \
    "smlad  %[l0], r4, %[x0], %[l0]\n"        \
    "smlad  %[m0], r5, %[x1], %[m0]\n"        \
    "uxtb16 r5, r5\n"                         \
    "smlad  %[l0], r5, %[x1], %[l0]\n"        \
    "smlad  %[m1], r6, %[x0], %[m1]\n"        \
    "uxtb16 r6, r6\n"                         \
    "smlad  %[l1], r6, %[x0], %[l1]\n"        \
    "smlad  %[m1], r8, %[x1], %[m1]\n"        \
    "uxtb16 r8, r8\n"                         \
    "smlad  %[l1], r8, %[x1], %[l1]\n"

#define THIMBLE_SUM_COLUMNS(instructions)                                                                              \
    __asm__ volatile(instructions                                                                                      \
                     : [m0] "+r"(mixed0), [l0] "+r"(low0), [m1] "+r"(mixed1), [l1] "+r"(low1), [x] "+r"(x),            \
                       [w] "+r"(block), [x0] "=&r"(x0), [x1] "=&r"(x1)                                                 \
                     :                                                                                                 \
                     : "r4", "r5", "r6", "r8", "memory")

/* The four rows' sums of w x over `depth` columns, a multiple of 4. excess: 128 times the sum of these x. */
__attribute__((always_inline)) static inline thimble_four_sums thimble_pairs_sum(const int16_t *block, const int16_t *x,
                                                                                 int32_t depth, int32_t excess)
{
    int32_t mixed0 = -excess, low0 = -excess, mixed1 = -excess, low1 = -excess, x0, x1;
    const int16_t *const end = x + depth;
    for (const int16_t *const whole = x + (depth & ~15); x != whole;) {
        THIMBLE_SUM_COLUMNS(THIMBLE_FOUR_COLUMNS THIMBLE_FOUR_COLUMNS THIMBLE_FOUR_COLUMNS THIMBLE_FOUR_COLUMNS);
    }
    while (x != end) {
        THIMBLE_SUM_COLUMNS(THIMBLE_FOUR_COLUMNS);
    }
    return (thimble_four_sums){{(int32_t)((uint32_t)mixed0 - (uint32_t)low0) >> 8, low0,
                                (int32_t)((uint32_t)mixed1 - (uint32_t)low1) >> 8, low1}};
}

#else

static inline thimble_four_sums thimble_pairs_sum(const int16_t *block, const int16_t *x, int32_t depth, int32_t excess)
{
    thimble_four_sums sums = {{0, -excess, 0, -excess}};
    for (int32_t column = 0; column < depth; column += 4, block += 8) {
        for (int32_t i = 0; i < 8; i++) {
            const int32_t low = block[i] & 0xff;
            const int32_t high = (block[i] - low) / 256;
            sums.row[i / 4 * 2] += high * x[column + i % 4];
            sums.row[i / 4 * 2 + 1] += low * x[column + i % 4];
        }
    }
    return sums;
}

#endif

/* Where the weight of row `row`, 0..3, and column `column` lies in the bytes of its blocks. */
static inline int32_t thimble_pairs_place(int32_t row, int32_t column)
{
    return column / 4 * 16 + row / 2 * 8 + column % 4 * 2 + (row % 2 == 0 ? 1 : 0);
}

/* Puts a weight there; the bytes are little-endian halfwords. */
static inline void thimble_pairs_put(int8_t *blocks, int32_t row, int32_t column, int8_t value)
{
    blocks[thimble_pairs_place(row, column)] = (int8_t)(row % 2 == 0 ? value : value ^ -128);
}

#endif

/* Sums over weights that are packed in pairs.
 *
 * A block is four rows and four columns, eight halfwords 256 * a + (b + 128): first rows 0 (a) and 1 (b) at columns
 * 0..3, then rows 2 and 3. With m the sum of (256 a + b + 128) x and l that of (b + 128) x, both modulo 2^32: sum a x =
 * (m - l) >> 8 while it is less than 2^23 in size, and sum b x = l - 128 sum x. The compiler proves the first for
 * weights; for K and V it holds at any depth that a context has. */
#ifndef THIMBLE_PAIRS_H
#define THIMBLE_PAIRS_H

#include <stdint.h>

#include "thimble_bodies.h"

/* The sums of four rows. */
typedef struct {
    int32_t row[4];
} thimble_four_sums;

/* The four rows' sums of w x over `depth` columns, a multiple of 4. excess: 128 times the sum of these x. */
static inline thimble_four_sums thimble_pairs_sum(const int16_t *block, const int16_t *x, int32_t depth, int32_t excess)
{
    int32_t a = 0, b = -excess, c = 0, d = -excess;
    for (const int16_t *const end = x + depth; x != end; block += 8, x += 4) {
#pragma GCC unroll 4
        for (int32_t i = 0; i < 4; i++) {
            a += (block[i] >> 8) * x[i];
            b += (block[i] & 0xff) * x[i];
            c += (block[4 + i] >> 8) * x[i];
            d += (block[4 + i] & 0xff) * x[i];
        }
    }
    return (thimble_four_sums){{a, b, c, d}};
}

/* Where the weight of row `row`, 0..3, and column `column` lies in the bytes of its blocks. */
static inline int32_t thimble_pairs_place(int32_t row, int32_t column)
{
    return (column & ~3) * 4 + (row & 2) * 4 + (column & 3) * 2 + (~row & 1);
}

/* Puts a weight there; the bytes are little-endian halfwords. */
static inline void thimble_pairs_put(int8_t *blocks, int32_t row, int32_t column, int8_t value)
{
    blocks[thimble_pairs_place(row, column)] = (int8_t)(row % 2 == 0 ? value : value ^ -128);
}

#endif

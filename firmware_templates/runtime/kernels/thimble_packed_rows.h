/* What the kernels of packed weights share: four rows at a time, whose sums they take apart and requantize.
 *
 * Of four rows a, b, c, d the kernels make three sums modulo 2^32: 256 A + B, 256 B + C and 256 C + D, where A is the
 * sum of a x. The first tells B modulo 2^8, with it the second tells C modulo 2^16, and with that the third D modulo
 * 2^24: all of D, as the compiler proves |D| < 2^23, and then C, B and A. */
#ifndef THIMBLE_PACKED_ROWS_H
#define THIMBLE_PACKED_ROWS_H

#include "thimble_fixed_point.h"
#include "thimble_kernels.h"

/* The sums of four rows. */
typedef struct {
    int32_t row[4];
} thimble_row_sums;

/* ab, bc and cd: 256 A + B, 256 B + C and 256 C + D, modulo 2^32. */
static inline thimble_row_sums thimble_take_apart(uint32_t ab, uint32_t bc, uint32_t cd)
{
    const uint32_t c = bc - (ab << 8);
    const int32_t d = (int32_t)((cd - (c << 8)) << 8) >> 8;
    const int32_t whole_c = (int32_t)(cd - (uint32_t)d) >> 8;
    const int32_t b = (int32_t)(bc - (uint32_t)whole_c) >> 8;
    return (thimble_row_sums){{(int32_t)(ab - (uint32_t)b) >> 8, b, whole_c, d}};
}

/* Words of constants for four rows. */
static inline int32_t thimble_row_constants(const thimble_fully_connected_packed_s8_params *p)
{
    return p->biased ? 9 : 5;
}

/* The sums of four rows become outputs. */
__attribute__((noinline, unused)) static THIMBLE_HOT(thimble_put_rows) void thimble_put_rows(
    const thimble_fully_connected_packed_s8_params *p, const int32_t *constants, const thimble_row_sums *sums,
    int8_t *out)
{
    const int32_t zero = 2 * p->out_zero_point + 1;
    int32_t twice[4] = {2 * sums->row[0], 2 * sums->row[1], 2 * sums->row[2], 2 * sums->row[3]};
    if (p->biased) {
        twice[0] += constants[0];
        twice[1] += constants[1];
        twice[2] += constants[2];
        twice[3] += constants[3];
        constants += 4;
    }
    const uint32_t shifts = (uint32_t)constants[4];
    const int8_t outputs[4] = {
        thimble_requantize_s8(twice[0], constants[0], (int32_t)(shifts & 0xff), zero),
        thimble_requantize_s8(twice[1], constants[1], (int32_t)(shifts >> 8 & 0xff), zero),
        thimble_requantize_s8(twice[2], constants[2], (int32_t)(shifts >> 16 & 0xff), zero),
        thimble_requantize_s8(twice[3], constants[3], (int32_t)(shifts >> 24), zero),
    };
    __builtin_memcpy(out, outputs, 4);
}

#endif

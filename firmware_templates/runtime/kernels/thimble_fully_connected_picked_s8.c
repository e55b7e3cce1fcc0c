/* Products with weights of which each row keeps one or two of every four columns.
 *
 * Two weights are a pair, and the input's form holds, for every pair of columns at which it may stand, both values in a
 * word. A row's words hold two pairs each: their first weights in bytes 0 and 1, their second in 2 and 3. Before every
 * four of them stands a word with four bits for each pair, the first in its lowest: which of those columns. */
#include "thimble_fixed_point.h"
#include "thimble_kernels.h"

#ifndef THIMBLE_DSP

/* Adds a row's products over so many words to the sum; each pair's columns are `step` bytes of x behind the one before.
 * Returns the next row. */
static inline const uint32_t *add_row(const uint32_t *stream, const int32_t *x, int32_t words, int32_t step,
                                      int32_t *row_sum)
{
    int32_t sum = 0;
    uint32_t places = 0;
    for (int32_t word = 0; word < words; word++, places >>= 8, x += step / 2) {
        if (word % 4 == 0) {
            places = *stream++;
        }
        const uint32_t weights = *stream++;
        const int32_t first = x[places & 15], second = x[step / 4 + (int32_t)(places >> 4 & 15)];
        sum += (int8_t)weights * (int16_t)first + (int8_t)(weights >> 16) * (first >> 16);
        sum += (int8_t)(weights >> 8) * (int16_t)second + (int8_t)(weights >> 24) * (second >> 16);
    }
    *row_sum = sum;
    return stream;
}

#else
#include "thimble_fully_connected_picked_s8_dsp.h"
#endif

void thimble_fully_connected_picked_s8(const thimble_fully_connected_picked_s8_params *p, const int32_t *x, int8_t *out)
{
    const int32_t zero = 2 * p->out_zero_point + 1;
    const uint32_t *stream = p->weights;
    const int32_t *constants = p->constants;
    for (int32_t left = p->rows; left > 0; left -= 4) {
        const int32_t rows = left < 4 ? left : 4, words = p->words, step = p->kept == 1 ? 64 : 24;
        int32_t sums[4];
        for (int32_t i = 0; i < rows; i++) {
            stream = add_row(stream, x, words, step, &sums[i]);
        }
        const int32_t *const bias = p->biased ? constants : 0;
        constants += bias ? 4 : 0;
        uint32_t shifts = (uint32_t)constants[4];
        for (int32_t i = 0; i < rows; i++, shifts >>= 8) {
            const int32_t twice = 2 * sums[i] + (bias ? bias[i] : 0);
            *out++ = thimble_requantize_s8(twice, constants[i], (int32_t)(shifts & 0xff), zero);
        }
        constants += 5;
    }
}

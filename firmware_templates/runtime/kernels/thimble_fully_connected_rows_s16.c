/* Products of int16 inputs with plain rows of int8 weights, for cores that have no use for packed pairs: Helium widens
 * eight weights while it loads them, and Cortex-M3 loads single bytes. */
#include "thimble_fixed_point_s16.h"
#include "thimble_helium.h"
#include "thimble_kernels_s16.h"

/* Whole blocks of four rows. */
typedef struct {
    int32_t bias_step; /* bytes from block to block, 16 or 0 */
    const int16_t *x;
    const int32_t *multiplier;
    int16_t *end; /* of out */
    int16_t *out;
    int32_t depth;
    const int32_t *bias;
} blocks;

#ifndef THIMBLE_HELIUM

#if !(defined(THIMBLE_THUMB2) && defined(THIMBLE_ALL_REGISTERS))

/* Adds to the sums of four rows. */
static THIMBLE_HOT(add_rows) void add_rows(const int8_t *weights, const int16_t *x, int32_t depth, int32_t sums[4])
{
    for (int32_t row = 0; row < 4; row++) {
        for (int32_t column = 0; column < depth; column++) {
            sums[row] += *weights++ * x[column];
        }
    }
}

#else
#include "thimble_fully_connected_rows_s16_thumb2.h"
#endif

static THIMBLE_HOT(multiply) void multiply(const blocks *p, const int8_t *weights)
{
    const int32_t *bias = p->bias, *multiplier = p->multiplier;
    for (int16_t *out = p->out; out != p->end;
         out += 4, weights += 4 * p->depth, bias += p->bias_step / 4, multiplier += 4) {
        int32_t sums[4] = {bias[0], bias[1], bias[2], bias[3]};
        add_rows(weights, p->x, p->depth, sums);
        for (int32_t row = 0; row < 4; row++) {
            out[row] = thimble_saturate_s16(thimble_high_word(sums[row], multiplier[row]));
        }
    }
}

#else
#include "thimble_fully_connected_rows_s16_mve.h"
#endif

void thimble_fully_connected_rows_s16(const thimble_fully_connected_rows_s16_params *p, const int16_t *x, int16_t *out)
{
    static const int32_t no_bias[4] = {0, 0, 0, 0};
    const int32_t whole = p->rows & ~3;
    int16_t last[4];
    blocks b = {p->bias ? 16 : 0, x, p->multiplier, out + whole, out, p->depth, p->bias ? p->bias : no_bias};
    if (whole) {
        multiply(&b, p->weights);
    }
    if (whole != p->rows) {
        b.multiplier += whole;
        b.bias += p->bias ? whole : 0;
        b.out = last;
        b.end = last + 4;
        multiply(&b, p->weights + whole * p->depth);
        for (int32_t row = whole; row < p->rows; row++) {
            out[row] = last[row - whole];
        }
    }
    thimble_limit_s16(out, p->rows, p->out_min, p->out_max);
}

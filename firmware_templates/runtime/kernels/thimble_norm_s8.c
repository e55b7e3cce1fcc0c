#include "thimble_elementwise.h"
#include "thimble_helium.h"

#ifndef THIMBLE_HELIUM

#ifndef THIMBLE_DSP

/* The sum of table[x]. */
static THIMBLE_HOT(sum_of) int32_t sum_of(const int8_t *table, const int8_t *x, int32_t columns)
{
    int32_t sum = 0;
    for (int32_t i = 0; i < columns; i++) {
        sum += table[x[i]];
    }
    return sum;
}

/* out = x * factor + base, scaled. */
static THIMBLE_HOT(scale) void scale(const thimble_product_scale *s, const int8_t *x, int32_t factor, int32_t base,
                                     int8_t *out, int32_t columns)
{
    for (int32_t i = 0; i < columns; i++) {
        out[i] = thimble_scale_product(s, x[i] * factor + base);
    }
}

#else
#include "thimble_norm_s8_dsp.h"
#endif

static THIMBLE_HOT(norm_token) void norm_token(const thimble_norm_s8_params *p, const int8_t *x, int8_t *out)
{
    const int32_t sum = p->sum_start + sum_of(p->square + 128, x, p->columns);
    const int32_t mean = thimble_scale(p->mean, sum) + p->mean_zero_point;
    const int32_t factor = 2 * (p->inverse_root[thimble_saturate_s8(mean) + 128] + p->root_offset);
    scale(&p->out, x, factor, p->x_offset * factor, out, p->columns);
}

#else
#include "thimble_norm_s8_mve.h"
#endif

void thimble_norm_s8(const thimble_norm_s8_params *p, const int8_t *x, int8_t *out, int32_t tokens)
{
    for (; tokens > 0; tokens--, x += p->columns, out += p->columns) {
        norm_token(p, x, out);
    }
}

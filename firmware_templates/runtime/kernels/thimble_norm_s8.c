#include "thimble_elementwise.h"

void thimble_norm_s8(const thimble_norm_s8_params *p, const int8_t *x, int8_t *out)
{
    const int8_t *const square = p->square + 128;
    int32_t sum = -p->square_zero_point * p->columns;
    for (int32_t i = 0; i < p->columns; i++) {
        sum += square[x[i]];
    }
    const int32_t mean = thimble_multiply(sum, p->mean_multiplier, p->mean_shift) + p->mean_zero_point;
    const int32_t factor = 2 * (p->inverse_root[thimble_clamp(mean, -128, 127) + 128] + p->root_offset);
    const int32_t base = p->x_offset * factor;
    const thimble_product_scale scale = p->out;
    for (int32_t i = 0; i < p->columns; i++) {
        out[i] = thimble_scale_product(&scale, x[i] * factor + base);
    }
}

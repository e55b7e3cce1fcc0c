#include "thimble_fixed_point.h"
#include "thimble_kernels.h"

void thimble_fully_connected_rows_s8(const thimble_fully_connected_rows_s8_params *p, const int8_t *x, int8_t *out,
                                     int32_t tokens, int32_t stride)
{
    for (; tokens > 0; tokens--, x += stride, out += stride) {
        const int8_t *weights = p->weights;
        for (int32_t row = 0; row < p->rows; row++, weights += p->depth) {
            int32_t sum = p->bias[row];
            for (int32_t column = 0; column < p->depth; column++) {
                sum += weights[column] * x[column];
            }
            const int32_t scaled = thimble_multiply(sum, p->multiplier[row], p->shift[row]) + p->out_zero_point;
            out[row] = (int8_t)thimble_clamp(scaled, p->out_min, p->out_max);
        }
    }
}

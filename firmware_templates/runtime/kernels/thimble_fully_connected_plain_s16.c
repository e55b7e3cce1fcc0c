#include "thimble_fixed_point_s16.h"
#include "thimble_kernels_s16.h"

void thimble_fully_connected_plain_s16(const thimble_fully_connected_plain_s16_params *p, const int16_t *x,
                                       int16_t *out)
{
    const int8_t *weights = p->weights;
    for (int32_t row = 0; row < p->rows; row++, weights += p->depth) {
        int64_t sum = p->bias ? p->bias[row] : 0;
        for (int32_t column = 0; column < p->depth; column++) {
            sum += weights[column] * x[column];
        }
        const int32_t scaled = p->narrow ? thimble_multiply((int32_t)sum, p->multiplier[row], p->shift[row])
                                         : thimble_requantize_s16(sum, p->multiplier[row], p->shift[row]);
        out[row] = (int16_t)thimble_clamp(scaled, p->out_min, p->out_max);
    }
}

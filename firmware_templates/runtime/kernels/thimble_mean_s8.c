#include "thimble_fixed_point.h"
#include "thimble_kernels.h"

void thimble_mean_s8(const thimble_mean_s8_params *p, const int8_t *in, int8_t *out, int32_t rows, int32_t columns)
{
    for (int32_t row = 0; row < rows; row++) {
        int32_t sum = -p->in_zero_point * columns;
        for (int32_t column = 0; column < columns; column++) {
            sum += *in++;
        }
        const int32_t scaled = thimble_multiply(sum, p->multiplier, p->shift) + p->out_zero_point;
        *out++ = (int8_t)thimble_clamp(scaled, -128, 127);
    }
}

#include "thimble_fixed_point_s16.h"
#include "thimble_kernels_s16.h"

void thimble_leaky_relu_s16(const thimble_leaky_relu_s16_params *p, thimble_operand_s16 in, int16_t *out,
                            int32_t out_stride, int32_t rows, int32_t columns)
{
    for (int32_t row = 0; row < rows; row++, in.data += in.row_stride, out += out_stride) {
        const int16_t *x = in.data;
        for (int32_t column = 0; column < columns; column++, x += in.step) {
            const int32_t scaled = *x < 0 ? thimble_multiply(*x, p->slope_multiplier, p->slope_shift)
                                          : thimble_multiply(*x, p->multiplier, p->shift);
            out[column] = (int16_t)thimble_clamp(scaled, INT16_MIN, INT16_MAX);
        }
    }
}

#include "thimble_fixed_point_s16.h"
#include "thimble_kernels_s16.h"

void thimble_squared_difference_s16(const thimble_squared_difference_s16_params *p, thimble_operand_s16 a,
                                    thimble_operand_s16 b, int16_t *out, int32_t out_stride, int32_t rows,
                                    int32_t columns)
{
    for (int32_t row = 0; row < rows; row++, a.data += a.row_stride, b.data += b.row_stride, out += out_stride) {
        const int16_t *x = a.data, *y = b.data;
        for (int32_t column = 0; column < columns; column++, x += a.step, y += b.step) {
            const int32_t left = thimble_multiply(*x, p->a_multiplier, p->a_shift);
            const int32_t right = thimble_multiply(*y, p->b_multiplier, p->b_shift);
            const int32_t square = (left - right) * (left - right);
            out[column] =
                (int16_t)thimble_clamp(thimble_multiply(square, p->out_multiplier, p->out_shift), 0, INT16_MAX);
        }
    }
}

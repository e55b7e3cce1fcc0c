#include "thimble_fixed_point.h"
#include "thimble_kernels.h"

void thimble_squared_difference_s8(const thimble_squared_difference_s8_params *p, thimble_operand a, thimble_operand b,
                                   int8_t *out, int32_t out_stride, int32_t rows, int32_t columns)
{
    for (int32_t row = 0; row < rows; row++, a.data += a.row_stride, b.data += b.row_stride, out += out_stride) {
        const int8_t *x = a.data, *y = b.data;
        for (int32_t column = 0; column < columns; column++, x += a.step, y += b.step) {
            const int32_t left = thimble_multiply((*x + p->a_offset) * 128, p->a_multiplier, p->a_shift);
            const int32_t right = thimble_multiply((*y + p->b_offset) * 128, p->b_multiplier, p->b_shift);
            const int32_t square = (left - right) * (left - right);
            out[column] =
                thimble_saturate_s8(thimble_multiply(square, p->out_multiplier, p->out_shift) + p->out_zero_point);
        }
    }
}

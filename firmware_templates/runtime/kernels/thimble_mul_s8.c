#include "thimble_fixed_point.h"
#include "thimble_kernels.h"

void thimble_mul_s8(const thimble_mul_s8_params *p, thimble_operand a, thimble_operand b, int8_t *out, int32_t out_stride,
                    int32_t rows, int32_t columns)
{
    const thimble_scaler scale = thimble_prepare(p->out_multiplier, p->out_shift);
    const int32_t a_offset = p->a_offset, b_offset = p->b_offset, zero_point = p->out_zero_point;
    const int32_t low = p->out_min, high = p->out_max;
    for (int32_t row = 0; row < rows; row++) {
        const int8_t *x = a.data + row * a.row_stride;
        const int8_t *y = b.data + row * b.row_stride;
        int8_t *z = out + row * out_stride;
        for (int32_t column = 0; column < columns; column++, x += a.step, y += b.step) {
            const int32_t product = thimble_scale(scale, (*x + a_offset) * (*y + b_offset)) + zero_point;
            *z++ = (int8_t)thimble_clamp(product, low, high);
        }
    }
}

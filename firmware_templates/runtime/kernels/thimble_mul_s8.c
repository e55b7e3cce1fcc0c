#include "thimble_fixed_point.h"
#include "thimble_kernels.h"

void thimble_mul_s8(const thimble_mul_s8_params *p, thimble_operand a, thimble_operand b, int8_t *out, int32_t out_stride,
                    int32_t rows, int32_t columns)
{
    for (int32_t row = 0; row < rows; row++) {
        const int8_t *x = a.data + row * a.row_stride;
        const int8_t *y = b.data + row * b.row_stride;
        int8_t *z = out + row * out_stride;
        for (int32_t column = 0; column < columns; column++, x += a.step, y += b.step) {
            const int32_t product = (*x + p->a_offset) * (*y + p->b_offset);
            const int32_t scaled = thimble_multiply(product, p->out_multiplier, p->out_shift) + p->out_zero_point;
            *z++ = (int8_t)thimble_clamp(scaled, p->out_min, p->out_max);
        }
    }
}

#include "thimble_fixed_point.h"
#include "thimble_kernels.h"

#define LEFT_SHIFT 20

void thimble_add_s8(const thimble_add_s8_params *p, thimble_operand a, thimble_operand b, int8_t *out, int32_t out_stride,
                    int32_t rows, int32_t columns)
{
    const thimble_scaler a_scale = thimble_prepare(p->a_multiplier, p->a_shift);
    const thimble_scaler b_scale = thimble_prepare(p->b_multiplier, p->b_shift);
    const thimble_scaler out_scale = thimble_prepare(p->out_multiplier, p->out_shift);
    const int32_t a_offset = p->a_offset * (1 << LEFT_SHIFT), b_offset = p->b_offset * (1 << LEFT_SHIFT);
    const int32_t b_sign = p->b_sign, zero_point = p->out_zero_point;
    for (int32_t row = 0; row < rows; row++) {
        const int8_t *x = a.data + row * a.row_stride;
        const int8_t *y = b.data + row * b.row_stride;
        int8_t *z = out + row * out_stride;
        for (int32_t column = 0; column < columns; column++, x += a.step, y += b.step) {
            const int32_t left = thimble_scale(a_scale, *x * (1 << LEFT_SHIFT) + a_offset);
            const int32_t right = thimble_scale(b_scale, *y * (1 << LEFT_SHIFT) + b_offset);
            z[column] = thimble_saturate_s8(thimble_scale(out_scale, left + b_sign * right) + zero_point);
        }
        thimble_limit_s8(z, columns, p->out_min, p->out_max);
    }
}

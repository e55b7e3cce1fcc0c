#include "thimble_fixed_point_s16.h"
#include "thimble_kernels_s16.h"

void thimble_add_s16(const thimble_add_s16_params *p, thimble_operand_s16 a, thimble_operand_s16 b, int16_t *out,
                     int32_t out_stride, int32_t rows, int32_t columns)
{
    const thimble_scaler a_scale = thimble_prepare(p->a_multiplier, p->a_shift);
    const thimble_scaler b_scale = thimble_prepare(p->b_multiplier, p->b_shift);
    const thimble_scaler out_scale = thimble_prepare(p->out_multiplier, p->out_shift);
    for (int32_t row = 0; row < rows; row++, a.data += a.row_stride, b.data += b.row_stride, out += out_stride) {
        const int16_t *x = a.data, *y = b.data;
        for (int32_t column = 0; column < columns; column++, x += a.step, y += b.step) {
            const int32_t left = thimble_scale_doubled(a_scale, *x * 65536); /* twice the value shifted left by 15 */
            const int32_t right = thimble_scale_doubled(b_scale, *y * 65536);
            const int32_t sum = p->b_sign > 0 ? left + right : left - right;
            out[column] = (int16_t)thimble_clamp(thimble_scale(out_scale, sum), p->out_min, p->out_max);
        }
    }
}

#include "thimble_fixed_point_s16.h"
#include "thimble_kernels_s16.h"

void thimble_add_s16(const thimble_add_s16_params *p, thimble_operand_s16 x, thimble_operand_s16 y, int16_t *out,
                     int32_t out_stride, int32_t rows, int32_t columns)
{
    const int32_t x_factor = p->x_factor, y_factor = p->y_factor, y_multiplier = p->y_multiplier, y_right = p->y_right;
    const int32_t out_multiplier = p->out_multiplier, out_right = p->out_right;
    for (int32_t row = 0; row < rows; row++, x.data += x.row_stride, y.data += y.row_stride, out += out_stride) {
        const int16_t *left = x.data, *right = y.data;
        for (int32_t column = 0; column < columns; column++, left += x.step, right += y.step) {
            const int32_t scaled =
                thimble_scale_down(*right * 65536, y_multiplier, y_right); /* twice y, shifted by 15 */
            const int32_t sum = *left * x_factor + scaled * y_factor;
            out[column] =
                thimble_saturate_s16(thimble_scale_down((int32_t)((uint32_t)sum << 1), out_multiplier, out_right));
        }
        thimble_limit_s16(out, columns, p->out_min, p->out_max);
    }
}

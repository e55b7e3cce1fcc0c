#include "thimble_fixed_point_s16.h"
#include "thimble_kernels_s16.h"

/* z = x * factor for one row, saturated. */
static THIMBLE_HOT(scale_row) void scale_row(thimble_scaler scale, const int16_t *x, int32_t factor, int16_t *z,
                                             int32_t columns)
{
    for (int32_t column = 0; column < columns; column++) {
        z[column] = thimble_saturate_s16(thimble_scale_product(scale, factor, x[column]));
    }
}

/* z = x * y for one row, saturated. */
static THIMBLE_HOT(multiply_row) void multiply_row(thimble_scaler scale, const int16_t *x, const int16_t *y, int16_t *z,
                                                   int32_t columns)
{
    for (int32_t column = 0; column < columns; column++) {
        z[column] = thimble_saturate_s16(thimble_scale_product(scale, x[column], y[column]));
    }
}

void thimble_mul_s16(const thimble_mul_s16_params *p, thimble_operand_s16 a, thimble_operand_s16 b, int16_t *out,
                     int32_t out_stride, int32_t rows, int32_t columns)
{
    const thimble_scaler scale = thimble_prepare(p->out_multiplier, p->out_shift);
    for (int32_t row = 0; row < rows; row++, a.data += a.row_stride, b.data += b.row_stride, out += out_stride) {
        if (a.step == 0) {
            scale_row(scale, b.data, *a.data, out, b.step == 0 ? 1 : columns);
        } else if (b.step == 0) {
            scale_row(scale, a.data, *b.data, out, columns);
        } else {
            multiply_row(scale, a.data, b.data, out, columns);
        }
        thimble_limit_s16(out, columns, p->out_min, p->out_max);
    }
}

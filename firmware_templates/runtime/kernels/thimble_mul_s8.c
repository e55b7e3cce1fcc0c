#include "thimble_fixed_point.h"
#include "thimble_helium.h"
#include "thimble_kernels.h"

#ifdef THIMBLE_HELIUM
#include "thimble_mul_s8_mve.h"
#endif

/* z = x * factor for one row. */
static THIMBLE_HOT(scale_row) void scale_row(thimble_scaler scale, int32_t zero_point, const int8_t *x,
                                             int32_t x_offset, int32_t factor, int8_t *z, int32_t columns)
{
    for (int32_t column = 0; column < columns; column++) {
        z[column] = thimble_saturate_s8(thimble_scale(scale, (x[column] + x_offset) * factor) + zero_point);
    }
}

/* z = x * y for one row. */
static THIMBLE_HOT(multiply_row) void multiply_row(thimble_scaler scale, int32_t zero_point, const int8_t *x,
                                                   int32_t x_offset, const int8_t *y, int32_t y_offset, int8_t *z,
                                                   int32_t columns)
{
    for (int32_t column = 0; column < columns; column++) {
        const int32_t product = (x[column] + x_offset) * (y[column] + y_offset);
        z[column] = thimble_saturate_s8(thimble_scale(scale, product) + zero_point);
    }
}

void thimble_mul_s8(const thimble_mul_s8_params *p, thimble_operand a, thimble_operand b, int8_t *out,
                    int32_t out_stride, int32_t rows, int32_t columns)
{
    const thimble_scaler scale = thimble_prepare(p->out_multiplier, p->out_shift);
    for (int32_t row = 0; row < rows; row++, a.data += a.row_stride, b.data += b.row_stride, out += out_stride) {
#ifdef THIMBLE_HELIUM
        if (p->out_shift < 0) {
            multiply_fast(p, a, b, out, a.step == 0 && b.step == 0 ? 1 : columns);
            thimble_limit_s8(out, columns, p->out_min, p->out_max);
            continue;
        }
#endif
        if (a.step == 0) {
            scale_row(scale, p->out_zero_point, b.data, p->b_offset, *a.data + p->a_offset, out,
                      b.step == 0 ? 1 : columns);
        } else if (b.step == 0) {
            scale_row(scale, p->out_zero_point, a.data, p->a_offset, *b.data + p->b_offset, out, columns);
        } else {
            multiply_row(scale, p->out_zero_point, a.data, p->a_offset, b.data, p->b_offset, out, columns);
        }
        thimble_limit_s8(out, columns, p->out_min, p->out_max);
    }
}

#include "thimble_fixed_point.h"
#include "thimble_helium.h"
#include "thimble_kernels.h"

#ifdef THIMBLE_HELIUM

/* One row, for a right shift. */
static THIMBLE_HOT(multiply_fast) void multiply_fast(const thimble_mul_s8_params *p, thimble_operand a,
                                                     thimble_operand b, int8_t *out, int32_t columns)
{
    const thimble_product_scale scale = {p->out_multiplier, -p->out_shift - 1, 2 * p->out_zero_point + 1};
    int8_t repeated_a[16], repeated_b[16];
    thimble_row from_a = thimble_row_of(a, repeated_a), from_b = thimble_row_of(b, repeated_b);
    const int32_t a_offset = p->a_offset, b_offset = p->b_offset;
    for (int32_t left = columns; left > 0;
         left -= 16, from_a.data += from_a.step, from_b.data += from_b.step, out += 16) {
        const thimble_halves x = thimble_halves_of(thimble_load_16(from_a.data, left), a_offset);
        const thimble_halves y = thimble_halves_of(thimble_load_16(from_b.data, left), b_offset);
        thimble_store_16(out, thimble_requantize_16(thimble_products(x, y), &scale), left);
    }
}

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

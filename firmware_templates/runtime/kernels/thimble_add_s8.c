#include "thimble_elementwise.h"
#include "thimble_helium.h"

#ifndef THIMBLE_HELIUM

static THIMBLE_HOT(add_row) void add_row(const thimble_sum_scale *scale, const int8_t *x, int32_t x_step,
                                         const int8_t *y, int32_t y_step, int8_t *out, int32_t columns)
{
    for (const int8_t *const end = out + columns; out != end; x += x_step, y += y_step) {
        *out++ = thimble_scale_sum(scale, *x, *y);
    }
}

void thimble_add_s8(const thimble_add_s8_params *p, thimble_operand x, thimble_operand y, int8_t *out,
                    int32_t out_stride, int32_t rows, int32_t columns)
{
    for (int32_t row = 0; row < rows; row++, x.data += x.row_stride, y.data += y.row_stride, out += out_stride) {
        add_row(&p->scale, x.data, x.step, y.data, y.step, out, columns);
        thimble_limit_s8(out, columns, p->out_min, p->out_max);
    }
}

#else
#include "thimble_add_s8_mve.h"
#endif

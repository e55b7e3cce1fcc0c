/* A body of thimble_add_s8.c, for cores with Helium (Cortex-M55). */
#ifndef THIMBLE_ADD_S8_MVE_H
#define THIMBLE_ADD_S8_MVE_H

/* Eight sums, but for the zero point. */
__attribute__((always_inline)) static THIMBLE_HOT(add_8) inline int16x8_t
    add_8(const thimble_sum_scale *s, int16x8_t x, int16x8_t y)
{
    const int32_t right = s->out.right_shift_less_one + 1;
    const int32x4_t even = thimble_scale_4(thimble_sum_4(s, vmovlbq_s16(x), vmovlbq_s16(y)), s->out.multiplier, right);
    return thimble_narrow_8(
        even, thimble_scale_4(thimble_sum_4(s, vmovltq_s16(x), vmovltq_s16(y)), s->out.multiplier, right));
}

void thimble_add_s8(const thimble_add_s8_params *p, thimble_operand x, thimble_operand y, int8_t *out,
                    int32_t out_stride, int32_t rows, int32_t columns)
{
    const thimble_sum_scale scale = p->scale;
    const int32_t zero_point = scale.out.twice_zero_point_plus_one >> 1;
    int8_t repeated_x[16], repeated_y[16];
    for (int32_t row = 0; row < rows; row++, x.data += x.row_stride, y.data += y.row_stride, out += out_stride) {
        thimble_row from_x = thimble_row_of(x, repeated_x), from_y = thimble_row_of(y, repeated_y);
        int8_t *to = out;
        for (int32_t left = columns; left > 0;
             left -= 16, from_x.data += from_x.step, from_y.data += from_y.step, to += 16) {
            const int8x16_t a = thimble_load_16(from_x.data, left), b = thimble_load_16(from_y.data, left);
            const int16x8_t even = add_8(&scale, vmovlbq_s8(a), vmovlbq_s8(b));
            const int16x8_t odd = add_8(&scale, vmovltq_s8(a), vmovltq_s8(b));
            thimble_store_16(to, thimble_join_16(even, odd, zero_point), left);
        }
        thimble_limit_s8(out, columns, p->out_min, p->out_max);
    }
}

#endif

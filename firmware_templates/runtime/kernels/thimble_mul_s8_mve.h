/* A body of thimble_mul_s8.c, for cores with Helium (Cortex-M55). */
#ifndef THIMBLE_MUL_S8_MVE_H
#define THIMBLE_MUL_S8_MVE_H

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

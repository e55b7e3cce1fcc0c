/* A body of thimble_norm_s8.c, for cores with Helium (Cortex-M55). */
#ifndef THIMBLE_NORM_S8_MVE_H
#define THIMBLE_NORM_S8_MVE_H

static THIMBLE_HOT(norm_token) void norm_token(const thimble_norm_s8_params *p, const int8_t *x, int8_t *out)
{
    const int8_t *const square = p->square, *values = x;
    int32_t sum = p->sum_start, left = p->columns;
    for (; left >= 16; left -= 16, values += 16) {
        sum = vaddvaq_s8(sum, thimble_look_up_16(square, vldrbq_s8(values)));
    }
    for (; left > 0; left--) {
        sum += square[*values++ + 128];
    }
    const int32_t mean = thimble_scale(p->mean, sum) + p->mean_zero_point;
    const int32_t factor = p->inverse_root[thimble_clamp(mean, -128, 127) + 128] + p->root_offset;
    const thimble_halves factors = {vdupq_n_s16((int16_t)factor), vdupq_n_s16((int16_t)factor)};
    const thimble_product_scale scale = p->out;
    const int32_t offset = p->x_offset;
    for (left = p->columns; left > 0; left -= 16, x += 16, out += 16) {
        const thimble_quarters products =
            thimble_products(thimble_halves_of(thimble_load_16(x, left), offset), factors);
        thimble_store_16(out, thimble_requantize_16(products, &scale), left);
    }
}

#endif

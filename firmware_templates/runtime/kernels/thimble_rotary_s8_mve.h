/* A body of thimble_rotary_s8.c, for cores with Helium (Cortex-M55). */
#ifndef THIMBLE_ROTARY_S8_MVE_H
#define THIMBLE_ROTARY_S8_MVE_H

static THIMBLE_HOT(turn_token) void turn_token(const thimble_rotary_s8_params *p, const int8_t *x,
                                               const int8_t *rotation, int8_t *out)
{
    const thimble_product_scale scale = p->out;
    const int32_t half = p->half, offset = p->offset, head_dim = 2 * half;
    for (int32_t i = 0, left = p->pairs; left > 0; i += 4, left -= 4, rotation += 16) {
        const column first = column_of(rotation, left, p->rotation_offset);
        const column second = column_of(rotation + 1, left, p->rotation_offset);
        for (int32_t head = 0, at = i; head < p->heads; head++, at += head_dim) {
            const int32x4_t a = vaddq_n_s32(thimble_load_4(x + at, left), offset);
            const int32x4_t b = vaddq_n_s32(thimble_load_4(x + at + half, left), offset);
            thimble_store_some_of_4(out + at, scaled(&scale, times(a, b, first)), left);
            thimble_store_some_of_4(out + at + half, scaled(&scale, times(a, b, second)), left);
        }
    }
}

#endif

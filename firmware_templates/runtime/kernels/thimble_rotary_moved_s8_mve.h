/* A body of thimble_rotary_moved_s8.c, for cores with Helium (Cortex-M55). */
#ifndef THIMBLE_ROTARY_MOVED_S8_MVE_H
#define THIMBLE_ROTARY_MOVED_S8_MVE_H

static THIMBLE_HOT(move_token) void move_token(const thimble_rotary_s8_params *p, const int8_t *x,
                                               const int8_t *rotation, const int8_t *means, const int8_t *drift,
                                               int8_t *out)
{
    const thimble_product_scale scale = p->out;
    const int32_t half = p->half, offset = p->offset, plus = p->rotation_offset, head_dim = 2 * half;
    for (int32_t i = 0, left = half - p->pairs; left > 0; i += 4, left -= 4, rotation += 16, drift += 16) {
        const column first = column_of(rotation, left, plus), second = column_of(rotation + 1, left, plus);
        const column more_first = column_of(drift, left, plus), more_second = column_of(drift + 1, left, plus);
        for (int32_t head = 0, at = i; head < p->heads; head++, at += head_dim) {
            const int32x4_t a = vaddq_n_s32(thimble_load_4(x + at, left), offset);
            const int32x4_t b = vaddq_n_s32(thimble_load_4(x + at + half, left), offset);
            const int32x4_t c = vaddq_n_s32(thimble_load_4(means + at, left), offset);
            const int32x4_t d = vaddq_n_s32(thimble_load_4(means + at + half, left), offset);
            const int32x4_t one = vaddq_s32(times(a, b, first), times(c, d, more_first));
            const int32x4_t other = vaddq_s32(times(a, b, second), times(c, d, more_second));
            thimble_store_some_of_4(out + at, scaled(&scale, one), left);
            thimble_store_some_of_4(out + at + half, scaled(&scale, other), left);
        }
    }
}

#endif

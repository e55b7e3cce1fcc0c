#include "thimble_elementwise.h"

static inline int32_t sum_of(const thimble_sum_scale *scale, int32_t swapped, int32_t one, int32_t other)
{
    return swapped ? thimble_scale_sum(scale, other, one) : thimble_scale_sum(scale, one, other);
}

void thimble_rotary_s8(const thimble_rotary_s8_params *p, const int8_t *x, const int8_t *cos, const int8_t *sin, int8_t *out)
{
    const int32_t half = p->half, heads = p->heads;
    for (int32_t i = 0; i < half; i++) {
        const int32_t c = 2 * (cos[i] + p->cos_offset), s = 2 * (sin[i] + p->sin_offset);
        const int8_t *from = x + i;
        int8_t *to = out + i;
        for (int32_t head = 0; head < heads; head++, from += 2 * half, to += 2 * half) {
            const int32_t a = from[0] + p->x_offset, b = from[half] + p->x_offset;
            const int32_t a_cos = thimble_scale_product(&p->a_cos, a * c), b_sin = thimble_scale_product(&p->b_sin, b * s);
            const int32_t a_sin = thimble_scale_product(&p->a_sin, a * s), b_cos = thimble_scale_product(&p->b_cos, b * c);
            to[0] = (int8_t)sum_of(&p->difference, p->difference_swapped, a_cos, b_sin);
            to[half] = (int8_t)sum_of(&p->sum, p->sum_swapped, a_sin, b_cos);
        }
    }
}

#include "thimble_elementwise.h"

void thimble_rotary_s8(const thimble_rotary_s8_params *p, const int8_t *x, const int8_t *cos, const int8_t *sin, int8_t *out)
{
    const int32_t half = p->half, offset = p->offset;
    const int32_t x_at = p->x_half ? half : 0, y_at = half - x_at;
    for (int32_t i = 0; i < half; i++) {
        const int32_t c = 2 * (cos[i] + p->cos_offset), s = 2 * (sin[i] + p->sin_offset);
        const int32_t x_cos = p->x_half ? s : c, x_sin = p->x_half ? c : s; /* what x has in the difference, and in the sum */
        const int8_t *from = x + i;
        int8_t *to = out + i;
        for (int32_t head = p->heads; head > 0; head--, from += 2 * half, to += 2 * half) {
            const int32_t one = from[x_at] + offset, other = from[y_at] + offset;
            to[0] = thimble_scale_sum(&p->difference, thimble_scale_product(&p->difference_x, one * x_cos),
                                      thimble_scale_product(&p->difference_y, other * x_sin));
            to[half] = thimble_scale_sum(&p->sum, thimble_scale_product(&p->sum_x, one * x_sin),
                                         thimble_scale_product(&p->sum_y, other * x_cos));
        }
    }
}

#include "thimble_fixed_point_s16.h"
#include "thimble_kernels_s16.h"

void thimble_rotary_s16(const thimble_rotary_s16_params *p, const int16_t *x, const int16_t *rotation, int16_t *out)
{
    const thimble_wide_scaler scale = thimble_prepare_wide(p->out_multiplier, p->out_shift);
    const int32_t half = p->half;
    for (int32_t head = 0; head < p->heads; head++, x += half, out += half) {
        const int16_t *matrix = rotation;
        for (int32_t i = 0; i < half; i++, x++, out++, matrix += 4) {
            const int32_t a = x[0], b = x[half];
            const int64_t first = (int64_t)(a * matrix[0]) + b * matrix[2],
                          second = (int64_t)(a * matrix[1]) + b * matrix[3];
            out[0] = thimble_saturate_s16(thimble_scale_wide(scale, first));
            out[half] = thimble_saturate_s16(thimble_scale_wide(scale, second));
        }
    }
}

#include "thimble_fixed_point_s16.h"
#include "thimble_kernels_s16.h"

void thimble_quantize_s8_s16(const int8_t *in, int32_t zero_point, int32_t multiplier, int32_t shift, int16_t *out,
                             int32_t count)
{
    for (int32_t i = 0; i < count; i++) {
        out[i] = thimble_saturate_s16(thimble_multiply(in[i] - zero_point, multiplier, shift));
    }
}

void thimble_quantize_s16_s8(const int16_t *in, int32_t zero_point, int32_t multiplier, int32_t shift, int8_t *out,
                             int32_t count)
{
    for (int32_t i = 0; i < count; i++) {
        out[i] = thimble_saturate_s8(thimble_multiply(in[i], multiplier, shift) + zero_point);
    }
}

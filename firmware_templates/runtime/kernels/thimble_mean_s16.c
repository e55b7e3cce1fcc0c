#include "thimble_fixed_point_s16.h"
#include "thimble_kernels_s16.h"

void thimble_mean_s16(int32_t multiplier, int32_t shift, const int16_t *in, int16_t *out, int32_t rows, int32_t columns)
{
    for (int32_t row = 0; row < rows; row++) {
        int32_t sum = 0;
        for (int32_t column = 0; column < columns; column++) {
            sum += *in++;
        }
        *out++ = thimble_saturate_s16(thimble_multiply(sum, multiplier, shift));
    }
}

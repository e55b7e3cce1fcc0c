#include "thimble_kernels_s16.h"
#include "thimble_softmax_row_s16.h"

void thimble_softmax_s16(const thimble_softmax_s16_params *p, const int16_t *in, int16_t *out, int32_t rows,
                         int32_t columns)
{
    const thimble_scaler scale = thimble_prepare(p->multiplier, p->shift);
    for (int32_t row = 0; row < rows; row++, in += columns, out += columns) {
        int32_t largest = -32768;
        for (int32_t column = 0; column < columns; column++) {
            largest = in[column] > largest ? in[column] : largest;
        }
        int32_t sum = 0;
        for (int32_t column = 0; column < columns; column++) {
            const int32_t exp = thimble_exp_s16(p->exp, scale, in[column] - largest);
            out[column] = (int16_t)exp;
            sum += exp;
        }
        const thimble_reciprocal_s16 reciprocal = thimble_softmax_reciprocal_s16(p, sum);
        for (int32_t column = 0; column < columns; column++) {
            out[column] = (int16_t)thimble_probability_s16(reciprocal, out[column]);
        }
    }
}

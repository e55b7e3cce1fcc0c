#include "thimble_kernels.h"
#include "thimble_softmax_row.h"

void thimble_softmax_s8(const int32_t *exp, const int8_t *in, int8_t *out, int32_t rows, int32_t columns)
{
    for (int32_t row = 0; row < rows; row++, in += columns, out += columns) {
        int32_t largest = -128;
        for (int32_t column = 0; column < columns; column++) {
            largest = in[column] > largest ? in[column] : largest;
        }
        const int32_t *const row_exp = exp + 255 - largest;
        int32_t sum = 0;
        for (int32_t column = 0; column < columns; column++) {
            sum += thimble_exp_for_sum(row_exp[in[column]]);
        }
        const thimble_reciprocal reciprocal = thimble_softmax_reciprocal(sum);
        for (int32_t column = 0; column < columns; column++) {
            out[column] = (int8_t)(thimble_probability(reciprocal, row_exp[in[column]]) - 128);
        }
    }
}

#include "thimble_fixed_point_s16.h"
#include "thimble_kernels_s16.h"

void thimble_batch_matmul_s16(const thimble_batch_matmul_s16_params *p, const int16_t *a, const int16_t *b,
                              int16_t *out)
{
    const int32_t column_stride = p->b_transposed ? p->depth : 1;
    const int32_t depth_stride = p->b_transposed ? 1 : p->columns;
    for (int32_t batch = 0; batch < p->batches; batch++) {
        for (int32_t row = 0; row < p->rows; row++) {
            const int16_t *x = a + batch * p->a_batch_stride + row * p->depth;
            for (int32_t column = 0; column < p->columns; column++) {
                const int16_t *y = b + batch * p->b_batch_stride + column * column_stride;
                int64_t sum = 0;
                for (int32_t i = 0; i < p->depth; i++) {
                    sum += x[i] * y[i * depth_stride];
                }
                *out++ = thimble_saturate_s16(thimble_requantize_s16(sum, p->out_multiplier, p->out_shift));
            }
        }
    }
}

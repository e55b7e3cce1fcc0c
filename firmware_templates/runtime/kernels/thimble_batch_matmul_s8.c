#include "thimble_fixed_point.h"
#include "thimble_kernels.h"

void thimble_batch_matmul_s8(const thimble_batch_matmul_s8_params *p, const int8_t *a, const int8_t *b, int8_t *out)
{
    const int32_t column_stride = p->b_transposed ? p->depth : 1;
    const int32_t depth_stride = p->b_transposed ? 1 : p->columns;
    for (int32_t batch = 0; batch < p->batches; batch++) {
        for (int32_t row = 0; row < p->rows; row++) {
            const int8_t *x = a + batch * p->a_batch_stride + row * p->depth;
            for (int32_t column = 0; column < p->columns; column++) {
                const int8_t *y = b + batch * p->b_batch_stride + column * column_stride;
                int32_t sum = 0;
                for (int32_t i = 0; i < p->depth; i++) {
                    sum += (x[i] + p->a_offset) * (y[i * depth_stride] + p->b_offset);
                }
                const int32_t scaled = thimble_multiply(sum, p->out_multiplier, p->out_shift) + p->out_zero_point;
                *out++ = (int8_t)thimble_clamp(scaled, -128, 127);
            }
        }
    }
}

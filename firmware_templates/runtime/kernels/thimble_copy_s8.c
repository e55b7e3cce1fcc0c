#include <string.h>

#include "thimble_kernels.h"

void thimble_copy_s8(const int8_t *in, int32_t in_stride, int8_t *out, int32_t out_stride, int32_t rows, int32_t columns)
{
    for (int32_t row = 0; row < rows; row++) {
        memcpy(out + row * out_stride, in + row * in_stride, (size_t)columns);
    }
}

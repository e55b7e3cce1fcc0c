#include "thimble_kernels.h"

void thimble_widen_s8(const int8_t *in, int32_t offset, int16_t *out, int32_t count)
{
    int32_t i = 0;
    for (; i < count; i++) {
        out[i] = (int16_t)(in[i] + offset);
    }
    for (; i % 4 != 0; i++) {
        out[i] = 0;
    }
}

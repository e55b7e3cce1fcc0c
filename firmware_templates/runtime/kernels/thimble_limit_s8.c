#include "thimble_fixed_point.h"
#include "thimble_kernels.h"

void thimble_limit_s8(int8_t *out, int32_t count, int32_t low, int32_t high)
{
    if (low == -128 && high == 127) {
        return;
    }
    for (int32_t i = 0; i < count; i++) {
        out[i] = (int8_t)thimble_clamp(out[i], low, high);
    }
}

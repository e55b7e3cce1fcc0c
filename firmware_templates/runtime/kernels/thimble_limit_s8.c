#include "thimble_fixed_point.h"
#include "thimble_helium.h"
#include "thimble_kernels.h"

void thimble_limit_s8(int8_t *out, int32_t count, int32_t low, int32_t high)
{
    if (low == -128 && high == 127) {
        return;
    }
#ifdef THIMBLE_HELIUM
    for (; count > 0; count -= 16, out += 16) {
        const int8x16_t raised = vmaxq_s8(thimble_load_16(out, count), vdupq_n_s8((int8_t)low));
        thimble_store_16(out, vminq_s8(raised, vdupq_n_s8((int8_t)high)), count);
    }
#else
    for (int32_t i = 0; i < count; i++) {
        out[i] = (int8_t)thimble_clamp(out[i], low, high);
    }
#endif
}

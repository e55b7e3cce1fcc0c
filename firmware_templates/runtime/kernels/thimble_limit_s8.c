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
        const mve_pred16_t lanes = thimble_lanes_16(count);
        const int8x16_t raised = vmaxq_s8(vldrbq_z_s8(out, lanes), vdupq_n_s8((int8_t)low));
        vstrbq_p_s8(out, vminq_s8(raised, vdupq_n_s8((int8_t)high)), lanes);
    }
#else
    for (int32_t i = 0; i < count; i++) {
        out[i] = (int8_t)thimble_clamp(out[i], low, high);
    }
#endif
}

#include "thimble_elementwise.h"
#include "thimble_helium.h"

#ifndef THIMBLE_HELIUM

#if !(defined(THIMBLE_DSP) && defined(THIMBLE_ALL_REGISTERS))

void thimble_sum_s8(const thimble_sum_s8_params *p, const int8_t *x, const int8_t *y, int8_t *out, int32_t tokens)
{
    for (int32_t i = 0; i < tokens * p->columns; i++) {
        out[i] = thimble_scale_sum(&p->scale, x[i], y[i]);
    }
}

#else
#include "thimble_sum_s8_dsp.h"
#endif

#else
#include "thimble_sum_s8_mve.h"
#endif

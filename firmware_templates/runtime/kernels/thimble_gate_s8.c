#include "thimble_elementwise.h"
#include "thimble_helium.h"

#ifndef THIMBLE_HELIUM

#ifndef THIMBLE_DSP

void thimble_gate_s8(const thimble_gate_s8_params *p, const int8_t *gate, const int8_t *up, int8_t *out, int32_t tokens)
{
    for (int32_t i = 0; i < tokens * p->columns; i++) {
        const int32_t product = (p->table[gate[i] + 128] + p->gate_offset) * (up[i] + p->up_offset);
        out[i] = thimble_scale_product(&p->out, 2 * product);
    }
}

#else
#include "thimble_gate_s8_dsp.h"
#endif

#else
#include "thimble_gate_s8_mve.h"
#endif

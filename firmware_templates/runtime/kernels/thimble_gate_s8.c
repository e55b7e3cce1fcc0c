#include "thimble_elementwise.h"

void thimble_gate_s8(const thimble_gate_s8_params *p, const int8_t *gate, const int8_t *up, int8_t *out)
{
    const int8_t *const table = p->table + 128;
    const thimble_product_scale scale = p->out;
    const int32_t gate_offset = p->gate_offset, up_offset = p->up_offset;
    for (const int8_t *const end = out + p->columns; out != end;) {
        const int32_t product = (table[*gate++] + gate_offset) * (*up++ + up_offset);
        *out++ = thimble_scale_product(&scale, 2 * product);
    }
}

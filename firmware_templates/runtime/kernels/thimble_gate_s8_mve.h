/* A body of thimble_gate_s8.c, for cores with Helium (Cortex-M55). */
#ifndef THIMBLE_GATE_S8_MVE_H
#define THIMBLE_GATE_S8_MVE_H

void thimble_gate_s8(const thimble_gate_s8_params *p, const int8_t *gate, const int8_t *up, int8_t *out, int32_t tokens)
{
    const int8_t *const table = p->table;
    const int32_t gate_offset = p->gate_offset, up_offset = p->up_offset;
    const thimble_product_scale scale = p->out;
    for (int32_t left = tokens * p->columns; left > 0; left -= 16, gate += 16, up += 16, out += 16) {
        const thimble_halves x = thimble_halves_of(thimble_look_up_16(table, thimble_load_16(gate, left)), gate_offset);
        const thimble_halves y = thimble_halves_of(thimble_load_16(up, left), up_offset);
        thimble_store_16(out, thimble_requantize_16(thimble_products(x, y), &scale), left);
    }
}

#endif

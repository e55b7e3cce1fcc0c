#include "thimble_elementwise.h"
#include "thimble_helium.h"

#ifdef THIMBLE_HELIUM

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

#else

#ifdef THIMBLE_DSP

/* clang-format off */
#define GATE_ONE                                            \
    "ldrsb %[a], [%[gate]], #1\n\t"                         \
    "ldrsb %[b], [%[up]], #1\n\t"                           \
    "ldrsb %[a], [%[table], %[a]]\n\t"                      \
    "add %[b], %[b], %[up_offset]\n\t"                      \
    "add %[a], %[twice_gate_offset], %[a], lsl #1\n\t"      \
    "mul %[a], %[a], %[b]\n\t"                              \
    THIMBLE_TO_S8("%[a]", "%[b]", "%[multiplier]", "%[right]", "%[addend]") \
    "strb %[a], [%[out]], #1\n\t"
/* clang-format on */

void thimble_gate_s8(const thimble_gate_s8_params *p, const int8_t *gate, const int8_t *up, int8_t *out, int32_t tokens)
{
    int32_t a, b;
    /* clang-format off */
    __asm__ volatile(THIMBLE_PAIRS_LOOP(GATE_ONE GATE_ONE)
                     : [gate] "+&r"(gate), [up] "+&r"(up), [out] "+&r"(out), [a] "=&r"(a), [b] "=&r"(b)
                     : [end] "r"(out + tokens * p->columns), [table] "r"(p->table + 128), [up_offset] "r"(p->up_offset),
                       [twice_gate_offset] "r"(2 * p->gate_offset), [multiplier] "r"(p->out.multiplier),
                       [right] "r"(thimble_shift_of(&p->out)), [addend] "r"(thimble_addend_of(&p->out))
                     : "cc", "memory");
    /* clang-format on */
}

#else

void thimble_gate_s8(const thimble_gate_s8_params *p, const int8_t *gate, const int8_t *up, int8_t *out, int32_t tokens)
{
    for (int32_t i = 0; i < tokens * p->columns; i++) {
        const int32_t product = (p->table[gate[i] + 128] + p->gate_offset) * (up[i] + p->up_offset);
        out[i] = thimble_scale_product(&p->out, 2 * product);
    }
}

#endif

#endif

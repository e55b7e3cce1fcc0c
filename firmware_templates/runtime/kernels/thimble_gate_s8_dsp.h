/* A body of thimble_gate_s8.c, for cores with DSP instructions (Cortex-M4, M7, M33). */
#ifndef THIMBLE_GATE_S8_DSP_H
#define THIMBLE_GATE_S8_DSP_H

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

#endif

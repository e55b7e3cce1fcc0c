/* A body of thimble_sum_s8.c, for cores with DSP instructions (Cortex-M4, M7, M33). */
#ifndef THIMBLE_SUM_S8_DSP_H
#define THIMBLE_SUM_S8_DSP_H

/* clang-format off */
#define SUM_ONE                                                                  \
    "ldrsb %[b], [%[y]], #1\n\t"                                                 \
    "add %[b], %[y_base], %[b], lsl #21\n\t"                                     \
    THIMBLE_ROUND("%[b]", "%[a]", "%[y_multiplier]", "%[y_right]", "%[y_half]")  \
    "ldrsb %[a], [%[x]], #1\n\t"                                                 \
    "add %[a], %[x_base], %[a], lsl #20\n\t"                                     \
    "add %[a], %[a], %[b], lsl #1\n\t"                                           \
    THIMBLE_TO_S8("%[a]", "%[b]", "%[multiplier]", "%[right]", "%[addend]")      \
    "strb %[a], [%[out]], #1\n\t"
/* clang-format on */

void thimble_sum_s8(const thimble_sum_s8_params *p, const int8_t *x, const int8_t *y, int8_t *out, int32_t tokens)
{
    const thimble_sum_scale *const s = &p->scale;
    int32_t a, b;
    /* clang-format off */
    __asm__ volatile(THIMBLE_PAIRS_LOOP(SUM_ONE SUM_ONE)
                     : [x] "+&r"(x), [y] "+&r"(y), [out] "+&r"(out), [a] "=&r"(a), [b] "=&r"(b)
                     : [end] "r"(out + tokens * p->columns), [y_base] "r"(s->y_base), [y_multiplier] "r"(s->y_multiplier),
                       [y_right] "r"(s->y_right_less_one + 1), [y_half] "r"(1 << s->y_right_less_one),
                       [x_base] "r"(s->x_base), [multiplier] "r"(s->out.multiplier),
                       [right] "r"(thimble_shift_of(&s->out)), [addend] "r"(thimble_addend_of(&s->out))
                     : "cc", "memory");
    /* clang-format on */
}

#endif

/* A body of thimble_norm_s8.c, for cores with DSP instructions (Cortex-M4, M7, M33). */
#ifndef THIMBLE_NORM_S8_DSP_H
#define THIMBLE_NORM_S8_DSP_H

/* clang-format off */
#define SUM_ONE                        \
    "ldrsb %[a], [%[x]], #1\n\t"       \
    "ldrsb %[a], [%[table], %[a]]\n\t" \
    "add %[sum], %[sum], %[a]\n\t"
/* clang-format on */

/* The sum of table[x]. */
static THIMBLE_HOT(sum_of) int32_t sum_of(const int8_t *table, const int8_t *x, int32_t columns)
{
    int32_t sum = 0, a;
    /* clang-format off */
    __asm__ volatile("1:\n\t" SUM_ONE SUM_ONE "cmp %[x], %[end]\n\tbne 1b\n"
                     : [x] "+&r"(x), [sum] "+&r"(sum), [a] "=&r"(a)
                     : [end] "r"(x + columns), [table] "r"(table)
                     : "cc", "memory");
    /* clang-format on */
    return sum;
}

/* clang-format off */
#define SCALE_ONE                               \
    "ldrsb %[a], [%[x]], #1\n\t"                \
    "mla %[a], %[a], %[factor], %[base]\n\t"    \
    THIMBLE_TO_S8("%[a]", "%[high]", "%[multiplier]", "%[right]", "%[addend]") \
    "strb %[a], [%[out]], #1\n\t"
/* clang-format on */

/* out = x * factor + base, scaled. */
static THIMBLE_HOT(scale) void scale(const thimble_product_scale *s, const int8_t *x, int32_t factor, int32_t base,
                                     int8_t *out, int32_t columns)
{
    int32_t a, high;
    /* clang-format off */
    __asm__ volatile(THIMBLE_PAIRS_LOOP(SCALE_ONE SCALE_ONE)
                     : [x] "+&r"(x), [out] "+&r"(out), [a] "=&r"(a), [high] "=&r"(high)
                     : [end] "r"(out + columns), [factor] "r"(factor), [base] "r"(base), [multiplier] "r"(s->multiplier),
                       [right] "r"(thimble_shift_of(s)), [addend] "r"(thimble_addend_of(s))
                     : "cc", "memory");
    /* clang-format on */
}

#endif

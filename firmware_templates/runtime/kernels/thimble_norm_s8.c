#include "thimble_elementwise.h"
#include "thimble_helium.h"

#ifdef THIMBLE_HELIUM

static THIMBLE_HOT(norm_token) void norm_token(const thimble_norm_s8_params *p, const int8_t *x, int8_t *out)
{
    const int8_t *const square = p->square, *values = x;
    int32_t sum = p->sum_start, left = p->columns;
    for (; left >= 16; left -= 16, values += 16) {
        sum = vaddvaq_s8(sum, thimble_look_up_16(square, vldrbq_s8(values)));
    }
    for (; left > 0; left--) {
        sum += square[*values++ + 128];
    }
    const int32_t mean = thimble_scale(p->mean, sum) + p->mean_zero_point;
    const int32_t factor = p->inverse_root[thimble_clamp(mean, -128, 127) + 128] + p->root_offset;
    const thimble_halves factors = {vdupq_n_s16((int16_t)factor), vdupq_n_s16((int16_t)factor)};
    const thimble_product_scale scale = p->out;
    const int32_t offset = p->x_offset;
    for (left = p->columns; left > 0; left -= 16, x += 16, out += 16) {
        const thimble_quarters products =
            thimble_products(thimble_halves_of(thimble_load_16(x, left), offset), factors);
        thimble_store_16(out, thimble_requantize_16(products, &scale), left);
    }
}

#else

#ifdef THIMBLE_DSP

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

#else

static THIMBLE_HOT(sum_of) int32_t sum_of(const int8_t *table, const int8_t *x, int32_t columns)
{
    int32_t sum = 0;
    for (int32_t i = 0; i < columns; i++) {
        sum += table[x[i]];
    }
    return sum;
}

static THIMBLE_HOT(scale) void scale(const thimble_product_scale *s, const int8_t *x, int32_t factor, int32_t base,
                                     int8_t *out, int32_t columns)
{
    for (int32_t i = 0; i < columns; i++) {
        out[i] = thimble_scale_product(s, x[i] * factor + base);
    }
}

#endif

static THIMBLE_HOT(norm_token) void norm_token(const thimble_norm_s8_params *p, const int8_t *x, int8_t *out)
{
    const int32_t sum = p->sum_start + sum_of(p->square + 128, x, p->columns);
    const int32_t mean = thimble_scale(p->mean, sum) + p->mean_zero_point;
    const int32_t factor = 2 * (p->inverse_root[thimble_saturate_s8(mean) + 128] + p->root_offset);
    scale(&p->out, x, factor, p->x_offset * factor, out, p->columns);
}

#endif

void thimble_norm_s8(const thimble_norm_s8_params *p, const int8_t *x, int8_t *out, int32_t tokens)
{
    for (; tokens > 0; tokens--, x += p->columns, out += p->columns) {
        norm_token(p, x, out);
    }
}

#include "thimble_elementwise.h"
#include "thimble_helium.h"

#ifdef THIMBLE_HELIUM

void thimble_add_s8(const thimble_add_s8_params *p, thimble_operand x, thimble_operand y, int8_t *out, int32_t out_stride,
                    int32_t rows, int32_t columns)
{
    const thimble_sum_scale scale = p->scale;
    for (int32_t row = 0; row < rows; row++, x.data += x.row_stride, y.data += y.row_stride, out += out_stride) {
        for (int32_t column = 0; column < columns; column += 16) {
            const mve_pred16_t lanes = thimble_lanes_16(columns - column);
            thimble_quarters sum = thimble_quarters_of(thimble_load_operand(x, column, lanes));
            const thimble_quarters other = thimble_quarters_of(thimble_load_operand(y, column, lanes));
#pragma GCC unroll 4
            for (int32_t i = 0; i < 4; i++) {
                sum.at[i] = thimble_sum_4(&scale, sum.at[i], other.at[i]);
            }
            vstrbq_p_s8(out + column, thimble_requantize_16(sum, &scale.out), lanes);
        }
        thimble_limit_s8(out, columns, p->out_min, p->out_max);
    }
}

#else

static void add_row(const thimble_sum_scale *scale, const int8_t *x, int32_t x_step, const int8_t *y, int32_t y_step,
                    int8_t *out, int32_t columns)
{
    for (const int8_t *const end = out + columns; out != end; x += x_step, y += y_step) {
        *out++ = thimble_scale_sum(scale, *x, *y);
    }
}

#ifdef THIMBLE_ELEMENTWISE_DSP

#define ADD_ONE                                         \
    "ldrsb %[b], [%[y]], #1\n\t"                        \
    "ldrsb %[a], [%[x]], #1\n\t"                        \
    "add %[b], %[y_base], %[b], lsl #21\n\t"            \
    "smmulr %[b], %[b], %[y_multiplier]\n\t"            \
    "add %[a], %[x_base], %[a], lsl #20\n\t"            \
    "add %[b], %[b], %[b], asr #31\n\t"                 \
    "asr %[b], %[b], %[y_right]\n\t"                    \
    "add %[b], %[b], #1\n\t"                            \
    "bic %[b], %[b], #1\n\t"                            \
    "add %[a], %[a], %[b]\n\t"                          \
    THIMBLE_TO_S8("%[a]", "%[multiplier]", "%[right]", "%[zero]") \
    "strb %[a], [%[out]], #1\n\t"

/* A sum, not a difference, of rows without gaps and of scales that differ: how many columns are done, all but an odd last.
 * Not inlined: the loop takes all registers but one. */
__attribute__((noinline)) static int32_t add_pairs(const thimble_sum_scale *s, const int8_t *x, const int8_t *y, int8_t *out, int32_t columns)
{
    if (s->y_factor != 1 << 21 || s->x_factor != 1 << 20 || s->y_sign != 1 || columns < 2) {
        return 0;
    }
    int32_t a, b;
    __asm__ volatile(THIMBLE_PAIRS_LOOP(ADD_ONE ADD_ONE)
                     : [x] "+r"(x), [y] "+r"(y), [out] "+r"(out), [a] "=&r"(a), [b] "=&r"(b)
                     : [end] "r"(out + (columns & ~1)), [y_base] "r"(s->y_base), [y_multiplier] "r"(s->y_multiplier),
                       [y_right] "r"(s->y_right_less_one), [x_base] "r"(s->x_base), [multiplier] "r"(s->out.multiplier),
                       [right] "r"(s->out.right_shift_less_one), [zero] "r"(s->out.twice_zero_point_plus_one)
                     : "cc", "memory");
    return columns & ~1;
}

#else

static int32_t add_pairs(const thimble_sum_scale *s, const int8_t *x, const int8_t *y, int8_t *out, int32_t columns)
{
    (void)s, (void)x, (void)y, (void)out, (void)columns;
    return 0;
}

#endif

void thimble_add_s8(const thimble_add_s8_params *p, thimble_operand x, thimble_operand y, int8_t *out, int32_t out_stride,
                    int32_t rows, int32_t columns)
{
    for (int32_t row = 0; row < rows; row++, x.data += x.row_stride, y.data += y.row_stride, out += out_stride) {
        const int32_t done = x.step == 1 && y.step == 1 ? add_pairs(&p->scale, x.data, y.data, out, columns) : 0;
        add_row(&p->scale, x.data + done, x.step, y.data + done, y.step, out + done, columns - done);
        thimble_limit_s8(out, columns, p->out_min, p->out_max);
    }
}

#endif

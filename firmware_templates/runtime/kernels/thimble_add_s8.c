#include "thimble_elementwise.h"
#include "thimble_helium.h"

#ifdef THIMBLE_HELIUM

/* Eight sums, but for the zero point. */
__attribute__((always_inline)) static inline int16x8_t add_8(const thimble_sum_scale *s, int16x8_t x, int16x8_t y)
{
    const int32_t right = s->out.right_shift_less_one + 1;
    const int32x4_t even = thimble_scale_4(thimble_sum_4(s, vmovlbq_s16(x), vmovlbq_s16(y)), s->out.multiplier, right);
    return thimble_narrow_8(even, thimble_scale_4(thimble_sum_4(s, vmovltq_s16(x), vmovltq_s16(y)), s->out.multiplier, right));
}

void thimble_add_s8(const thimble_add_s8_params *p, thimble_operand x, thimble_operand y, int8_t *out, int32_t out_stride,
                    int32_t rows, int32_t columns)
{
    const thimble_sum_scale scale = p->scale;
    const int32_t zero_point = scale.out.twice_zero_point_plus_one >> 1;
    int8_t repeated_x[16], repeated_y[16];
    for (int32_t row = 0; row < rows; row++, x.data += x.row_stride, y.data += y.row_stride, out += out_stride) {
        thimble_row from_x = thimble_row_of(x, repeated_x), from_y = thimble_row_of(y, repeated_y);
        int8_t *to = out;
        for (int32_t left = columns; left > 0; left -= 16, from_x.data += from_x.step, from_y.data += from_y.step, to += 16) {
            const int8x16_t a = thimble_load_16(from_x.data, left), b = thimble_load_16(from_y.data, left);
            const int16x8_t even = add_8(&scale, vmovlbq_s8(a), vmovlbq_s8(b));
            const int16x8_t odd = add_8(&scale, vmovltq_s8(a), vmovltq_s8(b));
            thimble_store_16(to, thimble_join_16(even, odd, zero_point), left);
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

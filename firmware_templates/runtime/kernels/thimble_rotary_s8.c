#include "thimble_elementwise.h"
#include "thimble_helium.h"

#if defined(THIMBLE_HELIUM) || !defined(THIMBLE_ELEMENTWISE_DSP)

static inline thimble_product_scale product_scale(const thimble_rounding *r)
{
    return (thimble_product_scale){r->multiplier, r->right_shift - 1, r->addend >> (r->right_shift - 1)};
}

static inline thimble_sum_scale sum_scale(const thimble_turn_scales *s)
{
    return (thimble_sum_scale){s->y_factor,         s->y_base, s->y_multiplier, s->y_right - 1,
                               s->twice_y_sign / 2, s->x_base, s->x_factor,     product_scale(&s->out)};
}

#endif

#ifdef THIMBLE_HELIUM

/* Four products on their way to int8. */
static inline int32x4_t product(thimble_product_scale s, int32x4_t x, int32x4_t factor)
{
    const int32x4_t scaled = thimble_scale_4(vmulq_s32(x, factor), s.multiplier, s.right_shift_less_one + 1);
    return vshrq_n_s32(vqshlq_n_s32(vaddq_n_s32(scaled, s.twice_zero_point_plus_one >> 1), 24), 24);
}

/* A half of each head, and what it is multiplied with: cosines or sines. */
typedef struct {
    const int8_t *values, *factors;
    int32_t factor_offset;
} operand;

/* One half of each head's results. */
__attribute__((noinline)) static void turn(const thimble_rotary_s8_params *p, const thimble_turn_scales *scales, operand x,
                                           operand y, int8_t *out)
{
    const thimble_product_scale x_scale = product_scale(&scales->x), y_scale = product_scale(&scales->y);
    const thimble_sum_scale sums = sum_scale(scales);
    const thimble_product_scale last = sums.out;
    const int32_t offset = p->offset, head_dim = 2 * p->half;
    for (int32_t i = 0, left = p->half; left > 0; i += 4, left -= 4) {
        const int32x4_t x_factor = vaddq_n_s32(thimble_load_4(x.factors + i, left), x.factor_offset);
        const int32x4_t y_factor = vaddq_n_s32(thimble_load_4(y.factors + i, left), y.factor_offset);
        for (int32_t head = 0, at = i; head < p->heads; head++, at += head_dim) {
            const int32x4_t one = product(x_scale, vaddq_n_s32(thimble_load_4(x.values + at, left), offset), x_factor);
            const int32x4_t other = product(y_scale, vaddq_n_s32(thimble_load_4(y.values + at, left), offset), y_factor);
            const int32x4_t sum =
                thimble_scale_4(thimble_sum_4(&sums, one, other), last.multiplier, last.right_shift_less_one + 1);
            const int32x4_t limited = vqshlq_n_s32(vaddq_n_s32(sum, last.twice_zero_point_plus_one >> 1), 24);
            thimble_store_some_of_4(out + at, vshrq_n_s32(limited, 24), left);
        }
    }
}

void thimble_rotary_s8(const thimble_rotary_s8_params *p, const int8_t *x, const int8_t *cos, const int8_t *sin, int8_t *out,
                       int32_t tokens)
{
    const int32_t columns = 2 * p->half * p->heads;
    for (; tokens > 0; tokens--, x += columns, cos -= p->half, sin -= p->half, out += columns) {
        const int8_t *const b = x + p->half;
        const operand a_cos = {x, cos, p->cos_offset}, b_sin = {b, sin, p->sin_offset};
        const operand a_sin = {x, sin, p->sin_offset}, b_cos = {b, cos, p->cos_offset};
        turn(p, &p->difference, p->difference_swapped ? b_sin : a_cos, p->difference_swapped ? a_cos : b_sin, out);
        turn(p, &p->sum, p->sum_swapped ? b_cos : a_sin, p->sum_swapped ? a_sin : b_cos, out + p->half);
    }
}

#else

/* Where values of the first head lie, y's from x's, and what they are multiplied with. */
typedef struct {
    const int8_t *x;
    int32_t to_y, x_factor, y_factor, offset;
} turn_values;

#ifdef THIMBLE_ELEMENTWISE_DSP

/* One result for each head. The scales go through three registers. Not inlined: the loop takes all registers. */
__attribute__((noinline)) static void turn(const thimble_turn_scales *scales, const turn_values *v, int32_t heads, int32_t head_dim,
                                           int8_t *out)
{
    const int32_t to_x = (int32_t)((uintptr_t)v->x - (uintptr_t)out);
    int32_t x, y;
    __asm__ volatile("1:\n\t"
                     "ldrsb %[x], [%[out], %[to_x]]\n\t"
                     "ldrsb %[y], [%[out], %[to_y]]\n\t"
                     "ldm %[scales]!, {r4, r5, r6}\n\t"
                     "add %[x], %[x], %[offset]\n\t"
                     "add %[y], %[y], %[offset]\n\t"
                     "mul %[x], %[x], %[x_factor]\n\t"
                     "mul %[y], %[y], %[y_factor]\n\t" THIMBLE_TO_S8("%[x]", "r6", "r4", "r5", "r6")
                     "ldm %[scales]!, {r4, r5, r6}\n\t" THIMBLE_TO_S8("%[y]", "r6", "r4", "r5", "r6")
                     "ldm %[scales]!, {r4, r5, r6}\n\t"
                     "mla %[y], %[y], r4, r5\n\t"
                     "ldm %[scales]!, {r4, r5}\n\t" THIMBLE_ROUND("%[y]", "r4", "r6", "r5", "r4")
                     "ldm %[scales]!, {r4, r5, r6}\n\t"
                     "mla %[y], %[y], r4, r5\n\t"
                     "mla %[x], %[x], r6, %[y]\n\t"
                     "ldm %[scales], {r4, r5, r6}\n\t"
                     "sub %[scales], #56\n\t" THIMBLE_TO_S8("%[x]", "r6", "r4", "r5", "r6")
                     "strb %[x], [%[out]]\n\t"
                     "add %[out], %[out], %[head_dim]\n\t"
                     "cmp %[out], %[end]\n\t"
                     "bne 1b\n"
                     : [scales] "+r"(scales), [out] "+r"(out), [x] "=&r"(x), [y] "=&r"(y)
                     : [to_x] "r"(to_x), [to_y] "r"(to_x + v->to_y), [x_factor] "r"(v->x_factor), [y_factor] "r"(v->y_factor),
                       [offset] "r"(v->offset), [head_dim] "r"(head_dim), [end] "r"(out + heads * head_dim)
                     : "r4", "r5", "r6", "cc", "memory");
}

#else

static void turn(const thimble_turn_scales *scales, const turn_values *v, int32_t heads, int32_t head_dim, int8_t *out)
{
    const thimble_product_scale x_scale = product_scale(&scales->x), y_scale = product_scale(&scales->y);
    const thimble_sum_scale sum = sum_scale(scales);
    const int8_t *from = v->x;
    for (; heads > 0; heads--, from += head_dim, out += head_dim) {
        const int32_t x = thimble_scale_product(&x_scale, (from[0] + v->offset) * v->x_factor);
        const int32_t y = thimble_scale_product(&y_scale, (from[v->to_y] + v->offset) * v->y_factor);
        *out = thimble_scale_sum(&sum, x, y);
    }
}

#endif

/* The values of one result: x is that of a, or of b where swapped. */
static inline void place(turn_values *v, const int8_t *a, int32_t half, int32_t swapped, int32_t a_factor, int32_t b_factor)
{
    v->x = swapped ? a + half : a;
    v->to_y = swapped ? -half : half;
    v->x_factor = swapped ? b_factor : a_factor;
    v->y_factor = swapped ? a_factor : b_factor;
}

void thimble_rotary_s8(const thimble_rotary_s8_params *p, const int8_t *x, const int8_t *cos, const int8_t *sin, int8_t *out,
                       int32_t tokens)
{
    turn_values values = {.offset = p->offset};
    const int32_t half = p->half, to_next_token = 2 * half * p->heads - half;
    for (; tokens > 0; tokens--, x += to_next_token, out += to_next_token, cos -= half, sin -= half) {
        for (int32_t i = 0; i < half; i++, x++, out++) {
            const int32_t c = 2 * (cos[i] + p->cos_offset), s = 2 * (sin[i] + p->sin_offset);
            place(&values, x, half, p->difference_swapped, c, s);
            turn(&p->difference, &values, p->heads, 2 * half, out);
            place(&values, x, half, p->sum_swapped, s, c);
            turn(&p->sum, &values, p->heads, 2 * half, out + half);
        }
    }
}

#endif

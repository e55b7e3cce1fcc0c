#include <stddef.h>

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

#ifdef THIMBLE_ELEMENTWISE_DSP

/* A result, from doubled products x and y, of the scales that follow. They go through three registers. */
#define TURN                                                                                   \
    "ldm %[scales]!, {r4, r5, r6}\n\t" THIMBLE_TO_S8("%[x]", "r6", "r4", "r5", "r6")           \
    "ldm %[scales]!, {r4, r5, r6}\n\t" THIMBLE_TO_S8("%[y]", "r6", "r4", "r5", "r6")           \
    "ldm %[scales]!, {r4, r5, r6}\n\t"                                                         \
    "mla %[y], %[y], r4, r5\n\t"                                                               \
    "ldm %[scales]!, {r4, r5}\n\t" THIMBLE_ROUND("%[y]", "r4", "r6", "r5", "r4")               \
    "ldm %[scales]!, {r4, r5, r6}\n\t"                                                         \
    "mla %[y], %[y], r4, r5\n\t"                                                               \
    "mla %[x], %[x], r6, %[y]\n\t"                                                             \
    "ldm %[scales]!, {r4, r5, r6}\n\t" THIMBLE_TO_S8("%[x]", "r6", "r4", "r5", "r6")

/* A pair of results for each head of one token, or of two that lie one behind the other. factors: of each a doubled cosine
 * and above it a sine; the other way where the difference is swapped, as a and b are then. The difference is of the products of
 * both lower and both upper halves, the sum of the others: GE, which nothing else sets, tells which of them is x. Not
 * inlined: the loop takes all registers. */
__attribute__((noinline)) static void turn(const thimble_rotary_s8_params *p, const int8_t *x, const int32_t factors[2],
                                           int32_t tokens, int8_t *out)
{
    const int32_t half = p->half, token_bytes = 2 * half * p->heads, swapped = p->difference_swapped, offset = p->offset;
    const uintptr_t to_x = (uintptr_t)x - (uintptr_t)out;
    const void *scales = &p->difference;
    int8_t *end = out + token_bytes;
    int32_t factor = factors[0], y, both, first = -(p->sum_swapped ^ swapped);
    register int32_t r4 __asm__("r4") = factors[1];
    register int32_t r5 __asm__("r5") = token_bytes;
    register int32_t r6 __asm__("r6") = tokens;
    _Static_assert(offsetof(thimble_rotary_s8_params, sum) == offsetof(thimble_rotary_s8_params, difference) + 68, "in order");
    __asm__ volatile("push {r4, r5, r6}\n\t"
                     "sadd16 %[x], %[x], %[x]\n"
                     "1:\n\t"
                     "ldrsb %[both], [%[out], %[to_a]]\n\t"
                     "ldrsb %[y], [%[out], %[to_b]]\n\t"
                     "pkhbt %[both], %[both], %[y], lsl #16\n\t"
                     "qadd16 %[both], %[both], %[offsets]\n\t"
                     "smulbb %[x], %[both], %[factor]\n\t"
                     "smultt %[y], %[both], %[factor]\n\t" TURN
                     "strb %[x], [%[out]]\n\t"
                     "smulbt %[x], %[both], %[factor]\n\t"
                     "smultb %[both], %[both], %[factor]\n\t"
                     "sel %[y], %[both], %[x]\n\t"
                     "sel %[x], %[x], %[both]\n\t" TURN
                     "strb %[x], [%[out], %[half]]\n\t"
                     "sub %[scales], #136\n\t"
                     "add %[out], %[out], %[half], lsl #1\n\t"
                     "cmp %[out], %[end]\n\t"
                     "bne 1b\n\t"
                     "pop {r4, r5, r6}\n\t"
                     "subs r6, #1\n\t"
                     "beq 2f\n\t"
                     "mov %[factor], r4\n\t"
                     "add %[end], %[end], r5\n\t"
                     "push {r4, r5, r6}\n\t"
                     "b 1b\n"
                     "2:\n"
                     : [scales] "+r"(scales), [out] "+r"(out), [x] "+r"(first), [y] "=&r"(y), [both] "=&r"(both),
                       [factor] "+r"(factor), [end] "+r"(end), "+r"(r4), "+r"(r5), "+r"(r6)
                     : [to_a] "r"(to_x + (uintptr_t)(swapped ? half : 0)), [to_b] "r"(to_x + (uintptr_t)(swapped ? 0 : half)),
                       [half] "r"(half), [offsets] "r"((uint32_t)offset << 16 | (offset & 0xffff))
                     : "cc", "memory");
}

void thimble_rotary_s8(const thimble_rotary_s8_params *p, const int8_t *x, const int8_t *cos, const int8_t *sin, int8_t *out,
                       int32_t tokens)
{
    const int32_t half = p->half, to_next = 4 * half * p->heads - half, swapped = p->difference_swapped;
    const int8_t *lower = swapped ? sin : cos, *upper = swapped ? cos : sin;
    const int32_t lower_offset = swapped ? p->sin_offset : p->cos_offset, upper_offset = swapped ? p->cos_offset : p->sin_offset;
    for (; tokens > 0; tokens -= 2, x += to_next, out += to_next, lower -= 3 * half, upper -= 3 * half) {
        for (int32_t i = half; i > 0; i--, x++, out++, lower++, upper++) {
            int32_t factors[2], token = 0;
            do {
                const int32_t low = lower[-token * half] + lower_offset, high = upper[-token * half] + upper_offset;
                factors[token] = (int32_t)((uint32_t)high << 17 | (low << 1 & 0xffff));
            } while (++token < 2 && tokens > 1);
            turn(p, x, factors, token, out);
        }
    }
}

#else

/* One result for each head; x and, `to_y` further, y are those of the first. */
static void turn(const thimble_rotary_s8_params *p, const thimble_turn_scales *scales, const int8_t *x, int32_t to_y,
                 int32_t x_factor, int32_t y_factor, int8_t *out)
{
    const thimble_product_scale x_scale = product_scale(&scales->x), y_scale = product_scale(&scales->y);
    const thimble_sum_scale sum = sum_scale(scales);
    const int32_t offset = p->offset, head_dim = 2 * p->half;
    for (int32_t heads = p->heads; heads > 0; heads--, x += head_dim, out += head_dim) {
        const int32_t one = thimble_scale_product(&x_scale, (x[0] + offset) * x_factor);
        const int32_t other = thimble_scale_product(&y_scale, (x[to_y] + offset) * y_factor);
        *out = thimble_scale_sum(&sum, one, other);
    }
}

void thimble_rotary_s8(const thimble_rotary_s8_params *p, const int8_t *x, const int8_t *cos, const int8_t *sin, int8_t *out,
                       int32_t tokens)
{
    const int32_t half = p->half, to_next_token = 2 * half * p->heads;
    for (; tokens > 0; tokens--, x += to_next_token, out += to_next_token, cos -= half, sin -= half) {
        for (int32_t i = 0; i < half; i++) {
            const int8_t *const a = x + i, *const b = a + half;
            const int32_t c = 2 * (cos[i] + p->cos_offset), s = 2 * (sin[i] + p->sin_offset);
            if (p->difference_swapped) {
                turn(p, &p->difference, b, -half, s, c, out + i);
            } else {
                turn(p, &p->difference, a, half, c, s, out + i);
            }
            if (p->sum_swapped) {
                turn(p, &p->sum, b, -half, c, s, out + half + i);
            } else {
                turn(p, &p->sum, a, half, s, c, out + half + i);
            }
        }
    }
}

#endif

#endif

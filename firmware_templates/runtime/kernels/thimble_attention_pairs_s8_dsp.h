/* A body of thimble_attention_pairs_s8.c, for cores with DSP instructions (Cortex-M4, M7, M33). */
#ifndef THIMBLE_ATTENTION_PAIRS_S8_DSP_H
#define THIMBLE_ATTENTION_PAIRS_S8_DSP_H

/* A head's columns of new rows of K and V: of one token; or of two, where `to_before` tells where the values of the
 * token before lie, whose row is the upper one of a pair. The lower row of a pair of K is stored with its signs
 * changed, by `k_flip`. */
static inline void append(const int8_t **k, const int8_t **v, int8_t **k_to, int8_t **v_to, int32_t head_dim,
                          int32_t v_step, int32_t to_before, uint32_t k_flip)
{
    int32_t k0, k1, v0, other, t;
    /* clang-format off */
    __asm__ volatile("1:\n"
                     "ldr    %[k0], [%[k]]\n"
                     "ldr    %[v0], [%[v]]\n"
                     "eor    %[k0], %[k0], %[k_flip]\n"
                     "rev16  %[v0], %[v0]\n"
                     "eor    %[v0], %[v0], #0x00800080\n"
                     "cmp    %[to_before], #0\n"
                     "bne    2f\n"
                     "strb   %[k0], [%[k_to]]\n"
                     "lsr    %[k0], %[k0], #8\n"
                     "strb   %[k0], [%[k_to], #2]\n"
                     "lsr    %[k0], %[k0], #8\n"
                     "strb   %[k0], [%[k_to], #4]\n"
                     "lsr    %[k0], %[k0], #8\n"
                     "strb   %[k0], [%[k_to], #6]\n"
                     "add    %[k_to], %[k_to], #16\n"
                     "strh   %[v0], [%[v_to]]\n"
                     "lsr    %[v0], %[v0], #16\n"
                     "strh   %[v0], [%[v_to], #8]\n"
                     "b      3f\n"
                     "2:\n" /* whole words */
                     "ldr    %[k1], [%[k], %[to_before]]\n"
                     "uxtb16 %[t], %[k0]\n"
                     "uxtb16 %[k0], %[k0], ror #8\n"
                     "uxtb16 %[other], %[k1]\n"
                     "and    %[k1], %[k1], #0xff00ff00\n"
                     "orr    %[t], %[t], %[other], lsl #8\n"
                     "orr    %[k0], %[k0], %[k1]\n"
                     "pkhbt  %[other], %[t], %[k0], lsl #16\n"
                     "pkhtb  %[k0], %[k0], %[t], asr #16\n"
                     "strd   %[other], %[k0], [%[k_to]], #16\n"
                     "ldr    %[t], [%[v], %[to_before]]\n"
                     "rev16  %[t], %[t]\n"
                     "eor    %[t], %[t], #0x00800080\n"
                     "pkhbt  %[other], %[t], %[v0], lsl #16\n"
                     "pkhtb  %[v0], %[v0], %[t], asr #16\n"
                     "str    %[other], [%[v_to]]\n"
                     "str    %[v0], [%[v_to], #8]\n"
                     "3:\n"
                     "add    %[v_to], %[v_to], %[v_step]\n"
                     "add    %[v], %[v], #4\n"
                     "add    %[k], %[k], #4\n"
                     "cmp    %[k], %[end]\n"
                     "bne    1b\n"
                     : [k] "+&r"(*k), [v] "+&r"(*v), [k_to] "+&r"(*k_to), [v_to] "+&r"(*v_to), [k0] "=&r"(k0), [k1] "=&r"(k1),
                       [v0] "=&r"(v0), [other] "=&r"(other), [t] "=&r"(t)
                     : [end] "r"(*k + head_dim), [to_before] "r"(to_before), [v_step] "r"(v_step), [k_flip] "r"(k_flip)
                     : "cc", "memory");
    /* clang-format on */
}

/* Two columns of two rows: the sum of both, and of the low row. */
/* clang-format off */
#define SUM_TWO(weights, x, both, low)                         \
    "smlad  " both ", " weights ", " x ", " both "\n"          \
    "uxtb16 " weights ", " weights "\n"                        \
    "smlad  " low ", " weights ", " x ", " low "\n"

#define SUM_FOUR(x, other_x)                                   \
    "ldmia  r1!, {r4-r7}\n"                                    \
    SUM_TWO("r4", x, "r8", "r9") SUM_TWO("r5", other_x, "r8", "r9") \
    SUM_TWO("r6", x, "r10", "r11") SUM_TWO("r7", other_x, "r10", "r11")
/* clang-format on */

/* thimble_requantize_s8 in four instructions. With A a sum, m the multiplier and n the right shift, 1..22, the addend
 * is 2^(n - 1) + zero point * 2^n: h = round(2 A m / 2^32) is rounded, halves away from zero, by (h + 2^(n - 1) - (h <
 * 0)) >> n. The sign is taken of A: where A < 0 and h = 0 the result is that of 0 either way. |A| < 2^22, as 64 * 255 *
 * 255 is, so all stays below 2^31, and beyond 22 bits, where prepare() makes m 0, the result is the zero point. */
/* clang-format off */
#define TO_S8(sum)                           \
    "smmlar r7, " sum ", r2, r4\n"           \
    "add    " sum ", r7, " sum ", asr #31\n" \
    "asr    " sum ", " sum ", r3\n"          \
    "ssat   " sum ", #8, " sum "\n"

#define FOUR_TO_S8 TO_S8("r8") TO_S8("r9") TO_S8("r10") TO_S8("r11")
/* clang-format on */

/* All blocks. r0: out, r1: weights, r4-r7: weights of four rows and columns, r8-r11: sums (r8 and r10 those of both
 * rows of a pair, r9 and r11 those of its low row); x: r2, r3, r12 and lr where there are eight columns, else in r12
 * and lr, with its place in r2 and its end in r3. Then r2: multiplier, r3: shift, r4: addend, r5: table or skip, r6:
 * end. sp points at a copy of `blocks` with two addresses for `kind`: of what begins a block, and of what follows fours
 * of columns. */
__attribute__((noinline)) static THIMBLE_HOT(multiply) void multiply(const blocks *s, const int16_t *weights, void *out)
{
    register const void *r0 __asm__("r0") = s;
    register const int16_t *r1 __asm__("r1") = weights;
    register void *r2 __asm__("r2") = out;
    /* clang-format off */
    __asm__ volatile("push   {r7, r9}\n" /* not named as clobbered: a frame or static base may be there */
                     "mov    r12, r2\n"
                     "add    r2, r0, #32\n"
                     "ldm    r2, {r2-r6, r8}\n"
                     "adr.w  r9, 8f\n"
                     "add    r9, r9, r8, lsl #3\n"
                     "ldm    r9, {r8, r9}\n"
                     "push   {r2-r6, r8, r9}\n"
                     "ldm    r0, {r2-r6, r8-r10}\n"
                     "push   {r2-r6, r8-r10}\n"
                     "mov    r0, r12\n"
                     "ldr    pc, [sp, #52]\n"

                     ".p2align 2\n"
                     "8:\n"
                     ".word  9f + 1, 4f + 1, 1f + 1, 4f + 1, 2f + 1, 4f + 1, 1f + 1, 5f + 1, 2f + 1, 5f + 1\n"
                     "1:\n" /* fours of columns, an even number */
                     "ldm    sp, {r2, r3, r8-r11}\n"
                     "3:\n"
                     "ldrd   r12, lr, [r2], #8\n" SUM_FOUR("r12", "lr")
                     "6:\n"
                     "ldrd   r12, lr, [r2], #8\n" SUM_FOUR("r12", "lr")
                     "cmp    r2, r3\n"
                     "bne    3b\n"
                     "sub    r8, r8, r9\n"
                     "sub    r10, r10, r11\n"
                     "ldr    pc, [sp, #56]\n"

                     "2:\n" /* an odd number */
                     "ldm    sp, {r2, r3, r8-r11}\n"
                     "b      6b\n"

                     "5:\n" /* four outputs: of a single x */
                     "asr    r8, r8, #7\n"
                     "lsl    r9, r9, #1\n"
                     "asr    r10, r10, #7\n"
                     "lsl    r11, r11, #1\n"
                     "add    r2, sp, #32\n"
                     "cmp    r2, #0\n" /* carry */
                     "b      10f\n"
                     "11:\n"
                     "strb   r9, [r0, #1]\n"
                     "strb   r10, [r0, #2]\n"
                     "strb   r11, [r0, #3]\n"
                     "strb   r8, [r0], #4\n"
                     "add    r1, r5\n"
                     "cmp    r0, r6\n"
                     "beq    7f\n"
                     "ldr    pc, [sp, #52]\n"

                     "9:\n" /* eight columns */
                     "ldm    sp, {r2, r3, r8-r12, lr}\n" SUM_FOUR("r2", "r3") SUM_FOUR("r12", "lr")
                     "sub    r8, r8, r9\n"
                     "sub    r10, r10, r11\n"
                     "4:\n" /* four scores: of a doubled x */
                     "asr    r8, r8, #8\n"
                     "asr    r10, r10, #8\n"
                     "adds.w r2, sp, #32\n" /* no carry */
                     "10:\n"
                     "ldm    r2, {r2-r6}\n" FOUR_TO_S8
                     "bcs    11b\n"
                     "ldrsb  r8, [r5, r8]\n"
                     "ldrsb  r9, [r5, r9]\n"
                     "ldrsb  r10, [r5, r10]\n"
                     "ldrsb  r11, [r5, r11]\n"
                     "pkhbt  r8, r8, r9, lsl #16\n"
                     "pkhbt  r10, r10, r11, lsl #16\n"
                     "strd   r8, r10, [r0], #8\n"
                     "cmp    r1, r6\n"
                     "beq    7f\n"
                     "ldr    pc, [sp, #52]\n"
                     "7:\n"
                     "add    sp, #60\n"
                     "pop    {r7, r9}\n"
                     : "+r"(r0), "+r"(r1), "+r"(r2)
                     :
                     : "r3", "r4", "r5", "r6", "r8", "r10", "r11", "r12", "lr", "cc", "memory");
    /* clang-format on */
}

/* Two scores as weights, packed. */
/* clang-format off */
#define TWO_WEIGHTS(first, second, at)                              \
    "ldrsh  " first ", [%[s], #" at "]\n"                           \
    "ldrsh  " second ", [%[s], #" at " + 2]\n"                      \
    "ldr    " first ", [%[exp], " first ", lsl #2]\n"               \
    "ldr    " second ", [%[exp], " second ", lsl #2]\n"             \
    "smmlar " first ", " first ", %[mantissa], " first "\n"         \
    "smmlar " second ", " second ", %[mantissa], " second "\n"      \
    "lsr    " first ", " first ", %[shift]\n"                       \
    "lsr    " second ", " second ", %[shift]\n"                     \
    "pkhbt  " first ", " first ", " second ", lsl #16\n"            \
    "uhadd16 " first ", " first ", %[ones]\n"                       \
    "usat16 " first ", #8, " first "\n"                             \
    "uadd16 %[sums], %[sums], " first "\n"
/* clang-format on */

/* Scores become weights in place, four at a time; returns their sum. As thimble_probability: the mantissa, at least
 * 2^31 for every sum up to 2^29, enters less 2^32, which SMMLAR's addend gives back; the shift is done but for its last
 * bit, to 9 bits at most, and UHADD16 rounds and does that. */
static THIMBLE_HOT(weights_of) int32_t
    weights_of(const int32_t *exp, thimble_reciprocal reciprocal, int16_t *scores, const int16_t *end)
{
    uint32_t sums = 0;
    const int32_t shift = reciprocal.half ? reciprocal.shift - 1 : 31;
    /* clang-format off */
    __asm__ volatile("1:\n" TWO_WEIGHTS("r4", "r3", "0") TWO_WEIGHTS("r5", "r3", "4")
                     "strd   r4, r5, [%[s]], #8\n"
                     "cmp    %[s], %[end]\n"
                     "bne    1b\n"
                     : [s] "+&r"(scores), [sums] "+&r"(sums)
                     : [end] "r"(end), [exp] "r"(exp), [mantissa] "r"(reciprocal.doubled_mantissa), [ones] "r"(0x00010001),
                       [shift] "r"(shift)
                     : "r3", "r4", "r5", "cc", "memory");
    /* clang-format on */
    return (int32_t)((sums & 0xffff) + (sums >> 16));
}

/* clang-format off */
#define ADD_EXPONENTIAL                           \
    "ldrsh  %[e], [%[s]], #2\n"                   \
    "ldr    %[e], [%[exp], %[e], lsl #2]\n"       \
    "smmlar %[total], %[e], %[unit], %[total]\n"
/* clang-format on */

/* The sum of the scores' exponentials, a multiple of 4 of them: (e * 2^20 + 2^31) >> 32 is thimble_exp_for_sum. */
static THIMBLE_HOT(sum_of_exponentials) int32_t
    sum_of_exponentials(const int32_t *exp, const int16_t *scores, const int16_t *end)
{
    int32_t total = 0, e;
    /* clang-format off */
    __asm__ volatile("1:\n" ADD_EXPONENTIAL ADD_EXPONENTIAL ADD_EXPONENTIAL ADD_EXPONENTIAL
                     "cmp    %[s], %[end]\n"
                     "bne    1b\n"
                     : [s] "+&r"(scores), [total] "+&r"(total), [e] "=&r"(e)
                     : [end] "r"(end), [exp] "r"(exp), [unit] "r"(1 << 20)
                     : "cc", "memory");
    /* clang-format on */
    return total;
}

/* The largest of scores, a multiple of 4 of them. */
static THIMBLE_HOT(largest_of) int32_t largest_of(const int16_t *scores, const int16_t *end)
{
    int16x2_t best = (int16x2_t)0xff80ff80;
    /* clang-format off */
    __asm__("1:\n"
            "ldrd   r2, r3, [%[s]], #8\n"
            "ssub16 r12, r2, %[best]\n"
            "sel    %[best], r2, %[best]\n"
            "ssub16 r12, r3, %[best]\n"
            "sel    %[best], r3, %[best]\n"
            "cmp    %[s], %[end]\n"
            "bne    1b\n"
            : [s] "+&r"(scores), [best] "+&r"(best)
            : [end] "r"(end)
            : "r2", "r3", "r12", "cc", "memory");
    /* clang-format on */
    const int32_t low = (int16_t)best, high = best >> 16;
    return low > high ? low : high;
}

/* A query, widened and doubled, four columns every `step` halfwords; returns its doubled sum. */
static THIMBLE_HOT(widen) int32_t widen(const int8_t *q, int32_t offset, int16_t *wide, int32_t step, int32_t head_dim)
{
    int32_t sum = 0;
    const int16x2_t offsets = (int16x2_t)((uint32_t)offset << 16 | ((uint32_t)offset & 0xffff));
    for (const int8_t *const end = q + head_dim; q != end; q += 4, wide += step) {
        int32_t four, even, odd;
        __builtin_memcpy(&four, q, 4);
        /* clang-format off */
        __asm__("sxtab16 %1, %3, %2, ror #8\n"
                "sxtab16 %0, %3, %2\n"
                "sadd16  %1, %1, %1\n"
                "sadd16  %0, %0, %0\n"
                : "=&r"(even), "=&r"(odd)
                : "r"(four), "r"(offsets));
        /* clang-format on */
        sum = __smlad(even, 0x00010001, __smlad(odd, 0x00010001, sum));
        __asm__("pkhbt %2, %0, %1, lsl #16\n"
                "pkhtb %0, %1, %0, asr #16\n"
                : "+&r"(even), "+&r"(odd), "=&r"(four));
        __builtin_memcpy(wide, &four, 4);
        __builtin_memcpy(wide + 2, &even, 4);
    }
    return sum;
}

#endif

/* A body of thimble_attention_s16.c, for cores with DSP instructions (Cortex-M4, M7, M33). */
#ifndef THIMBLE_ATTENTION_S16_DSP_H
#define THIMBLE_ATTENTION_S16_DSP_H

/* clang-format off */
#define FOUR_PRODUCTS                        \
    "ldrd   %[q0], %[q1], [%[q]], #8\n"      \
    "ldrd   %[k0], %[k1], [%[k]], #8\n"      \
    "smlald %[low], %[high], %[q0], %[k0]\n" \
    "smlald %[low], %[high], %[q1], %[k1]\n"

#define SUM_PRODUCTS(instructions)                                                                                         \
    __asm__ volatile(instructions                                                                                          \
                     : [q] "+&r"(q), [k] "+&r"(k), [low] "+&r"(low), [high] "+&r"(high), [q0] "=&r"(q0), [q1] "=&r"(q1),       \
                       [k0] "=&r"(k0), [k1] "=&r"(k1)                                                                      \
                     :                                                                                                     \
                     : "memory")
/* clang-format on */

/* q . k over a multiple of 4 columns. */
static inline int64_t dot(const int16_t *q, const int16_t *k, int32_t count)
{
    uint32_t low = 0;
    int32_t high = 0, q0, q1, k0, k1;
    const int16_t *const end = q + count;
    for (const int16_t *const whole = q + (count & ~15); q != whole;) {
        SUM_PRODUCTS(FOUR_PRODUCTS FOUR_PRODUCTS FOUR_PRODUCTS FOUR_PRODUCTS);
    }
    while (q != end) {
        SUM_PRODUCTS(FOUR_PRODUCTS);
    }
    return (int64_t)((uint64_t)(uint32_t)high << 32 | low);
}

/* A row of V, four columns, with the weight in the lower or upper half of w. */
/* clang-format off */
#define ROW_LOW(w)                          \
    "ldrd   %[v0], %[v1], [%[v]]\n"         \
    "add    %[v], %[v], %[step]\n"          \
    "smlabb %[s0], %[v0], %[" w "], %[s0]\n" \
    "smlatb %[s1], %[v0], %[" w "], %[s1]\n" \
    "smlabb %[s2], %[v1], %[" w "], %[s2]\n" \
    "smlatb %[s3], %[v1], %[" w "], %[s3]\n"
#define ROW_HIGH(w)                         \
    "ldrd   %[v0], %[v1], [%[v]]\n"         \
    "add    %[v], %[v], %[step]\n"          \
    "smlabt %[s0], %[v0], %[" w "], %[s0]\n" \
    "smlatt %[s1], %[v0], %[" w "], %[s1]\n" \
    "smlabt %[s2], %[v1], %[" w "], %[s2]\n" \
    "smlatt %[s3], %[v1], %[" w "], %[s3]\n"

#define SUM_ROWS(instructions)                                                                                             \
    __asm__ volatile(instructions                                                                                          \
                     : [p] "+&r"(p), [v] "+&r"(v), [s0] "+&r"(s0), [s1] "+&r"(s1), [s2] "+&r"(s2), [s3] "+&r"(s3),               \
                       [v0] "=&r"(v0), [v1] "=&r"(v1), [w0] "=&r"(w0), [w1] "=&r"(w1)                                      \
                     : [step] "r"(step)                                                                                    \
                     : "memory")
/* clang-format on */

/* Four columns of V summed over the rows, each with its weight. */
static inline void weigh_four(const int16_t *p, const int16_t *v, int32_t stride, int32_t rows, int32_t sums[4])
{
    int32_t s0 = 0, s1 = 0, s2 = 0, s3 = 0, v0, v1, w0, w1;
    const uintptr_t step = (uintptr_t)stride * 2;
    const int16_t *const end = p + rows;
    for (const int16_t *const whole = p + (rows & ~3); p != whole;) {
        SUM_ROWS("ldrd %[w0], %[w1], [%[p]], #8\n" ROW_LOW("w0") ROW_HIGH("w0") ROW_LOW("w1") ROW_HIGH("w1"));
    }
    while (p != end) {
        SUM_ROWS("ldrh %[w0], [%[p]], #2\n" ROW_LOW("w0"));
    }
    (void)w1;
    sums[0] = s0;
    sums[1] = s1;
    sums[2] = s2;
    sums[3] = s3;
}

#endif

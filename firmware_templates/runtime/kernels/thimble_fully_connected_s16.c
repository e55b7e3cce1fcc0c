#define THIMBLE_NEVER_FOR_SIZE 1 /* the loop takes all registers, for which -Os finds no plan */
#include "thimble_fixed_point_s16.h"
#include "thimble_kernels_s16.h"

/* The sums of four rows over the depth. */
typedef struct {
    int32_t row[4];
} four_sums;

#if defined(THIMBLE_DSP) && defined(THIMBLE_ALL_REGISTERS)

/* Four columns of four rows: SMLALD sums 256 a + b over two columns in 64 bits, SXTB16 leaves b, SMLAD sums b alone. */
/* clang-format off */
#define FOUR_COLUMNS                           \
    "ldrd   %[x0], %[x1], [%[x]], #8\n"        \
    "ldmia  %[w]!, {r4, r5, r6, r8}\n"         \
    "smlald %[m0], %[h0], r4, %[x0]\n"         \
    "sxtb16 r4, r4\n"                          \
    "smlad  %[l0], r4, %[x0], %[l0]\n"         \
    "smlald %[m0], %[h0], r5, %[x1]\n"         \
    "sxtb16 r5, r5\n"                          \
    "smlad  %[l0], r5, %[x1], %[l0]\n"         \
    "smlald %[m1], %[h1], r6, %[x0]\n"         \
    "sxtb16 r6, r6\n"                          \
    "smlad  %[l1], r6, %[x0], %[l1]\n"         \
    "smlald %[m1], %[h1], r8, %[x1]\n"         \
    "sxtb16 r8, r8\n"                          \
    "smlad  %[l1], r8, %[x1], %[l1]\n"

#define SUM_COLUMNS(instructions)                                                                                      \
    __asm__ volatile(instructions                                                                                      \
                     : [m0] "+&r"(mixed0), [h0] "+&r"(high0), [l0] "+&r"(low0), [m1] "+&r"(mixed1), [h1] "+&r"(high1),      \
                       [l1] "+&r"(low1), [x] "+&r"(x), [w] "+&r"(weights), [x0] "=&r"(x0), [x1] "=&r"(x1)                 \
                     :                                                                                                 \
                     : "r4", "r5", "r6", "r8", "memory")
/* clang-format on */

/* (high:mixed - low) / 256, which fits 32 bits. */
static inline int32_t upper_row(uint32_t mixed, int32_t high, int32_t low)
{
    const int64_t sum = (int64_t)((uint64_t)(uint32_t)high << 32 | mixed) - low;
    return (int32_t)((uint32_t)sum >> 8 | (uint32_t)(sum >> 32) << 24);
}

__attribute__((always_inline)) static THIMBLE_HOT(sum_block) inline four_sums
    sum_block(const int16_t *weights, const int16_t *x, int32_t depth)
{
    uint32_t mixed0 = 0, mixed1 = 0;
    int32_t high0 = 0, high1 = 0, low0 = 0, low1 = 0, x0, x1;
    const int16_t *const end = x + depth;
    for (const int16_t *const whole = x + (depth & ~15); x != whole;) {
        SUM_COLUMNS(FOUR_COLUMNS FOUR_COLUMNS FOUR_COLUMNS FOUR_COLUMNS);
    }
    while (x != end) {
        SUM_COLUMNS(FOUR_COLUMNS);
    }
    return (four_sums){{upper_row(mixed0, high0, low0), low0, upper_row(mixed1, high1, low1), low1}};
}

#else

static inline four_sums sum_block(const int16_t *weights, const int16_t *x, int32_t depth)
{
    four_sums sums = {{0, 0, 0, 0}};
    for (int32_t column = 0; column < depth; column += 4, weights += 8) {
        for (int32_t i = 0; i < 8; i++) {
            const int32_t low = (int8_t)(weights[i] & 0xff);
            const int32_t high = (weights[i] - low) / 256;
            const int32_t value = x[column + i % 4];
            sums.row[i / 4 * 2] += high * value;
            sums.row[i / 4 * 2 + 1] += low * value;
        }
    }
    return sums;
}

#endif

void thimble_fully_connected_s16(const thimble_fully_connected_s16_params *p, const int16_t *x, int16_t *out)
{
    static const int32_t no_bias[4] = {0, 0, 0, 0};
    const int16_t *weights = p->weights;
    const int32_t depth = (p->depth + 3) & ~3;
    const int32_t *bias = p->bias ? p->bias : no_bias, *multiplier = p->multiplier;
    const int32_t bias_step = p->bias ? 4 : 0;
    int16_t *z = out;
    const int16_t *const end = out + (p->rows & ~3);
    for (; z != end; z += 4, weights += 2 * depth, bias += bias_step, multiplier += 4) {
        const four_sums sums = sum_block(weights, x, depth);
        z[0] = thimble_saturate_s16(thimble_high_word(sums.row[0] + bias[0], multiplier[0]));
        z[1] = thimble_saturate_s16(thimble_high_word(sums.row[1] + bias[1], multiplier[1]));
        z[2] = thimble_saturate_s16(thimble_high_word(sums.row[2] + bias[2], multiplier[2]));
        z[3] = thimble_saturate_s16(thimble_high_word(sums.row[3] + bias[3], multiplier[3]));
    }
    const int32_t left = p->rows & 3;
    if (left > 0) {
        const four_sums sums = sum_block(weights, x, depth);
        for (int32_t i = 0; i < left; i++) {
            z[i] = thimble_saturate_s16(thimble_high_word(sums.row[i] + bias[i], multiplier[i]));
        }
    }
    thimble_limit_s16(out, p->rows, p->out_min, p->out_max);
}

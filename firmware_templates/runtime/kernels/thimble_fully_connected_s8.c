#include "thimble_fixed_point.h"
#include "thimble_kernels.h"

/* Twice the sums of four rows over the depth. */
typedef struct {
    int32_t row[4];
} four_sums;

#if defined(__ARM_FEATURE_DSP) && !defined(THIMBLE_PLAIN_C)

/* Four columns of four rows: SMLAD sums 256 a + b over two columns, SXTB16 leaves b, SMLAD sums b alone. */
#define FOUR_COLUMNS                          \
    "ldrd   %[x0], %[x1], [%[x]], #8\n"       \
    "ldmia  %[w]!, {r4, r5, r6, r8}\n"        \
    "smlad  %[m0], r4, %[x0], %[m0]\n"        \
    "sxtb16 r4, r4\n"                         \
    "smlad  %[l0], r4, %[x0], %[l0]\n"        \
    "smlad  %[m0], r5, %[x1], %[m0]\n"        \
    "sxtb16 r5, r5\n"                         \
    "smlad  %[l0], r5, %[x1], %[l0]\n"        \
    "smlad  %[m1], r6, %[x0], %[m1]\n"        \
    "sxtb16 r6, r6\n"                         \
    "smlad  %[l1], r6, %[x0], %[l1]\n"        \
    "smlad  %[m1], r8, %[x1], %[m1]\n"        \
    "sxtb16 r8, r8\n"                         \
    "smlad  %[l1], r8, %[x1], %[l1]\n"

#define SUM_COLUMNS(instructions)                                                                                      \
    __asm__ volatile(instructions                                                                                      \
                     : [m0] "+r"(mixed0), [l0] "+r"(low0), [m1] "+r"(mixed1), [l1] "+r"(low1), [x] "+r"(x),            \
                       [w] "+r"(weights), [x0] "=&r"(x0), [x1] "=&r"(x1)                                               \
                     :                                                                                                 \
                     : "r4", "r5", "r6", "r8", "memory")

__attribute__((always_inline)) static inline four_sums sum_block(const int16_t *weights, const int16_t *x,
                                                                 int32_t depth)
{
    int32_t mixed0 = 0, low0 = 0, mixed1 = 0, low1 = 0, x0, x1;
    const int16_t *const end = x + depth;
    for (const int16_t *const whole = x + (depth & ~15); x != whole;) {
        SUM_COLUMNS(FOUR_COLUMNS FOUR_COLUMNS FOUR_COLUMNS FOUR_COLUMNS);
    }
    while (x != end) {
        SUM_COLUMNS(FOUR_COLUMNS);
    }
    return (four_sums){{(int32_t)((uint32_t)mixed0 - (uint32_t)low0) >> 7, 2 * low0,
                        (int32_t)((uint32_t)mixed1 - (uint32_t)low1) >> 7, 2 * low1}};
}

#else

static inline four_sums sum_block(const int16_t *weights, const int16_t *x, int32_t depth)
{
    four_sums sums = {{0, 0, 0, 0}};
    for (int32_t column = 0; column < depth; column += 4, weights += 8) {
        for (int32_t i = 0; i < 8; i++) {
            const int32_t low = (int8_t)(weights[i] & 0xff);
            const int32_t high = (weights[i] - low) / 256;
            const int32_t value = 2 * x[column + i % 4];
            sums.row[i / 4 * 2] += high * value;
            sums.row[i / 4 * 2 + 1] += low * value;
        }
    }
    return sums;
}

#endif

void thimble_fully_connected_s8(const thimble_fully_connected_s8_params *p, const int16_t *x, int8_t *out)
{
    static const int32_t no_bias[4] = {0, 0, 0, 0};
    const int16_t *weights = p->weights;
    const int32_t depth = (p->depth + 3) & ~3;
    const int32_t *bias = p->twice_bias ? p->twice_bias : no_bias, *multiplier = p->multiplier;
    const int32_t bias_step = p->twice_bias ? 4 : 0;
    const uint8_t *shift = p->right_shift_less_one;
    const int32_t zero = 2 * p->out_zero_point + 1;
    int8_t *z = out;
    const int8_t *const end = out + (p->rows & ~3);
    for (; z != end; z += 4, weights += 2 * depth, bias += bias_step, multiplier += 4, shift += 4) {
        const four_sums twice = sum_block(weights, x, depth);
        z[0] = thimble_requantize_s8(twice.row[0] + bias[0], multiplier[0], shift[0], zero);
        z[1] = thimble_requantize_s8(twice.row[1] + bias[1], multiplier[1], shift[1], zero);
        z[2] = thimble_requantize_s8(twice.row[2] + bias[2], multiplier[2], shift[2], zero);
        z[3] = thimble_requantize_s8(twice.row[3] + bias[3], multiplier[3], shift[3], zero);
    }
    const int32_t left = p->rows & 3;
    if (left > 0) {
        const four_sums twice = sum_block(weights, x, depth);
        for (int32_t i = 0; i < left; i++) {
            z[i] = thimble_requantize_s8(twice.row[i] + bias[i], multiplier[i], shift[i], zero);
        }
    }
    thimble_limit_s8(out, p->rows, p->out_min, p->out_max);
}

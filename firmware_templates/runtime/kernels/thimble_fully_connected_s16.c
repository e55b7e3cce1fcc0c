#define THIMBLE_NEVER_FOR_SIZE 1 /* the loop takes all registers, for which -Os finds no plan */
#include "thimble_fixed_point_s16.h"
#include "thimble_kernels_s16.h"

/* The sums of four rows over the depth. */
typedef struct {
    int32_t row[4];
} four_sums;

#if !(defined(THIMBLE_DSP) && defined(THIMBLE_ALL_REGISTERS))

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

#else
#include "thimble_fully_connected_s16_dsp.h"
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

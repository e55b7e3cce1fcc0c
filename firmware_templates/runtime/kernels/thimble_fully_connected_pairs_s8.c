#include "thimble_fixed_point.h"
#include "thimble_kernels.h"
#include "thimble_pairs.h"

/* The sums of one block of rows over the whole depth, in parts where one sum might overflow. */
static inline thimble_four_sums sum_parts(const int16_t *block, const int16_t *x, int32_t depth, int32_t part,
                                          int32_t excess)
{
    thimble_four_sums sums = thimble_pairs_sum(block, x, depth < part ? depth : part, excess);
    for (int32_t done = part; done < depth; done += part) {
        const int32_t left = depth - done;
        const thimble_four_sums more = thimble_pairs_sum(block + 2 * done, x + done, left < part ? left : part, 0);
        for (int32_t i = 0; i < 4; i++) {
            sums.row[i] += more.row[i];
        }
    }
    return sums;
}

void thimble_fully_connected_pairs_s8(const thimble_fully_connected_packed_s8_params *p, const int16_t *x, int8_t *out,
                                      int32_t tokens, int32_t stride)
{
    const int32_t depth = (p->depth + 3) & ~3;
    const int32_t zero = 2 * p->out_zero_point + 1;
    for (; tokens > 0; tokens--, x += stride / 2, out += stride) {
        const int16_t *weights = p->weights;
        int32_t excess;
        __builtin_memcpy(&excess, x + depth, 4);
        for (int32_t row = 0; row < p->rows; row += 4, weights += 4 * depth / 2) {
            const thimble_four_sums sums = sum_parts(weights, x, depth, p->part, excess);
            for (int32_t i = row; i < row + 4 && i < p->rows; i++) {
                const int32_t twice_bias = p->twice_bias ? p->twice_bias[i] : 0;
                out[i] = thimble_requantize_s8(2 * sums.row[i - row] + twice_bias, p->multiplier[i],
                                               p->right_shift_less_one[i], zero);
            }
        }
        thimble_limit_s8(out, p->rows, p->out_min, p->out_max);
    }
}

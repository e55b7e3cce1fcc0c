#include "thimble_fixed_point.h"
#include "thimble_helium.h"
#include "thimble_kernels.h"

/* One token, any shapes and shifts. */
__attribute__((noinline)) static THIMBLE_HOT(multiply) void multiply(const thimble_fully_connected_rows_s8_params *p,
                                                                     const int8_t *x, int8_t *out)
{
    const int8_t *weights = p->weights;
    for (int32_t row = 0; row < p->rows; row++, weights += p->depth) {
        int32_t sum = p->bias[row];
        for (int32_t column = 0; column < p->depth; column++) {
            sum += weights[column] * x[column];
        }
        const int32_t scaled = thimble_multiply(sum, p->multiplier[row], p->shift[row]) + p->out_zero_point;
        out[row] = (int8_t)thimble_clamp(scaled, p->out_min, p->out_max);
    }
}

#ifdef THIMBLE_HELIUM
#include "thimble_fully_connected_rows_s8_mve.h"
#endif

void thimble_fully_connected_rows_s8(const thimble_fully_connected_rows_s8_params *p, const int8_t *x, int8_t *out,
                                     int32_t tokens)
{
    const int32_t x_bytes = THIMBLE_TOKEN_BYTES(p->depth), out_bytes = THIMBLE_TOKEN_BYTES(p->rows);
#ifdef THIMBLE_HELIUM
    if (p->largest_shift < 0 && p->rows >= 4) {
        const int32_t unrolled = p->depth % 16 == 0 && p->depth >= 48 && p->depth <= 192;
        void (*const multiply_pair)(const thimble_fully_connected_rows_s8_params *, const int8_t *, int8_t *, int32_t,
                                    int32_t) = unrolled ? multiply_two : multiply_two_any;
        for (; tokens >= 2; tokens -= 2, x += 2 * x_bytes, out += 2 * out_bytes) {
            multiply_pair(p, x, out, 0, p->rows / 4);
            if (p->rows % 4 != 0) {
                multiply_pair(p, x, out, p->rows - 4, 1);
            }
            thimble_limit_s8(out, p->rows, p->out_min, p->out_max);
            thimble_limit_s8(out + out_bytes, p->rows, p->out_min, p->out_max);
        }
    }
#endif
    for (; tokens > 0; tokens--, x += x_bytes, out += out_bytes) {
#ifdef THIMBLE_HELIUM
        if (p->largest_shift < 0 && p->rows >= 4) {
            multiply_blocks(p, x, out, 0, p->rows / 4);
            if (p->rows % 4 != 0) {
                multiply_blocks(p, x, out, p->rows - 4, 1); /* a part of the block before once more */
            }
            thimble_limit_s8(out, p->rows, p->out_min, p->out_max);
            continue;
        }
#endif
        multiply(p, x, out);
    }
}

/* Products with weights packed in pairs, for SMLAD.
 *
 * A block is four rows a, b, c, d and four columns, eight halfwords: 256 a + b at columns 0 and 1, 256 c + (d + 128)
 * there, and the same at columns 2 and 3. From the words of two columns, [a b] and [c d], two instructions make 256 b +
 * c: three SMLAD then sum what thimble_packed_rows.h takes apart, five instructions for eight multiply-accumulates. No
 * a or b is -128 where the weight after it is negative: these halfwords would not fit. */
#include "thimble_packed_rows.h"

#ifndef THIMBLE_DSP

/* One column: its pairs of weights times x. */
static inline void add_column(thimble_row_sums *sums, const int16_t *weights, int32_t x)
{
    const int32_t ab = weights[0], cd = weights[2], b = (int8_t)ab, d = cd & 0xff;
    sums->row[0] += (ab - b) / 256 * x;
    sums->row[1] += b * x;
    sums->row[2] += (cd - d) / 256 * x;
    sums->row[3] += d * x;
}

/* The sums of four rows, part by part: in parts only the fast body's sums differ. */
static THIMBLE_HOT(sum_parts) thimble_row_sums
    sum_parts(const int16_t *weights, const int16_t *x, int32_t depth, int32_t part, int32_t excess)
{
    thimble_row_sums sums = {{0, 0, 0, -excess}};
    (void)part;
    for (int32_t column = 0; column < depth; column++) {
        add_column(&sums, weights + column / 2 * 4 + column % 2, x[column]);
    }
    return sums;
}

/* One token, or two, whose words of x alternate. */
static THIMBLE_HOT(multiply_tokens) void multiply_tokens(const thimble_fully_connected_packed_s8_params *p,
                                                         const int16_t *x, int8_t *out, int32_t two)
{
    const int32_t depth = (p->depth + 3) & ~3, tokens = two ? 2 : 1;
    for (int32_t token = 0; token < tokens; token++, x += 2, out += THIMBLE_TOKEN_BYTES(p->rows)) {
        const int16_t *weights = p->weights;
        const int32_t *constants = p->constants;
        int32_t excess;
        __builtin_memcpy(&excess, x + tokens * depth, 4);
        for (int32_t row = 0; row < p->rows; row += 4, weights += 2 * depth, constants += thimble_row_constants(p)) {
            thimble_row_sums sums = {{0, 0, 0, -excess}};
            for (int32_t column = 0; column < depth; column++) {
                add_column(&sums, weights + column / 2 * 4 + column % 2, x[column / 2 * 2 * tokens + column % 2]);
            }
            thimble_put_rows(p, constants, &sums, out + row);
        }
    }
}

#else
#include "thimble_fully_connected_pairs_s8_dsp.h"
#endif

void thimble_fully_connected_pairs_s8(const thimble_fully_connected_packed_s8_params *p, const int16_t *x, int8_t *out,
                                      int32_t tokens)
{
    for (; tokens > 0; tokens -= 2, x += THIMBLE_WIDE_BYTES(p->depth), out += 2 * THIMBLE_TOKEN_BYTES(p->rows)) {
        multiply_tokens(p, x, out, tokens > 1);
    }
}

/* Where one sum of a row might not come apart. */
void thimble_fully_connected_pairs_parts_s8(const thimble_fully_connected_packed_s8_params *p, const int16_t *x,
                                            int8_t *out)
{
    const int32_t depth = (p->depth + 3) & ~3;
    const int16_t *weights = p->weights;
    const int32_t *constants = p->constants;
    int32_t excess;
    __builtin_memcpy(&excess, x + depth, 4);
    for (int32_t row = 0; row < p->rows; row += 4, weights += 2 * depth, constants += thimble_row_constants(p)) {
        const thimble_row_sums sums = sum_parts(weights, x, depth, p->part, excess);
        thimble_put_rows(p, constants, &sums, out + row);
    }
}

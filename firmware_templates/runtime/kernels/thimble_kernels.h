/* The kernels of a decode step. Each is a leaf: it reads its inputs and constants and writes its output, nothing else.
 *
 * Common terms: a quantized value q means scale * (q - zero_point); an offset is a negated zero point, in -127..128. Rows and
 * columns are those of the last axis and all axes before it; strides count elements. */
#ifndef THIMBLE_KERNELS_H
#define THIMBLE_KERNELS_H

#include <stdint.h>

/* One operand of an element-wise kernel: row r, column c is data[r * row_stride + c * step]. A step of 0 repeats one value
 * along a row, a row_stride of 0 repeats one row. */
typedef struct {
    const int8_t *data;
    int32_t row_stride;
    int32_t step;
} thimble_operand;

/* out[i] = in[i] + offset as int16, then zeros up to a multiple of 4: the form in which thimble_fully_connected_s8 reads.
 * out holds count rounded up to a multiple of 4, 4-byte aligned. */
void thimble_widen_s8(const int8_t *in, int32_t offset, int16_t *out, int32_t count);

/* y = clamp(W x * scale + zero_point), one row of W an output.
 *
 * Weights are packed in blocks of four rows and four columns, missing ones zero: eight halfwords 256 * w[r][c] + w[r+1][c],
 * first those of rows 0 and 1 at columns 0..3, then those of rows 2 and 3. 256 a + b summed over the depth gives both sums
 * apart while |sum a x| < 2^23, which the compiler proves for each row.
 * twice_bias holds 2 * bias, or is NULL. Right shifts are 1..31, and |sum + bias| < 2^30, which the compiler proves too. */
typedef struct {
    const int16_t *weights;
    const int32_t *twice_bias;
    const int32_t *multiplier;
    const uint8_t *right_shift_less_one;
    int32_t depth; /* columns, 1..8192 */
    int32_t rows;
    int32_t out_zero_point;
    int32_t out_min;
    int32_t out_max;
} thimble_fully_connected_s8_params;

/* x: depth rounded up to 4 widened inputs, 4-byte aligned. out: rows. */
void thimble_fully_connected_s8(const thimble_fully_connected_s8_params *p, const int16_t *x, int8_t *out);

/* The same for weights that the packing cannot hold: plain int8 rows, any shift. */
typedef struct {
    const int8_t *weights;
    const int32_t *bias;
    const int32_t *multiplier;
    const int8_t *shift;
    int32_t depth;
    int32_t rows;
    int32_t out_zero_point;
    int32_t out_min;
    int32_t out_max;
} thimble_fully_connected_plain_s8_params;

void thimble_fully_connected_plain_s8(const thimble_fully_connected_plain_s8_params *p, const int16_t *x, int8_t *out);

/* out = clamp((a +- b) * scale): each input is shifted left by 20, scaled, added, scaled again. Shifts <= 0; at least one
 * input, that of the larger scale, has multiplier 2^30 and shift 0. */
typedef struct {
    int32_t a_offset, a_multiplier, a_shift;
    int32_t b_offset, b_multiplier, b_shift;
    int32_t b_sign; /* 1 adds, -1 subtracts */
    int32_t out_zero_point, out_multiplier, out_shift;
    int32_t out_min, out_max;
} thimble_add_s8_params;

void thimble_add_s8(const thimble_add_s8_params *p, thimble_operand a, thimble_operand b, int8_t *out, int32_t out_stride,
                    int32_t rows, int32_t columns);

/* out = clamp(a * b * scale); out_shift <= 13. */
typedef struct {
    int32_t a_offset, b_offset;
    int32_t out_zero_point, out_multiplier, out_shift;
    int32_t out_min, out_max;
} thimble_mul_s8_params;

void thimble_mul_s8(const thimble_mul_s8_params *p, thimble_operand a, thimble_operand b, int8_t *out, int32_t out_stride,
                    int32_t rows, int32_t columns);

/* out = table[in + 128]: any function of one int8. */
void thimble_table_s8(const int8_t *table, thimble_operand in, int8_t *out, int32_t out_stride, int32_t rows,
                      int32_t columns);

/* out[r] = mean of row r; the multiplier holds 1 / columns. */
typedef struct {
    int32_t in_zero_point;
    int32_t out_zero_point, multiplier, shift;
} thimble_mean_s8_params;

void thimble_mean_s8(const thimble_mean_s8_params *p, const int8_t *in, int8_t *out, int32_t rows, int32_t columns);

/* out[r] = softmax of row r, scale 1/256, zero point -128. exp: e^(-d * scale) in Q0.31 for differences d = 0..255 below the
 * row's largest value. */
void thimble_softmax_s8(const int32_t *exp, const int8_t *in, int8_t *out, int32_t rows, int32_t columns);

/* out[b] = clamp(a[b] * B[b]) for each of `batches`; B is [depth, columns], or [columns, depth] when transposed.
 * b_batch_stride may be 0 (one B for all). */
typedef struct {
    int32_t a_offset, b_offset;
    int32_t out_zero_point, out_multiplier, out_shift;
    int32_t batches, rows, depth, columns;
    int32_t a_batch_stride, b_batch_stride;
    int32_t b_transposed;
} thimble_batch_matmul_s8_params;

void thimble_batch_matmul_s8(const thimble_batch_matmul_s8_params *p, const int8_t *a, const int8_t *b, int8_t *out);

/* out[i] limited to low..high. */
void thimble_limit_s8(int8_t *out, int32_t count, int32_t low, int32_t high);

/* out[r][c] = in[r][c] with a stride each. */
void thimble_copy_s8(const int8_t *in, int32_t in_stride, int8_t *out, int32_t out_stride, int32_t rows, int32_t columns);

/* Attention of one new token over the KV cache.
 *
 * Writes the new K and V rows to row `position` of the caches [kv_heads][context][head_dim], then
 * out[h] = softmax(mask(q[h] . K)) . V over rows 0..position; q and out are [kv_heads][group][head_dim].
 *
 * The .tflite computes over all context + 1 columns with a mask added. Rows from `position` on hold the zero point there, so
 * each masked score is one known value, `masked_score`: it takes part in the maximum and, (context - position) times, in the
 * sum of exponentials; its V rows are zero. The result is the same to the byte, for the cost of the filled rows.
 *
 * mask: score to score plus unmasked mask, 256 entries from -128. exp: as for thimble_softmax_s8.
 * head_dim is a multiple of 4, at most 64. scratch: thimble_attention_s8_scratch bytes, 4-byte aligned. */
typedef struct {
    const int8_t *mask;
    const int32_t *exp;
    int32_t kv_heads, group, context, head_dim;
    int32_t q_offset, k_offset;
    int32_t score_multiplier, score_shift, score_zero_point;
    int32_t masked_score;
    int32_t v_offset;
    int32_t out_multiplier, out_shift, out_zero_point;
} thimble_attention_s8_params;

#define THIMBLE_ATTENTION_S8_SCRATCH(context, head_dim) (2 * (head_dim) + (((context) + 3) / 4) * 4)

void thimble_attention_s8(const thimble_attention_s8_params *p, const int8_t *q, const int8_t *k_new, const int8_t *v_new,
                          int8_t *k_cache, int8_t *v_cache, int32_t position, int8_t *out, void *scratch);

#endif

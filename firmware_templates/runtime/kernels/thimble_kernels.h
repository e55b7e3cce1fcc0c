/* The kernels of a decode step. Each is a leaf: it reads its inputs and constants and writes its output, nothing else.
 *
 * Common terms: a quantized value q means scale * (q - zero_point); an offset is a negated zero point, in -127..128.
 * Rows and columns are those of the last axis and all axes before it; strides count elements. Kernels that take
 * `tokens` work on so many tokens, each input and output of which lies behind that of the token before, its size
 * rounded up to 4 bytes. */
#ifndef THIMBLE_KERNELS_H
#define THIMBLE_KERNELS_H

#include <stdint.h>

#include "thimble_place.h"

#ifdef __cplusplus
extern "C" {
#endif

/* One operand of an element-wise kernel: row r, column c is data[r * row_stride + c * step]. A step of 0 repeats one
 * value along a row, a row_stride of 0 repeats one row. */
typedef struct {
    const int8_t *data;
    int32_t row_stride;
    int32_t step;
} thimble_operand;

/* Bytes from a token's `count` values of one byte to the next token's. */
#define THIMBLE_TOKEN_BYTES(count) (((count) + 3) & ~3)

/* The widened form of `depth` inputs, which packed weights are multiplied with: x + offset as int16, up to a multiple
 * of 4 whatever lies behind them, since weights are zero there, then 128 times their sum as int32. The words of every
 * two tokens of a block alternate: two columns of the first, then of the second. */
#define THIMBLE_WIDE_BYTES(depth) (2 * (((depth) + 3) & ~3) + 4)

/* Widens inputs, of which a multiple of 4 is read; out: THIMBLE_WIDE_BYTES(depth) a token, 4-byte aligned. */
void thimble_widen_s8(const int8_t *in, int32_t offset, int16_t *out, int32_t depth, int32_t tokens)
    THIMBLE_HOT(widen_s8);

/* y = W x * scale + zero_point, one row of W an output; the weights are packed, as each kernel's file says.
 *
 * constants: for each four rows 2 * bias of each (where `biased`), the multipliers, and a word whose bytes, the lowest
 * first, are the right shifts less one; zeros for rows that there are not. Right shifts are 1..31, and |sum + bias| <
 * 2^30, which the compiler proves. `part`, a multiple of 4: how many columns are summed at once; the depth rounded up
 * to 4 but for rows of very large weights, which take one token. */
typedef struct {
    const void *weights;
    const int32_t *constants;
    int32_t biased;
    int32_t depth; /* columns, 1..8192 */
    int32_t rows;
    int32_t part;
    int32_t out_zero_point;
} thimble_fully_connected_packed_s8_params;

/* x: widened; out: rows, rounded up to 4. Those of both packings want a `part` of the whole depth; the ones in parts,
 * for a single token, are apart so that images without them are smaller. More than one token, with pairs: an output,
 * before it is limited and without the zero point, stays below 2^14 - 1 in size. */
void thimble_fully_connected_pairs_s8(const thimble_fully_connected_packed_s8_params *p, const int16_t *x, int8_t *out,
                                      int32_t tokens) THIMBLE_HOT(fully_connected_pairs_s8);
void thimble_fully_connected_pairs_parts_s8(const thimble_fully_connected_packed_s8_params *p, const int16_t *x,
                                            int8_t *out) THIMBLE_HOT(fully_connected_pairs_parts_s8);
void thimble_fully_connected_quads_s8(const thimble_fully_connected_packed_s8_params *p, const int16_t *x, int8_t *out,
                                      int32_t tokens) THIMBLE_HOT(fully_connected_quads_s8);
void thimble_fully_connected_quads_parts_s8(const thimble_fully_connected_packed_s8_params *p, const int16_t *x,
                                            int8_t *out) THIMBLE_HOT(fully_connected_quads_parts_s8);

/* The same for plain int8 rows and inputs, any weights and shifts. The input's offset times the sum of a row's weights
 * is in its bias. */
typedef struct {
    const int8_t *weights;
    const int32_t *bias;
    const int32_t *multiplier;
    const int8_t *shift;
    int32_t largest_shift; /* of all rows */
    int32_t depth;
    int32_t rows;
    int32_t out_zero_point;
    int32_t out_min;
    int32_t out_max;
} thimble_fully_connected_rows_s8_params;

void thimble_fully_connected_rows_s8(const thimble_fully_connected_rows_s8_params *p, const int8_t *x, int8_t *out,
                                     int32_t tokens) THIMBLE_HOT(fully_connected_rows_s8);

/* A product of two int8 values on its way to int8: 2 * (a + a_offset) * (b + b_offset), for a right shift of 1 to 31;
 * of 1 to 22 in thimble_sum_s8, norms, gates and rotary positions. */
typedef struct {
    int32_t multiplier;
    int32_t right_shift_less_one;
    int32_t twice_zero_point_plus_one;
} thimble_product_scale;

/* A sum of two int8 values x and y, x that of the larger scale, on its way to int8. TensorFlow Lite Micro shifts both
 * left by 20, scales each to twice the larger scale, adds, and scales to the output; here all is twice as large, since
 * the high product wants its input doubled: with h = (y * y_factor + y_base) * y_multiplier / 2^32, rounded, the sum is
 * x * x_factor + x_base + y_sign * 2 * round(h / 2^(y_right_less_one + 1)). */
typedef struct {
    int32_t y_factor; /* 2^21; 2^22 where both scales are equal */
    int32_t y_base;
    int32_t y_multiplier;
    int32_t y_right_less_one; /* 0..30 */
    int32_t y_sign;           /* 1 or -1 */
    int32_t x_base;
    int32_t x_factor; /* 2^20 or -2^20 */
    thimble_product_scale out;
} thimble_sum_scale;

/* out[i] = x[i] + y[i]: no difference, no activation, scales that differ (y_factor 2^21,
 * x_factor 2^20, y_sign 1). */
typedef struct {
    thimble_sum_scale scale;
    int32_t columns; /* even; a multiple of 4 for more than one token, as in the kernels below */
} thimble_sum_s8_params;

void thimble_sum_s8(const thimble_sum_s8_params *p, const int8_t *x, const int8_t *y, int8_t *out, int32_t tokens)
    THIMBLE_HOT(sum_s8);

/* out = clamp(x +- y), operand by operand. */
typedef struct {
    thimble_sum_scale scale;
    int32_t out_min, out_max;
} thimble_add_s8_params;

void thimble_add_s8(const thimble_add_s8_params *p, thimble_operand x, thimble_operand y, int8_t *out,
                    int32_t out_stride, int32_t rows, int32_t columns) THIMBLE_HOT(add_s8);

/* out = clamp(a * b * scale); out_shift <= 13. */
typedef struct {
    int32_t a_offset, b_offset;
    int32_t out_zero_point, out_multiplier, out_shift;
    int32_t out_min, out_max;
} thimble_mul_s8_params;

void thimble_mul_s8(const thimble_mul_s8_params *p, thimble_operand a, thimble_operand b, int8_t *out,
                    int32_t out_stride, int32_t rows, int32_t columns) THIMBLE_HOT(mul_s8);

/* out = (a - b)^2. Both operands are scaled to twice the larger scale first, after a shift to the left by 7: -31 <=
 * a_shift, b_shift <= 0, and one of both multipliers is 2^30; -31 <= out_shift <= 0. */
typedef struct {
    int32_t a_offset, b_offset;
    int32_t a_multiplier, a_shift, b_multiplier, b_shift;
    int32_t out_zero_point, out_multiplier, out_shift;
} thimble_squared_difference_s8_params;

void thimble_squared_difference_s8(const thimble_squared_difference_s8_params *p, thimble_operand a, thimble_operand b,
                                   int8_t *out, int32_t out_stride, int32_t rows, int32_t columns)
    THIMBLE_HOT(squared_difference_s8);

/* out = table[in + 128]: any function of one int8. */
void thimble_table_s8(const int8_t *table, thimble_operand in, int8_t *out, int32_t out_stride, int32_t rows,
                      int32_t columns) THIMBLE_HOT(table_s8);

/* out[r] = mean of row r; the multiplier holds 1 / columns. */
typedef struct {
    int32_t in_zero_point;
    int32_t out_zero_point, multiplier, shift;
} thimble_mean_s8_params;

void thimble_mean_s8(const thimble_mean_s8_params *p, const int8_t *in, int8_t *out, int32_t rows, int32_t columns)
    THIMBLE_HOT(mean_s8);

/* A multiplier and shift, prepared for a loop: x * multiplier * 2^(shift - 31). */
typedef struct {
    int32_t multiplier;
    int32_t left; /* doubles x, and shifts it left where the shift is positive */
    int32_t right;
    int32_t half;   /* half of what the right shift drops */
    int32_t toward; /* all ones where there is a right shift: halves then round away from zero */
} thimble_scaler;

/* A root-mean-square norm, out[i] = x[i] * inverse_root[mean of square[x]], one row; the tables hold any function of
 * one int8, here x * x and 1 / sqrt(mean + epsilon). The multiplier of the mean holds 1 / columns; the sum, shifted
 * left where the shift is positive, stays below 2^30. */
typedef struct {
    const int8_t *square, *inverse_root;
    int32_t sum_start; /* minus the zero point of square, for each column */
    thimble_scaler mean;
    int32_t mean_zero_point;
    int32_t x_offset, root_offset;
    thimble_product_scale out;
    int32_t columns; /* a multiple of 8 */
} thimble_norm_s8_params;

void thimble_norm_s8(const thimble_norm_s8_params *p, const int8_t *x, int8_t *out, int32_t tokens)
    THIMBLE_HOT(norm_s8);

/* out[i] = table[gate[i]] * up[i]: a gated feed-forward's product; table is the gate's activation. */
typedef struct {
    const int8_t *table;
    int32_t gate_offset, up_offset;
    thimble_product_scale out;
    int32_t columns; /* a multiple of 8 */
} thimble_gate_s8_params;

void thimble_gate_s8(const thimble_gate_s8_params *p, const int8_t *gate, const int8_t *up, int8_t *out, int32_t tokens)
    THIMBLE_HOT(gate_s8);

/* Rotary positions: of each head's halves a and b, [2][half], the first `pairs` become clamp((a, b) R) for the pairs'
 * matrices R, rounded once. rotation: [half][2][2], the row of the first token in a table by position; each next token
 * takes the row before. */
typedef struct {
    int32_t offset, rotation_offset;
    int32_t heads, half;
    int32_t pairs; /* 0..half */
    thimble_product_scale out;
} thimble_rotary_s8_params;

void thimble_rotary_s8(const thimble_rotary_s8_params *p, const int8_t *x, const int8_t *rotation, int8_t *out,
                       int32_t tokens) THIMBLE_HOT(rotary_s8);

/* The same, and the other pairs become clamp((a, b) R + (c, d) D) with means c and d. drift: D, [half - pairs][2][2],
 * as rotation. */
typedef struct {
    thimble_rotary_s8_params turned;
    const int8_t *means; /* [heads][2][half], of x's integers */
} thimble_rotary_moved_s8_params;

void thimble_rotary_moved_s8(const thimble_rotary_moved_s8_params *p, const int8_t *x, const int8_t *rotation,
                             const int8_t *drift, int8_t *out, int32_t tokens) THIMBLE_HOT(rotary_moved_s8);

/* out[r] = softmax of row r, scale 1/256, zero point -128. exp: e^(-d * scale) in Q0.31 at exp[255 - d], for
 * differences d = 0..255 below the row's largest value. */
void thimble_softmax_s8(const int32_t *exp, const int8_t *in, int8_t *out, int32_t rows, int32_t columns)
    THIMBLE_HOT(softmax_s8);

/* out[b] = clamp(a[b] * B[b]) for each of `batches`; B is [depth, columns], or [columns, depth] when transposed.
 * b_batch_stride may be 0 (one B for all). */
typedef struct {
    int32_t a_offset, b_offset;
    int32_t out_zero_point, out_multiplier, out_shift;
    int32_t batches, rows, depth, columns;
    int32_t a_batch_stride, b_batch_stride;
    int32_t b_transposed;
} thimble_batch_matmul_s8_params;

void thimble_batch_matmul_s8(const thimble_batch_matmul_s8_params *p, const int8_t *a, const int8_t *b, int8_t *out)
    THIMBLE_HOT(batch_matmul_s8);

/* out[i] limited to low..high. */
void thimble_limit_s8(int8_t *out, int32_t count, int32_t low, int32_t high) THIMBLE_HOT(limit_s8);

/* out[r][c] = in[r][c] with a stride each. */
void thimble_copy_s8(const int8_t *in, int32_t in_stride, int8_t *out, int32_t out_stride, int32_t rows,
                     int32_t columns) THIMBLE_HOT(copy_s8);

/* A tied embedding: row `token` of a table that was rounded from the same numbers as the weights w of a product, with
 * other scales. out[i] = base + (w[i] * (row_scale * column_scales[i] >> 15) >> 13) + correction[i], shifts rounded
 * down; the compiler proves that it is the table's value, and that nothing overflows.
 * corrections: for each row and plane columns / 8 bytes; of plane k bit i % 8 of byte i / 8 counts 2^k. */
typedef struct {
    const void *weights; /* packed as that product wants them */
    const uint8_t *corrections;
    const int16_t *row_scales;    /* not negative */
    const int16_t *column_scales; /* 4-byte aligned */
    int32_t columns;              /* a multiple of 8 */
    int32_t planes;               /* 1 or 2 */
    int32_t base;
} thimble_embedding_s8_params;

void thimble_embedding_pairs_s8(const thimble_embedding_s8_params *p, int32_t token, int8_t *out)
    THIMBLE_HOT(embedding_pairs_s8);
void thimble_embedding_quads_s8(const thimble_embedding_s8_params *p, int32_t token, int8_t *out)
    THIMBLE_HOT(embedding_quads_s8);
void thimble_embedding_rows_s8(const thimble_embedding_s8_params *p, int32_t token, int8_t *out)
    THIMBLE_HOT(embedding_rows_s8);

/* Attention of new tokens over the KV cache, out[h] = softmax(mask(q[h] . K)) . V over rows 0..position; q and out are
 * [kv_heads][group][head_dim]. Their K and V rows are in the cache by then. Of `tokens` tokens the first has position
 * `position`, the next the one before; scratch serves them all.
 *
 * The .tflite computes over all context + 1 columns with a mask added. Rows from `position` on hold the zero point
 * there, so each masked score is one known value, `masked_score`: it takes part in the maximum and, (context -
 * position) times, in the sum of exponentials; its V rows are zero. The result is the same to the byte, for the cost of
 * the filled rows.
 *
 * mask: score to score plus unmasked mask, 256 entries from -128. exp: as for thimble_softmax_s8.
 * head_dim is a multiple of 4, at most 64. */
typedef struct {
    const int8_t *mask;
    const int32_t *exp;
    int32_t kv_heads, group, context, head_dim;
    int32_t q_offset, k_offset;
    thimble_product_scale score;
    int32_t masked_score;
    int32_t v_offset;
    thimble_product_scale out;
} thimble_attention_s8_params;

/* Rows that the packed caches hold for `context` of them. */
#define THIMBLE_CACHE_ROWS(context) (((context) + 3) & ~3)

/* Attention reads rows of both caches up to the next multiple of 4 behind `position`: what they hold has no effect, but
 * RAM with ECC wants them to have been written once, as thimble_reset does. */

/* Bytes of scratch, 4-byte aligned: a widened query and a weight for each row. */
#define THIMBLE_ATTENTION_SCRATCH(context, head_dim) (2 * THIMBLE_CACHE_ROWS(context) + 2 * (head_dim))

/* Puts K and V rows, [kv_heads][head_dim] each, into the cache. Of `tokens` tokens the first has position `position`,
 * the next the one before.
 *
 * Both caches are packed as weights are: K of a head as a matrix [context][head_dim], V as one [head_dim][context], so
 * that scores and outputs are matrix-vector products. */
void thimble_append_pairs_s8(const thimble_attention_s8_params *p, const int8_t *k, const int8_t *v, int8_t *k_cache,
                             int8_t *v_cache, int32_t position, int32_t tokens) THIMBLE_HOT(append_pairs_s8);

void thimble_attention_pairs_s8(const thimble_attention_s8_params *p, const int8_t *q, const int8_t *k_cache,
                                const int8_t *v_cache, int32_t position, int8_t *out, void *scratch, int32_t tokens)
    THIMBLE_HOT(attention_pairs_s8);

/* The same with plain rows: the caches are K of a head as [context][head_dim] and V, each value plus 128 and unsigned,
 * as [head_dim][context], both with THIMBLE_CACHE_ROWS(context) instead of the context. Up to 15 bytes after the K
 * cache (V's may lie there) are read, and have no effect. scratch: THIMBLE_CACHE_ROWS(context) bytes. */
void thimble_append_rows_s8(const thimble_attention_s8_params *p, const int8_t *k, const int8_t *v, int8_t *k_cache,
                            int8_t *v_cache, int32_t position, int32_t tokens) THIMBLE_HOT(append_rows_s8);

void thimble_attention_rows_s8(const thimble_attention_s8_params *p, const int8_t *q, const int8_t *k_cache,
                               const int8_t *v_cache, int32_t position, int8_t *out, void *scratch, int32_t tokens)
    THIMBLE_HOT(attention_rows_s8);

/* Rotary positions without end: pair i of a head has turned rates[i] * position, modulo a whole turn of 2^32. */
typedef struct {
    const uint32_t *rates; /* [pairs] */
    const int16_t *sines;  /* [129]: a quarter of a sine, in 1/32767 */
    int32_t pairs;
    int32_t multiplier, zero_point; /* from 1/32767 to a tensor's integers, in 2^-24 */
} thimble_turn_params;

/* rotation: [pairs][2][2], what a pair is multiplied with: cos, sin; -sin, cos. position: 0..2^31-1. */
void thimble_turn_s8(const thimble_turn_params *p, int32_t position, int8_t *rotation) THIMBLE_HOT(turn_s8);
void thimble_turn_s16(const thimble_turn_params *p, int32_t position, int16_t *rotation) THIMBLE_HOT(turn_s16);

#ifdef __cplusplus
}
#endif

#include "thimble_kernels_compressed_s8.h"
#include "thimble_kernels_s16.h"

#endif

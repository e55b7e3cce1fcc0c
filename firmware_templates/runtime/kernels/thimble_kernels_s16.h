/* The kernels of a decode step with int16 activations and int8 weights.
 *
 * Every int16 tensor is symmetric: q means scale * q. A shift is that of a multiplier * 2^(shift - 31). Kernels that
 * say "twice" round as thimble_multiply does; those that sum in 64 bits round once, as thimble_requantize_s16 does. */
#ifndef THIMBLE_KERNELS_S16_H
#define THIMBLE_KERNELS_S16_H

#include <stdint.h>

#include "thimble_place.h"

#ifdef __cplusplus
extern "C" {
#endif

/* One operand of an element-wise kernel: row r, column c is data[r * row_stride + c * step]. A step of 0 repeats one
 * value along a row, a row_stride of 0 repeats one row. */
typedef struct {
    const int16_t *data;
    int32_t row_stride;
    int32_t step;
} thimble_operand_s16;

/* y = clamp(W x * scale), one row of W an output.
 *
 * Weights are packed in blocks of four rows and four columns, missing ones zero: eight halfwords 256 * w[r][c] +
 * w[r+1][c], first those of rows 0 and 1 at columns 0..3, then those of rows 2 and 3. 256 a + b is summed over the
 * depth in 64 bits, b alone in 32 bits: both come apart while |sum| and |sum + bias| stay below 2^31, which the
 * compiler proves for each row from its weights. multiplier[r] is the 16-bit multiplier of the row, shifted left so
 * that the result is the high word of a product; bias may be NULL. x and weights are 4-byte aligned, x is readable up
 * to a multiple of 4 columns. */
typedef struct {
    const int16_t *weights;
    const int32_t *bias;
    const int32_t *multiplier;
    int32_t depth;
    int32_t rows;
    int32_t out_min;
    int32_t out_max;
} thimble_fully_connected_s16_params;

void thimble_fully_connected_s16(const thimble_fully_connected_s16_params *p, const int16_t *x, int16_t *out)
    THIMBLE_HOT(fully_connected_s16);

/* The same for plain int8 rows, all -128 of them too, missing rows up to a multiple of four zero; bias and multiplier
 * as many. Sums have 32 bits, under the same condition. */
typedef struct {
    const int8_t *weights;
    const int32_t *bias;
    const int32_t *multiplier;
    int32_t depth;
    int32_t rows;
    int32_t out_min;
    int32_t out_max;
} thimble_fully_connected_rows_s16_params;

void thimble_fully_connected_rows_s16(const thimble_fully_connected_rows_s16_params *p, const int16_t *x, int16_t *out)
    THIMBLE_HOT(fully_connected_rows_s16);

/* The same for weights that cannot be summed so: plain int8 rows, any scale, 64-bit biases. With `narrow`, the sum has
 * 32 bits and is rounded twice, as TensorFlow Lite Micro does for 32-bit biases. */
typedef struct {
    const int8_t *weights;
    const int64_t *bias;
    const int32_t *multiplier; /* 16 bits, or 32 bits with `narrow` */
    const int8_t *shift;
    int32_t depth;
    int32_t rows;
    int32_t out_min;
    int32_t out_max;
    int32_t narrow;
} thimble_fully_connected_plain_s16_params;

void thimble_fully_connected_plain_s16(const thimble_fully_connected_plain_s16_params *p, const int16_t *x,
                                       int16_t *out) THIMBLE_HOT(fully_connected_plain_s16);

/* out = clamp((+-x +- y) * scale), rounded twice: each input is shifted left by 15, scaled, added, scaled again.
 *
 * x is the one of the larger scale: it is halved, so in all shifted left by 14. Where y has the same scale it is halved
 * twice, without loss, and doubled again by its factor. */
typedef struct {
    int32_t x_factor;                  /* 2^14, negative where x is subtracted */
    int32_t y_multiplier, y_right;     /* 1 <= y_right <= 31 */
    int32_t y_factor;                  /* 1, or 2 for equal scales; negative where y is subtracted */
    int32_t out_multiplier, out_right; /* 1 <= out_right <= 31 */
    int32_t out_min, out_max;
} thimble_add_s16_params;

void thimble_add_s16(const thimble_add_s16_params *p, thimble_operand_s16 x, thimble_operand_s16 y, int16_t *out,
                     int32_t out_stride, int32_t rows, int32_t columns) THIMBLE_HOT(add_s16);

/* out = clamp(a * b * scale), rounded twice; out_shift <= 0. */
typedef struct {
    int32_t out_multiplier, out_shift;
    int32_t out_min, out_max;
} thimble_mul_s16_params;

void thimble_mul_s16(const thimble_mul_s16_params *p, thimble_operand_s16 a, thimble_operand_s16 b, int16_t *out,
                     int32_t out_stride, int32_t rows, int32_t columns) THIMBLE_HOT(mul_s16);

/* out = clamp(in * scale), rounded twice: QUANTIZE, RELU, RELU6. -31 <= shift <= 14. */
typedef struct {
    int32_t multiplier, shift;
    int32_t out_min, out_max;
} thimble_scale_s16_params;

void thimble_scale_s16(const thimble_scale_s16_params *p, thimble_operand_s16 in, int16_t *out, int32_t out_stride,
                       int32_t rows, int32_t columns) THIMBLE_HOT(scale_s16);

/* in * multiplier where it is not negative, else in * slope_multiplier; -31 <= shift, slope_shift <= 14. */
typedef struct {
    int32_t multiplier, shift;
    int32_t slope_multiplier, slope_shift;
} thimble_leaky_relu_s16_params;

void thimble_leaky_relu_s16(const thimble_leaky_relu_s16_params *p, thimble_operand_s16 in, int16_t *out,
                            int32_t out_stride, int32_t rows, int32_t columns) THIMBLE_HOT(leaky_relu_s16);

/* out = (a - b)^2, both scaled to twice the larger scale first: -31 <= a_shift, b_shift <= 0, and one of both
 * multipliers is 2^30; -31 <= out_shift <= 0. */
typedef struct {
    int32_t a_multiplier, a_shift, b_multiplier, b_shift;
    int32_t out_multiplier, out_shift;
} thimble_squared_difference_s16_params;

void thimble_squared_difference_s16(const thimble_squared_difference_s16_params *p, thimble_operand_s16 a,
                                    thimble_operand_s16 b, int16_t *out, int32_t out_stride, int32_t rows,
                                    int32_t columns) THIMBLE_HOT(squared_difference_s16);

/* QUANTIZE between the two widths; -31 <= shift <= 14, or 22 from int8. The zero point is that of the int8 side. */
void thimble_quantize_s8_s16(const int8_t *in, int32_t zero_point, int32_t multiplier, int32_t shift, int16_t *out,
                             int32_t count) THIMBLE_HOT(quantize_s8_s16);
void thimble_quantize_s16_s8(const int16_t *in, int32_t zero_point, int32_t multiplier, int32_t shift, int8_t *out,
                             int32_t count) THIMBLE_HOT(quantize_s16_s8);

/* LOGISTIC or TANH of in * multiplier / 2^shift, looked up in 256 values of 1 / (1 + e^(-i / 24)), Q0.16, and
 * interpolated. */
void thimble_logistic_s16(const uint16_t *table, int32_t multiplier, int32_t shift, const int16_t *in, int16_t *out,
                          int32_t count) THIMBLE_HOT(logistic_s16);
void thimble_tanh_s16(const uint16_t *table, int32_t multiplier, int32_t shift, const int16_t *in, int16_t *out,
                      int32_t count) THIMBLE_HOT(tanh_s16);

/* out[r] = mean of row r, rounded twice; the multiplier holds 1 / columns. columns <= 32768. */
void thimble_mean_s16(int32_t multiplier, int32_t shift, const int16_t *in, int16_t *out, int32_t rows, int32_t columns)
    THIMBLE_HOT(mean_s16);

/* out = 1 / sqrt(in * in_scale + epsilon) / out_scale in float32, of a norm's one number. in >= 0, epsilon > 0. */
void thimble_root_s16(float in_scale, float epsilon, float out_scale, const int16_t *in, int16_t *out, int32_t count)
    THIMBLE_HOT(root_s16);

/* Tables of softmax: 513 values of e^x for x in -10..0 and of 1 / (1 + x) for x in 0..1, Q0.15, to be interpolated.
 * A difference to the row's largest value times the multiplier is in steps of 10 / 65535. shift <= 13. */
typedef struct {
    const int16_t *exp;
    const int16_t *reciprocal;
    int32_t multiplier, shift;
} thimble_softmax_s16_params;

/* out[r] = softmax of row r, scale 1/32768. columns <= 65536. */
void thimble_softmax_s16(const thimble_softmax_s16_params *p, const int16_t *in, int16_t *out, int32_t rows,
                         int32_t columns) THIMBLE_HOT(softmax_s16);

/* out[b] = clamp(a[b] * B[b] * scale) for each of `batches`, summed in 64 bits; B is [depth, columns], or [columns,
 * depth] when transposed. b_batch_stride may be 0 (one B for all). out_multiplier has 16 bits. */
typedef struct {
    int32_t out_multiplier, out_shift;
    int32_t batches, rows, depth, columns;
    int32_t a_batch_stride, b_batch_stride;
    int32_t b_transposed;
} thimble_batch_matmul_s16_params;

void thimble_batch_matmul_s16(const thimble_batch_matmul_s16_params *p, const int16_t *a, const int16_t *b,
                              int16_t *out) THIMBLE_HOT(batch_matmul_s16);

/* Rotary positions: each head's halves a and b, [2][half], become clamp((a, b) R * scale) for the pairs' matrices R,
 * summed in 64 bits. rotation: [half][2][2]. out_multiplier has 16 bits. */
typedef struct {
    int32_t heads, half;
    int32_t out_multiplier, out_shift;
} thimble_rotary_s16_params;

void thimble_rotary_s16(const thimble_rotary_s16_params *p, const int16_t *x, const int16_t *rotation, int16_t *out)
    THIMBLE_HOT(rotary_s16);

/* Attention of one new token over the KV cache.
 *
 * out[h] = softmax(q[h] . K + mask) . V over rows 0..position of the caches [kv_heads][context][head_dim]; q and out
 * are [kv_heads][group][head_dim]. thimble_append_s16 has written the token's own rows, [kv_heads][head_dim], before.
 *
 * The .tflite computes over all context + 1 columns with a mask added. Rows from `position` on hold zeros there, so
 * each masked score is one known value, `masked_score`: it takes part in the maximum and, (context - position) times,
 * in the sum of exponentials; its V rows are zero. The result is the same to the byte, for the cost of the filled rows.
 *
 * scaling: scores are first multiplied with `factor`, a number of int16, as thimble_mul_s16 does; NULL: they are not.
 * mask: how an unmasked score becomes the softmax's input; NULL where it stays as it is.
 * head_dim is a multiple of 4; context < 1024. scratch: THIMBLE_ATTENTION_S16_SCRATCH bytes. All is 4-byte aligned. */
typedef struct {
    const thimble_add_s16_params *mask;
    thimble_softmax_s16_params softmax;
    int32_t kv_heads, group, context, head_dim;
    int32_t score_multiplier, score_shift; /* 16 bits */
    int32_t unmasked;
    int32_t unmasked_first; /* whether the mask is the operand of the larger scale */
    int32_t masked_score;
    int32_t out_multiplier; /* as a row's of thimble_fully_connected_s16 */
    const thimble_mul_s16_params *scaling;
    int32_t factor;
} thimble_attention_s16_params;

#define THIMBLE_ATTENTION_S16_SCRATCH(context) (2 * (((context) + 1) / 2 * 2))

void thimble_append_s16(const thimble_attention_s16_params *p, const int16_t *k_new, const int16_t *v_new,
                        int16_t *k_cache, int16_t *v_cache, int32_t position) THIMBLE_HOT(append_s16);

void thimble_attention_s16(const thimble_attention_s16_params *p, const int16_t *q, const int16_t *k_cache,
                           const int16_t *v_cache, int32_t position, int16_t *out, int16_t *scratch)
    THIMBLE_HOT(attention_s16);

#ifdef __cplusplus
}
#endif

#endif

/* Products with compressed weights; an image holds those that its model calls. The compiler finds what a .tflite's
 * weights allow (docs/compression.md), and the outputs are those of the weights as they were. */
#ifndef THIMBLE_KERNELS_COMPRESSED_S8_H
#define THIMBLE_KERNELS_COMPRESSED_S8_H

#include <stdint.h>

#include "thimble_place.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The form of inputs that weights in blocks are multiplied with: of every `columns` inputs, 4 or 8, the word -256 times
 * the sum of x + offset, then 2 * (x + offset) of each as int16; beyond `depth` zeros. */
#define THIMBLE_BLOCKS_BYTES(depth, columns) (((depth) + (columns) - 1) / (columns) * (4 + 2 * (columns)))

/* Makes it; out: THIMBLE_BLOCKS_BYTES(depth, columns), 4-byte aligned. */
void thimble_widen_blocks_s8(const int8_t *in, int32_t offset, int32_t *out, int32_t depth, int32_t columns)
    THIMBLE_HOT(widen_blocks_s8);

/* y = W x * scale + zero_point, of which only blocks of four rows and 4 or 8 columns that are not all zero are kept, as
 * thimble_blocks.h tells. Of any row |sum + bias| < 2^22, right shifts are 1..16, and the output before it is limited
 * is below 2^14 in size, all of which the compiler proves. */
typedef struct {
    const int32_t *stream;
    int32_t out_zero_point;
} thimble_fully_connected_blocks_s8_params;

/* x: made by thimble_widen_blocks_s8; out: rows, rounded up to 4. */
void thimble_fully_connected_blocks4_s8(const thimble_fully_connected_blocks_s8_params *p, const int32_t *x,
                                        int8_t *out) THIMBLE_HOT(fully_connected_blocks4_s8);
void thimble_fully_connected_blocks8_s8(const thimble_fully_connected_blocks_s8_params *p, const int32_t *x,
                                        int8_t *out) THIMBLE_HOT(fully_connected_blocks8_s8);

/* The same for weights of -8..7, four bits each, as thimble_fully_connected_nibbles_s8.c tells; constants are as for
 * thimble_fully_connected_pairs_s8. Of every fourth row |sum| < 2^19, of the others < 2^23; of any |sum + bias| < 2^30,
 * right shifts are 1..31, and the output before it is limited is below 2^14 in size. */
typedef struct {
    const uint32_t *weights;
    const int32_t *constants;
    int32_t biased;
    int32_t depth;
    int32_t rows;
    int32_t out_zero_point;
} thimble_fully_connected_nibbles_s8_params;

/* x: widened by thimble_widen_s8, one token; out: rows, rounded up to 4. */
void thimble_fully_connected_nibbles_s8(const thimble_fully_connected_nibbles_s8_params *p, const int16_t *x,
                                        int8_t *out) THIMBLE_HOT(fully_connected_nibbles_s8);

/* The form of inputs that weights with `kept`, 1 or 2, of every four columns are multiplied with: for every pair of
 * columns at which a pair of weights may stand x + offset of both, as int16 in a word. With 1 kept, of eight columns
 * the first of each word is one of the first four, the second one of the others: 16 words, the first changing fastest.
 * With 2 kept, of four columns: 6 words, for 01, 02, 03, 12, 13, 23. */
#define THIMBLE_PICKED_BYTES(depth, kept) (((depth) * (kept) + 15) / 16 * ((kept) == 1 ? 128 : 48))

/* Makes it; out: THIMBLE_PICKED_BYTES(depth, kept), 4-byte aligned. */
void thimble_widen_picked_s8(const int8_t *in, int32_t offset, int32_t *out, int32_t depth, int32_t kept)
    THIMBLE_HOT(widen_picked_s8);

/* y = W x * scale + zero_point, of whose weights each row has at most `kept` in every four columns, as
 * thimble_fully_connected_picked_s8.c tells: so many `words` of four weights a row. Constants are as for
 * thimble_fully_connected_pairs_s8. */
typedef struct {
    const uint32_t *weights;
    const int32_t *constants;
    int32_t biased;
    int32_t rows;
    int32_t words;
    int32_t kept;
    int32_t out_zero_point;
} thimble_fully_connected_picked_s8_params;

/* x: made by thimble_widen_picked_s8; out: rows. */
void thimble_fully_connected_picked_s8(const thimble_fully_connected_picked_s8_params *p, const int32_t *x, int8_t *out)
    THIMBLE_HOT(fully_connected_picked_s8);

#ifdef __cplusplus
}
#endif

#endif

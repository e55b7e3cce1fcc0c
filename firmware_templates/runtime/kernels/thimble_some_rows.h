/* Parameters of some of a product's rows: `count` of them from `first` on, a multiple of 4. With these a product writes
 * outputs first..first + count - 1, whose place the caller gives; they are those of the whole product. */
#ifndef THIMBLE_SOME_ROWS_H
#define THIMBLE_SOME_ROWS_H

#include "thimble_kernels.h"

/* Rows are in fours, with constants for each four as pairs have them. */
static inline const int32_t *thimble_constants_of(const int32_t *constants, int32_t biased, int32_t first)
{
    return constants + first / 4 * (biased ? 9 : 5);
}

static inline thimble_fully_connected_packed_s8_params thimble_some_packed_rows_s8(
    const thimble_fully_connected_packed_s8_params *p, int32_t first, int32_t count)
{
    thimble_fully_connected_packed_s8_params part = *p;
    part.weights = (const int8_t *)p->weights + first * ((p->depth + 3) & ~3);
    part.constants = thimble_constants_of(p->constants, p->biased, first);
    part.rows = count;
    return part;
}

static inline thimble_fully_connected_rows_s8_params thimble_some_rows_s8(
    const thimble_fully_connected_rows_s8_params *p, int32_t first, int32_t count)
{
    thimble_fully_connected_rows_s8_params part = *p;
    part.weights += first * p->depth;
    part.bias += first;
    part.multiplier += first;
    part.shift += first;
    part.rows = count;
    return part;
}

static inline thimble_fully_connected_nibbles_s8_params thimble_some_nibble_rows_s8(
    const thimble_fully_connected_nibbles_s8_params *p, int32_t first, int32_t count)
{
    thimble_fully_connected_nibbles_s8_params part = *p;
    part.weights += first / 4 * (((p->depth + 3) & ~3) / 2); /* a word for four rows at two columns */
    part.constants = thimble_constants_of(p->constants, p->biased, first);
    part.rows = count;
    return part;
}

static inline thimble_fully_connected_picked_s8_params thimble_some_picked_rows_s8(
    const thimble_fully_connected_picked_s8_params *p, int32_t first, int32_t count)
{
    thimble_fully_connected_picked_s8_params part = *p;
    part.weights += first * (p->words + (p->words + 3) / 4); /* a word of places before every four */
    part.constants = thimble_constants_of(p->constants, p->biased, first);
    part.rows = count;
    return part;
}

static inline thimble_fully_connected_s16_params thimble_some_packed_rows_s16(
    const thimble_fully_connected_s16_params *p, int32_t first, int32_t count)
{
    thimble_fully_connected_s16_params part = *p;
    part.weights += first * ((p->depth + 3) & ~3) / 2; /* a halfword for two rows at a column */
    part.bias = p->bias ? p->bias + first : p->bias;
    part.multiplier += first;
    part.rows = count;
    return part;
}

static inline thimble_fully_connected_rows_s16_params thimble_some_rows_s16(
    const thimble_fully_connected_rows_s16_params *p, int32_t first, int32_t count)
{
    thimble_fully_connected_rows_s16_params part = *p;
    part.weights += first * p->depth;
    part.bias = p->bias ? p->bias + first : p->bias;
    part.multiplier += first;
    part.rows = count;
    return part;
}

static inline thimble_fully_connected_plain_s16_params thimble_some_plain_rows_s16(
    const thimble_fully_connected_plain_s16_params *p, int32_t first, int32_t count)
{
    thimble_fully_connected_plain_s16_params part = *p;
    part.weights += first * p->depth;
    part.bias = p->bias ? p->bias + first : p->bias;
    part.multiplier += first;
    part.shift += first;
    part.rows = count;
    return part;
}

#endif

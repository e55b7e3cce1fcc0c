/* A token's embedding from the weights of the logits' product, in the order in which that reads them. */
#include "thimble_bodies.h"
#include "thimble_helium.h"
#include "thimble_kernels.h"

static inline const uint8_t *corrections_of(const thimble_embedding_s8_params *p, int32_t row)
{
    return p->corrections + row * p->planes * (p->columns / 8);
}

/* Adds what the planes of the corrections count, but for the first; few of their bits are set. */
static inline THIMBLE_HOT(add_further_planes) void add_further_planes(const thimble_embedding_s8_params *p, int32_t row,
                                                                      int8_t *out)
{
    const int32_t bytes = p->columns / 8;
    const uint8_t *corrections = corrections_of(p, row) + bytes;
    for (int32_t plane = 1; plane < p->planes; plane++) {
        for (int32_t byte = 0; byte < bytes; byte++) {
            int8_t *y = out + 8 * byte;
            for (int32_t bits = *corrections++; bits; bits >>= 1, y++) {
                *y = (int8_t)(*y + ((bits & 1) << plane));
            }
        }
    }
}

/* The weight of a row and column of p->weights. */
typedef int32_t (*weight_at)(const thimble_embedding_s8_params *p, int32_t row, int32_t column);

static inline THIMBLE_HOT(embed) void embed(const thimble_embedding_s8_params *parameters, int32_t row,
                                            weight_at weight, int8_t *out)
{
    const thimble_embedding_s8_params p = *parameters; /* which `out` does not change */
    const int32_t row_scale = p.row_scales[row];
    const uint8_t *corrections = corrections_of(&p, row);
    for (int32_t column = 0; column < p.columns;) {
        for (int32_t bits = *corrections++ | 0x100; bits != 1; bits >>= 1, column++) {
            const int32_t factor = (row_scale * p.column_scales[column]) >> 15;
            out[column] = (int8_t)(p.base + ((weight(&p, row, column) * factor) >> 13) + (bits & 1));
        }
    }
    add_further_planes(&p, row, out);
}

/* Of the halfwords 256 a + b and 256 c + (d + 128), each at two columns: thimble_fully_connected_pairs_s8.c. */
static inline const int16_t *pairs_of(const thimble_embedding_s8_params *p, int32_t row)
{
    return (const int16_t *)p->weights + row / 4 * 2 * p->columns + (row & 2);
}

#ifndef THIMBLE_DSP

static inline THIMBLE_HOT(weight_in_pairs) int32_t
    weight_in_pairs(const thimble_embedding_s8_params *p, int32_t row, int32_t column)
{
    const int32_t pair = pairs_of(p, row)[(column & ~1) * 2 + (column & 1)];
    switch (row % 4) {
    case 0: return (pair + 128) >> 8;
    case 1: return (int8_t)pair;
    case 2: return pair >> 8;
    default: return (pair & 0xff) - 128;
    }
}

void thimble_embedding_pairs_s8(const thimble_embedding_s8_params *p, int32_t token, int8_t *out)
{
    embed(p, token, weight_in_pairs, out);
}

#else
#include "thimble_embedding_s8_dsp.h"
#endif

/* A byte of the words d + 128, c + 128, b + 128, a: thimble_fully_connected_quads_s8.c. */
static inline THIMBLE_HOT(weight_in_quads) int32_t
    weight_in_quads(const thimble_embedding_s8_params *p, int32_t row, int32_t column)
{
    const uint32_t *const block = (const uint32_t *)p->weights + row / 4 * p->columns;
    const int32_t offset = row % 4 ? 0x80 : 0;
    return (int8_t)((int32_t)(block[column] >> (24 - 8 * (row % 4)) & 0xff) ^ offset);
}

void thimble_embedding_quads_s8(const thimble_embedding_s8_params *p, int32_t token, int8_t *out)
{
    embed(p, token, weight_in_quads, out);
}

#ifndef THIMBLE_HELIUM

static inline THIMBLE_HOT(weight_in_rows) int32_t
    weight_in_rows(const thimble_embedding_s8_params *p, int32_t row, int32_t column)
{
    return ((const int8_t *)p->weights)[row * p->columns + column];
}

void thimble_embedding_rows_s8(const thimble_embedding_s8_params *p, int32_t token, int8_t *out)
{
    embed(p, token, weight_in_rows, out);
}

#else
#include "thimble_embedding_s8_mve.h"
#endif

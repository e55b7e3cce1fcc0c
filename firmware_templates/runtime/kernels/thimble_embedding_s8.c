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

#ifdef THIMBLE_DSP

/* Two columns. A row's weights are a byte of both halfwords, once 128 is added where the byte below carries or is
 * d + 128; a correction is the carry of a shift. */
/* clang-format off */
#define TWO_COLUMNS                                           \
    "ldr     %[w], [%[weights]], #8\n\t"                      \
    "ldr     %[c], [%[scales]], #4\n\t"                       \
    "sadd16  %[w], %[w], %[carry]\n\t"                        \
    "smulwb  %[product], %[twice_row_scale], %[c]\n\t"        \
    "lsr     %[w], %[w], %[shift]\n\t"                        \
    "smulwt  %[c], %[twice_row_scale], %[c]\n\t"              \
    "sxtb16  %[w], %[w]\n\t"                                  \
    "smulbb  %[product], %[w], %[product]\n\t"                \
    "smultb  %[c], %[w], %[c]\n\t"                            \
    "lsrs    %[bits], %[bits], #1\n\t"                        \
    "adc     %[product], %[base], %[product], asr #13\n\t"    \
    "lsrs    %[bits], %[bits], #1\n\t"                        \
    "adc     %[c], %[base], %[c], asr #13\n\t"                \
    "strb    %[product], [%[y]], #1\n\t"                      \
    "strb    %[c], [%[y]], #1\n\t"
/* clang-format on */

void thimble_embedding_pairs_s8(const thimble_embedding_s8_params *p, int32_t token, int8_t *out)
{
    const int16_t *weights = pairs_of(p, token), *scales = p->column_scales;
    const int32_t twice_row_scale = 2 * p->row_scales[token], base = p->base;
    const uint32_t carry = (token + 1) & 2 ? 0 : 0x00800080;
    const int32_t shift = token & 1 ? 0 : 8;
    const uint8_t *corrections = corrections_of(p, token);
    const int8_t *const end = out + p->columns;
    for (int8_t *y = out; y != end;) {
        uint32_t bits = *corrections++, w, c, product;
        /* clang-format off */
        __asm__ volatile(TWO_COLUMNS TWO_COLUMNS TWO_COLUMNS TWO_COLUMNS
                         : [weights] "+&r"(weights), [scales] "+&r"(scales), [y] "+&r"(y), [bits] "+&r"(bits),
                           [w] "=&r"(w), [c] "=&r"(c), [product] "=&r"(product)
                         : [twice_row_scale] "r"(twice_row_scale), [base] "r"(base), [carry] "r"(carry),
                           [shift] "r"(shift)
                         : "cc", "memory");
        /* clang-format on */
    }
    add_further_planes(p, token, out);
}

#else

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

#ifdef THIMBLE_HELIUM

void thimble_embedding_rows_s8(const thimble_embedding_s8_params *p, int32_t token, int8_t *out)
{
    const int8_t *weights = (const int8_t *)p->weights + token * p->columns;
    const int16_t *scales = p->column_scales;
    const int16x8_t row_scale = vdupq_n_s16(p->row_scales[token]), base = vdupq_n_s16((int16_t)p->base);
    const int16x8_t lowest = vdupq_n_s16(1), lanes = vnegq_s16(vreinterpretq_s16_u16(vidupq_n_u16(0, 1)));
    const uint8_t *corrections = corrections_of(p, token);
    int8_t *y = out;
    for (int32_t eights = p->columns / 8; eights > 0; eights--, weights += 8, scales += 8, y += 8) {
        const int16x8_t factor = vqdmulhq_s16(vldrhq_s16(scales), row_scale);
        const int16x8_t product = vmulhq_s16(vshlq_n_s16(vldrbq_s16(weights), 8), factor);
        const int16x8_t bits = vandq_s16(vshlq_s16(vdupq_n_s16(*corrections++), lanes), lowest);
        vstrbq_s16(y, vaddq_s16(vaddq_s16(vshrq_n_s16(product, 5), base), bits));
    }
    add_further_planes(p, token, out);
}

#else

static inline THIMBLE_HOT(weight_in_rows) int32_t
    weight_in_rows(const thimble_embedding_s8_params *p, int32_t row, int32_t column)
{
    return ((const int8_t *)p->weights)[row * p->columns + column];
}

void thimble_embedding_rows_s8(const thimble_embedding_s8_params *p, int32_t token, int8_t *out)
{
    embed(p, token, weight_in_rows, out);
}

#endif

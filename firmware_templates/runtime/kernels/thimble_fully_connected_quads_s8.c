/* Products with weights packed in quads, for cores that multiply words but have no DSP instructions (Cortex-M3, RV32,
 * Xtensa).
 *
 * A word holds four rows a, b, c, d at one column: the bytes d + 128, c + 128, b + 128 and a, the lowest first. MLA of
 * the whole word, of its upper half and of its middle half make three sums that thimble_packed_rows.h takes apart: five
 * instructions for four multiply-accumulates, and eight cycles, for MLA takes two on a Cortex-M3. SMLAL could do it in
 * four instructions, but takes four to seven cycles there, twice. */
#include "thimble_packed_rows.h"

/* What lies behind a token's x. */
static THIMBLE_HOT(excess_of) int32_t excess_of(const int16_t *x_end)
{
    int32_t excess;
    __builtin_memcpy(&excess, x_end, 4);
    return excess;
}

#if defined(THIMBLE_THUMB2) || defined(THIMBLE_WORD_PRODUCTS)

/* What the 128 of b, c and d add to a token's sums, negative. */
static inline void start(uint32_t *all, uint32_t *upper, uint32_t *middle, uint32_t excess)
{
    *upper = 0u - excess;
    *middle = *upper * 0x101u;
    *all = *upper * 0x10101u;
}

#endif

#if !defined(THIMBLE_THUMB2) && !defined(THIMBLE_WORD_PRODUCTS)

/* One column: the bytes of its word times x. */
static inline void add_column(thimble_row_sums *sums, int32_t word, int32_t x)
{
    sums->row[0] += (word >> 24) * x;
    sums->row[1] += (word >> 16 & 0xff) * x;
    sums->row[2] += (word >> 8 & 0xff) * x;
    sums->row[3] += (word & 0xff) * x;
}

/* The sums of four rows, part by part: in parts only the fast body's sums differ. */
static THIMBLE_HOT(sum_parts) thimble_row_sums
    sum_parts(const int32_t *words, const int16_t *x, int32_t depth, int32_t part)
{
    const int32_t excess = excess_of(x + depth);
    thimble_row_sums sums = {{0, -excess, -excess, -excess}};
    (void)part;
    for (int32_t column = 0; column < depth; column++) {
        add_column(&sums, words[column], x[column]);
    }
    return sums;
}

/* One token, or two, whose words of x alternate. */
static THIMBLE_HOT(multiply_tokens) void multiply_tokens(const thimble_fully_connected_packed_s8_params *p,
                                                         const int16_t *x, int8_t *out, int32_t two)
{
    const int32_t depth = (p->depth + 3) & ~3, tokens = two ? 2 : 1;
    for (int32_t token = 0; token < tokens; token++, x += 2, out += THIMBLE_TOKEN_BYTES(p->rows)) {
        const int32_t *words = p->weights, *constants = p->constants;
        const int32_t excess = excess_of(x + tokens * depth);
        for (int32_t row = 0; row < p->rows; row += 4, words += depth, constants += thimble_row_constants(p)) {
            thimble_row_sums sums = {{0, -excess, -excess, -excess}};
            for (int32_t column = 0; column < depth; column++) {
                add_column(&sums, words[column], x[column / 2 * 2 * tokens + column % 2]);
            }
            thimble_put_rows(p, constants, &sums, out + row);
        }
    }
}

#elif defined(THIMBLE_THUMB2)
#include "thimble_fully_connected_quads_s8_thumb2.h"
#else
#include "thimble_fully_connected_quads_s8_words.h"
#endif

void thimble_fully_connected_quads_s8(const thimble_fully_connected_packed_s8_params *p, const int16_t *x, int8_t *out,
                                      int32_t tokens)
{
    for (; tokens > 0; tokens -= 2, x += THIMBLE_WIDE_BYTES(p->depth), out += 2 * THIMBLE_TOKEN_BYTES(p->rows)) {
        multiply_tokens(p, x, out, tokens > 1);
    }
}

/* Where one sum of a row might not come apart. */
void thimble_fully_connected_quads_parts_s8(const thimble_fully_connected_packed_s8_params *p, const int16_t *x,
                                            int8_t *out)
{
    const int32_t depth = (p->depth + 3) & ~3;
    const int32_t *words = p->weights, *constants = p->constants;
    for (int32_t row = 0; row < p->rows; row += 4, words += depth, constants += thimble_row_constants(p)) {
        const thimble_row_sums sums = sum_parts(words, x, depth, p->part);
        thimble_put_rows(p, constants, &sums, out + row);
    }
}

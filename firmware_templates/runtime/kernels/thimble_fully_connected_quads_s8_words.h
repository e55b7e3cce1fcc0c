/* A body of thimble_fully_connected_quads_s8.c, for cores that multiply words, and no more (RV32, Xtensa). */
#ifndef THIMBLE_FULLY_CONNECTED_QUADS_S8_WORDS_H
#define THIMBLE_FULLY_CONNECTED_QUADS_S8_WORDS_H

/* The three sums of a token's four rows. */
typedef struct {
    uint32_t all, upper, middle;
} word_sums;

static inline word_sums sums_from(const int16_t *x_end)
{
    word_sums sums;
    start(&sums.all, &sums.upper, &sums.middle, (uint32_t)excess_of(x_end));
    return sums;
}

static inline thimble_row_sums rows_of(const word_sums *sums)
{
    return thimble_take_apart(sums->upper, sums->middle, sums->all - (sums->upper << 16));
}

/* One column: its word, the word's upper half and its middle half times x. */
static inline void add_column(word_sums *sums, int32_t word, int32_t upper, uint32_t middle, int32_t x)
{
    sums->all += (uint32_t)word * (uint32_t)x;
    sums->upper += (uint32_t)upper * (uint32_t)x;
    sums->middle += middle * (uint32_t)x;
}

/* A column of four rows. */
static inline void add_word(word_sums *sums, int32_t word, int32_t x)
{
    add_column(sums, word, word >> 16, (uint32_t)word << 8 >> 16, x);
}

/* The sums of four rows, part by part. */
static THIMBLE_HOT(sum_parts) thimble_row_sums
    sum_parts(const int32_t *words, const int16_t *x, int32_t depth, int32_t part)
{
    const int32_t excess = excess_of(x + depth);
    thimble_row_sums sums = {{0, -excess, -excess, -excess}};
    for (int32_t done = 0; done < depth; done += part) {
        const int32_t end = depth - done < part ? depth : done + part;
        word_sums some = {0, 0, 0};
        for (int32_t column = done; column < end; column++) {
            add_word(&some, words[column], x[column]);
        }
        const thimble_row_sums more = rows_of(&some);
        for (int32_t i = 0; i < 4; i++) {
            sums.row[i] += more.row[i];
        }
    }
    return sums;
}

__attribute__((noinline)) static THIMBLE_HOT(multiply_one) void multiply_one(
    const thimble_fully_connected_packed_s8_params *p, const int16_t *x, int8_t *out)
{
    const int32_t depth = (p->depth + 3) & ~3, step = thimble_row_constants(p);
    const int32_t *words = p->weights, *constants = p->constants;
    const word_sums begin = sums_from(x + depth);
    for (int32_t row = 0; row < p->rows; row += 4, constants += step, out += 4) {
        word_sums sums = begin;
        const int16_t *at = x;
        for (const int32_t *const end = words + depth; words < end; words += 4, at += 4) {
#pragma GCC unroll 4
            for (int32_t i = 0; i < 4; i++) {
                add_word(&sums, words[i], at[i]);
            }
        }
        const thimble_row_sums rows = rows_of(&sums);
        thimble_put_rows(p, constants, &rows, out);
    }
}

/* Two tokens, whose columns come two and two. */
__attribute__((noinline)) static THIMBLE_HOT(multiply_two) void multiply_two(
    const thimble_fully_connected_packed_s8_params *p, const int16_t *x, int8_t *out)
{
    const int32_t depth = (p->depth + 3) & ~3, step = thimble_row_constants(p);
    const int32_t *words = p->weights, *constants = p->constants;
    const word_sums begin = sums_from(x + 2 * depth), begin_other = sums_from(x + 2 * depth + 2);
    for (int32_t row = 0; row < p->rows; row += 4, constants += step, out += 4) {
        word_sums sums = begin, other = begin_other;
        const int16_t *at = x;
        for (const int32_t *const end = words + depth; words < end; words += 2, at += 4) {
#pragma GCC unroll 2
            for (int32_t i = 0; i < 2; i++) {
                const int32_t word = words[i], upper = word >> 16;
                const uint32_t middle = (uint32_t)word << 8 >> 16;
                add_column(&sums, word, upper, middle, at[i]);
                add_column(&other, word, upper, middle, at[i + 2]);
            }
        }
        thimble_row_sums rows = rows_of(&sums);
        thimble_put_rows(p, constants, &rows, out);
        rows = rows_of(&other);
        thimble_put_rows(p, constants, &rows, out + THIMBLE_TOKEN_BYTES(p->rows));
    }
}

static inline void multiply_tokens(const thimble_fully_connected_packed_s8_params *p, const int16_t *x, int8_t *out,
                                   int32_t two)
{
    if (two) {
        multiply_two(p, x, out);
    } else {
        multiply_one(p, x, out);
    }
}

#endif

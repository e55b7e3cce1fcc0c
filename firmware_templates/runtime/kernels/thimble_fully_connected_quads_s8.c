/* Products with weights packed in quads, for cores that have MLA but no DSP instructions (Cortex-M3).
 *
 * A word holds four rows a, b, c, d at one column: the bytes d + 128, c + 128, b + 128 and a, the lowest first. MLA of the
 * whole word, of its upper half and of its middle half make three sums that thimble_packed_rows.h takes apart: five
 * instructions for four multiply-accumulates, and eight cycles, for MLA takes two on a Cortex-M3. SMLAL could do it in four
 * instructions, but takes four to seven cycles there, twice. */
#include "thimble_packed_rows.h"

/* Sums of the words, of 256 a + b + 128 and of 256 (b + 128) + c + 128, times x, modulo 2^32. */
typedef struct {
    uint32_t all, upper, middle;
} quad_sums;

/* Two tokens take all registers, the frame pointer of an unoptimized build too. */
#if defined(__ARM_ARCH_ISA_THUMB) && __ARM_ARCH_ISA_THUMB >= 2 && defined(__OPTIMIZE__) && !defined(THIMBLE_PLAIN_C)

#define COLUMN(word)                              \
    "ldrsh  %[x0], [%[x]], #2\n"                  \
    "mla    %[all], " word ", %[x0], %[all]\n"    \
    "asr    %[half], " word ", #16\n"             \
    "mla    %[upper], %[half], %[x0], %[upper]\n" \
    "ubfx   " word ", " word ", #8, #16\n"        \
    "mla    %[middle], " word ", %[x0], %[middle]\n"

#define FOUR_COLUMNS                   \
    "ldmia  %[w]!, {r4, r5, r6, r8}\n" \
    COLUMN("r4") COLUMN("r5") COLUMN("r6") COLUMN("r8")

#define SUM_COLUMNS(instructions)                                                                               \
    __asm__ volatile(instructions                                                                               \
                     : [all] "+r"(sums.all), [upper] "+r"(sums.upper), [middle] "+r"(sums.middle), [x] "+r"(x), \
                       [w] "+r"(words), [x0] "=&r"(x0), [half] "=&r"(half)                                      \
                     :                                                                                          \
                     : "r4", "r5", "r6", "r8", "memory")

__attribute__((noinline)) static quad_sums sum_columns(const int32_t *words, const int16_t *x, int32_t depth,
                                                       quad_sums sums)
{
    int32_t x0, half;
    const int16_t *const end = x + depth;
    if (depth & 4) {
        SUM_COLUMNS(FOUR_COLUMNS);
    }
    while (x != end) {
        SUM_COLUMNS(FOUR_COLUMNS FOUR_COLUMNS);
    }
    return sums;
}

/* x: the halfwords of two columns of the first token, then of the second's. */
#define COLUMN_OF_TWO(word, x, x2)                  \
    "ldrsh  %[x0], [%[x], #" x2 "]\n"               \
    "asr    %[half], " word ", #16\n"               \
    "mla    %[all1], " word ", %[x0], %[all1]\n"    \
    "mla    %[upper1], %[half], %[x0], %[upper1]\n" \
    "ubfx   r6, " word ", #8, #16\n"                \
    "mla    %[middle1], r6, %[x0], %[middle1]\n"    \
    "ldrsh  %[x0], [%[x], #" x "]\n"                \
    "mla    %[all], " word ", %[x0], %[all]\n"      \
    "mla    %[upper], %[half], %[x0], %[upper]\n"   \
    "mla    %[middle], r6, %[x0], %[middle]\n"

#define TWO_COLUMNS_OF_TWO(x, next_x, x2, next_x2) \
    "ldmia  %[w]!, {r4, r5}\n"                     \
    COLUMN_OF_TWO("r4", x, x2) COLUMN_OF_TWO("r5", next_x, next_x2)

/* The same for two tokens. */
__attribute__((noinline)) static void sum_two(const int32_t *words, const int16_t *x, int32_t depth, quad_sums *first,
                                              quad_sums *second)
{
    int32_t x0, half;
    quad_sums one = *first, two = *second;
    for (const int16_t *const end = x + 2 * depth; x != end; x += 8) {
        __asm__ volatile(TWO_COLUMNS_OF_TWO("0", "2", "4", "6") TWO_COLUMNS_OF_TWO("8", "10", "12", "14")
                         : [all] "+r"(one.all), [upper] "+r"(one.upper), [middle] "+r"(one.middle), [w] "+r"(words), [x0] "=&r"(x0), [half] "=&r"(half), [all1] "+r"(two.all),
                           [upper1] "+r"(two.upper), [middle1] "+r"(two.middle)
                         : [x] "r"(x)
                         : "r4", "r5", "r6", "memory");
    }
    *first = one;
    *second = two;
}

#else

static inline quad_sums add_column(int32_t word, uint32_t factor, quad_sums sums)
{
    const quad_sums more = {(uint32_t)word * factor, (uint32_t)(word >> 16) * factor, ((uint32_t)word >> 8 & 0xffff) * factor};
    return (quad_sums){sums.all + more.all, sums.upper + more.upper, sums.middle + more.middle};
}

static inline quad_sums sum_columns(const int32_t *words, const int16_t *x, int32_t depth, quad_sums sums)
{
    for (int32_t column = 0; column < depth; column++) {
        sums = add_column(words[column], (uint32_t)x[column], sums);
    }
    return sums;
}

static void sum_two(const int32_t *words, const int16_t *x, int32_t depth, quad_sums *first, quad_sums *second)
{
    for (int32_t column = 0; column < depth; column++) {
        const int32_t place = column / 2 * 4 + column % 2;
        *first = add_column(words[column], (uint32_t)x[place], *first);
        *second = add_column(words[column], (uint32_t)x[place + 2], *second);
    }
}

#endif

/* Sums that start with what the 128 of b, c and d add, negative; it lies behind x. */
static inline quad_sums without_excess(const int16_t *x_end)
{
    int32_t excess;
    __builtin_memcpy(&excess, x_end, 4);
    const uint32_t e = (uint32_t)excess;
    return (quad_sums){0u - 0x10101u * e, 0u - e, 0u - 0x101u * e};
}

static inline thimble_row_sums rows_of(quad_sums sums)
{
    return thimble_take_apart(sums.upper, sums.middle, sums.all - (sums.upper << 16));
}

/* The sums of four rows, in parts. */
static thimble_row_sums sum_parts(const int32_t *words, const int16_t *x, int32_t depth, int32_t part)
{
    int32_t excess;
    __builtin_memcpy(&excess, x + depth, 4);
    thimble_row_sums total = {{0, -excess, -excess, -excess}};
    for (int32_t done = 0; done < depth; done += part) {
        const int32_t left = depth - done;
        const thimble_row_sums more =
            rows_of(sum_columns(words + done, x + done, left < part ? left : part, (quad_sums){0, 0, 0}));
        for (int32_t i = 0; i < 4; i++) {
            total.row[i] += more.row[i];
        }
    }
    return total;
}

/* One token or two. */
static void multiply(const thimble_fully_connected_packed_s8_params *p, const int16_t *x, int8_t *out, int32_t two)
{
    const int32_t depth = (p->depth + 3) & ~3, whole = p->part >= depth;
    const int32_t *words = p->weights, *constants = p->constants;
    const quad_sums start = without_excess(two ? x + 2 * depth : x + depth);
    const quad_sums second_start = two ? without_excess(x + 2 * depth + 2) : start;
    for (int32_t row = 0; row < p->rows; row += 4, words += depth, constants += thimble_row_constants(p)) {
        if (two) {
            quad_sums sums = start, second = second_start;
            sum_two(words, x, depth, &sums, &second);
            const thimble_row_sums first_rows = rows_of(sums), second_rows = rows_of(second);
            thimble_put_rows(p, constants, &first_rows, out + row);
            thimble_put_rows(p, constants, &second_rows, out + THIMBLE_TOKEN_BYTES(p->rows) + row);
        } else {
            const thimble_row_sums sums =
                whole ? rows_of(sum_columns(words, x, depth, start)) : sum_parts(words, x, depth, p->part);
            thimble_put_rows(p, constants, &sums, out + row);
        }
    }
}

void thimble_fully_connected_quads_s8(const thimble_fully_connected_packed_s8_params *p, const int16_t *x, int8_t *out,
                                      int32_t tokens)
{
    for (; tokens > 0; tokens -= 2, x += THIMBLE_WIDE_BYTES(p->depth), out += 2 * THIMBLE_TOKEN_BYTES(p->rows)) {
        multiply(p, x, out, tokens > 1);
    }
}

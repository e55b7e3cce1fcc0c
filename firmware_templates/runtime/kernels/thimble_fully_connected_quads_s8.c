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

#define COLUMN_OF_TWO(word)                         \
    "ldrsh  %[x0], [%[x], %[stride]]\n"             \
    "asr    %[half], " word ", #16\n"               \
    "mla    %[all1], " word ", %[x0], %[all1]\n"    \
    "mla    %[upper1], %[half], %[x0], %[upper1]\n" \
    "ubfx   r6, " word ", #8, #16\n"                \
    "mla    %[middle1], r6, %[x0], %[middle1]\n"    \
    "ldrsh  %[x0], [%[x]], #2\n"                    \
    "mla    %[all], " word ", %[x0], %[all]\n"      \
    "mla    %[upper], %[half], %[x0], %[upper]\n"   \
    "mla    %[middle], r6, %[x0], %[middle]\n"

#define TWO_COLUMNS_OF_TWO     \
    "ldmia  %[w]!, {r4, r5}\n" \
    COLUMN_OF_TWO("r4") COLUMN_OF_TWO("r5")

/* The same for two tokens, whose x lie `stride` bytes apart. */
__attribute__((noinline)) static void sum_two(const int32_t *words, const int16_t *x, int32_t stride, int32_t depth,
                                              quad_sums *first, quad_sums *second)
{
    int32_t x0, half;
    quad_sums one = *first, two = *second;
    for (const int16_t *const end = x + depth; x != end;) {
        __asm__ volatile(TWO_COLUMNS_OF_TWO TWO_COLUMNS_OF_TWO
                         : [all] "+r"(one.all), [upper] "+r"(one.upper), [middle] "+r"(one.middle), [x] "+r"(x),
                           [w] "+r"(words), [x0] "=&r"(x0), [half] "=&r"(half), [all1] "+r"(two.all),
                           [upper1] "+r"(two.upper), [middle1] "+r"(two.middle)
                         : [stride] "r"(stride)
                         : "r4", "r5", "r6", "memory");
    }
    *first = one;
    *second = two;
}

#else

static inline quad_sums sum_columns(const int32_t *words, const int16_t *x, int32_t depth, quad_sums sums)
{
    for (int32_t column = 0; column < depth; column++) {
        const uint32_t word = (uint32_t)words[column], factor = (uint32_t)x[column];
        sums.all += word * factor;
        sums.upper += (uint32_t)(words[column] >> 16) * factor;
        sums.middle += (word >> 8 & 0xffff) * factor;
    }
    return sums;
}

static void sum_two(const int32_t *words, const int16_t *x, int32_t stride, int32_t depth, quad_sums *first,
                    quad_sums *second)
{
    *first = sum_columns(words, x, depth, *first);
    *second = sum_columns(words, x + stride / 2, depth, *second);
}

#endif

/* Sums that start with what the 128 of b, c and d add, negative. */
static inline quad_sums without_excess(const int16_t *x, int32_t depth)
{
    int32_t excess;
    __builtin_memcpy(&excess, x + depth, 4);
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

/* One token, or two whose inputs and outputs lie `stride` bytes apart. */
static void multiply(const thimble_fully_connected_packed_s8_params *p, const int16_t *x, int8_t *out, int32_t stride,
                     int32_t two)
{
    const int32_t depth = (p->depth + 3) & ~3, whole = p->part >= depth;
    const int32_t *words = p->weights, *constants = p->constants;
    const quad_sums start = without_excess(x, depth), second_start = two ? without_excess(x + stride / 2, depth) : start;
    for (int32_t row = 0; row < p->rows; row += 4, words += depth, constants += thimble_row_constants(p)) {
        if (two) {
            quad_sums sums = start, second = second_start;
            sum_two(words, x, stride, depth, &sums, &second);
            const thimble_row_sums first_rows = rows_of(sums), second_rows = rows_of(second);
            thimble_put_rows(p, constants, &first_rows, out + row);
            thimble_put_rows(p, constants, &second_rows, out + stride + row);
        } else {
            const thimble_row_sums sums =
                whole ? rows_of(sum_columns(words, x, depth, start)) : sum_parts(words, x, depth, p->part);
            thimble_put_rows(p, constants, &sums, out + row);
        }
    }
}

void thimble_fully_connected_quads_s8(const thimble_fully_connected_packed_s8_params *p, const int16_t *x, int8_t *out,
                                      int32_t tokens, int32_t stride)
{
    while (tokens > 0) {
        const int32_t taken = tokens > 1 && p->part >= p->depth ? 2 : 1;
        multiply(p, x, out, stride, taken > 1);
        tokens -= taken;
        x += taken * stride / 2;
        out += taken * stride;
    }
}

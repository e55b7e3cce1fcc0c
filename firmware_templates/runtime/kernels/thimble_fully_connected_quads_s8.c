/* Products with weights packed in quads, for cores that have MLA but no DSP instructions (Cortex-M3).
 *
 * A word holds four rows a, b, c, d at one column: the bytes d + 128, c + 128, b + 128 and a, the lowest first. MLA of the whole
 * word, of its upper half and of its middle half make three sums that thimble_packed_rows.h takes apart: five instructions for
 * four multiply-accumulates, and eight cycles, for MLA takes two on a Cortex-M3. SMLAL could do it in four instructions, but
 * takes four to seven cycles there, twice. */
#include "thimble_packed_rows.h"

/* Sums of the words, of 256 a + b + 128 and of 256 (b + 128) + c + 128, times x, modulo 2^32. */
typedef struct {
    uint32_t all, upper, middle;
} quad_sums;

#if defined(__ARM_ARCH_ISA_THUMB) && __ARM_ARCH_ISA_THUMB >= 2 && !defined(THIMBLE_PLAIN_C)

#define COLUMN(word)                               \
    "ldrsh  %[x0], [%[x]], #2\n"                   \
    "mla    %[all], " word ", %[x0], %[all]\n"     \
    "asr    %[half], " word ", #16\n"              \
    "mla    %[upper], %[half], %[x0], %[upper]\n"  \
    "ubfx   " word ", " word ", #8, #16\n"         \
    "mla    %[middle], " word ", %[x0], %[middle]\n"

#define FOUR_COLUMNS                   \
    "ldmia  %[w]!, {r4, r5, r6, r8}\n" \
    COLUMN("r4") COLUMN("r5") COLUMN("r6") COLUMN("r8")

#define SUM_COLUMNS(instructions)                                                                                      \
    __asm__ volatile(instructions                                                                                      \
                     : [all] "+r"(sums.all), [upper] "+r"(sums.upper), [middle] "+r"(sums.middle), [x] "+r"(x),        \
                       [w] "+r"(words), [x0] "=&r"(x0), [half] "=&r"(half)                                             \
                     :                                                                                                 \
                     : "r4", "r5", "r6", "r8", "memory")

static inline quad_sums sum_columns(const int32_t *words, const int16_t *x, int32_t depth, quad_sums sums)
{
    int32_t x0, half;
    const int16_t *const end = x + depth;
    for (const int16_t *const whole = x + (depth & ~15); x != whole;) {
        SUM_COLUMNS(FOUR_COLUMNS FOUR_COLUMNS FOUR_COLUMNS FOUR_COLUMNS);
    }
    while (x != end) {
        SUM_COLUMNS(FOUR_COLUMNS);
    }
    return sums;
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

#endif

/* The sums of four rows over the whole depth. */
static inline thimble_row_sums sum_parts(const int32_t *words, const int16_t *x, int32_t depth, int32_t part, int32_t excess)
{
    const uint32_t e = (uint32_t)excess;
    if (part >= depth) {
        const quad_sums sums = sum_columns(words, x, depth, (quad_sums){0u - 0x10101u * e, 0u - e, 0u - 0x101u * e});
        return thimble_take_apart(sums.upper, sums.middle, sums.all - (sums.upper << 16));
    }
    thimble_row_sums total = {{0, -excess, -excess, -excess}};
    for (int32_t done = 0; done < depth; done += part) {
        const int32_t left = depth - done;
        const quad_sums sums = sum_columns(words + done, x + done, left < part ? left : part, (quad_sums){0, 0, 0});
        const thimble_row_sums more = thimble_take_apart(sums.upper, sums.middle, sums.all - (sums.upper << 16));
        for (int32_t i = 0; i < 4; i++) {
            total.row[i] += more.row[i];
        }
    }
    return total;
}

void thimble_fully_connected_quads_s8(const thimble_fully_connected_packed_s8_params *p, const int16_t *x, int8_t *out,
                                      int32_t tokens, int32_t stride)
{
    const int32_t depth = (p->depth + 3) & ~3;
    for (; tokens > 0; tokens--, x += stride / 2, out += stride) {
        const int32_t *words = p->weights, *constants = p->constants;
        int32_t excess;
        __builtin_memcpy(&excess, x + depth, 4);
        for (int32_t row = 0; row < p->rows; row += 4, words += depth, constants += thimble_row_constants(p)) {
            thimble_put_rows(p, constants, sum_parts(words, x, depth, p->part, excess), out + row, p->rows - row);
        }
        thimble_limit_s8(out, p->rows, p->out_min, p->out_max);
    }
}

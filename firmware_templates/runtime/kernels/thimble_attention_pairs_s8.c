#include "thimble_elementwise.h"
#include "thimble_kernels.h"
#include "thimble_pairs.h"
#include "thimble_softmax_row.h"

void thimble_append_pairs_s8(const thimble_attention_s8_params *p, const int8_t *k, const int8_t *v, int8_t *k_cache,
                             int8_t *v_cache, int32_t position, int32_t tokens, int32_t stride)
{
    const int32_t capacity = THIMBLE_CACHE_ROWS(p->context), head_dim = p->head_dim;
    const int32_t to_next_head = (capacity - 4) * head_dim;
    for (; tokens > 0; tokens--, position--, k += stride, v += stride) {
        int8_t *k_to = k_cache + (position & ~3) * head_dim + thimble_pairs_place(position & 3, 0);
        int8_t *v_to = v_cache + thimble_pairs_place(0, position);
        const int32_t k_flip = position % 2 == 0 ? 0 : -128;
        for (int32_t i = 0; i < p->kv_heads * head_dim;) {
            for (int32_t column = 0; column < 4; column++, i++) {
                k_to[2 * column] = (int8_t)(k[i] ^ k_flip);
            }
            v_to[0] = v[i - 4];
            v_to[-1] = (int8_t)(v[i - 3] ^ -128);
            v_to[8] = v[i - 2];
            v_to[7] = (int8_t)(v[i - 1] ^ -128);
            k_to += 16 + (i % head_dim == 0 ? to_next_head : 0);
            v_to += 4 * capacity;
        }
    }
}

/* What turns the sums of a block of four rows into int8 results: the sums' first values, alternately for the pairs' high and low
 * rows, and the scale; `table` holds what is written for a result from -128 on. */
typedef struct {
    int32_t start[4];
    int32_t multiplier, right_shift_less_one, twice_zero_point_plus_one;
    const int8_t *table;
    void *out;
    const int16_t *end;
    const int16_t *x, *x_end;
} blocks_to_s8;

#ifdef THIMBLE_PAIRS_DSP

/* r0: the structure, r1: weights, r2: x, r3: its end, r4-r7: weights of four rows and columns, r8-r11: sums (r8 and r10 those
 * of both rows of a pair, r9 and r11 those of its low row), r12 and lr: four inputs. */
#define SUM_FOUR_COLUMNS           \
    "ldrd   r12, lr, [r2], #8\n"   \
    "ldmia  r1!, {r4-r7}\n"        \
    "smlad  r8, r4, r12, r8\n"     \
    "uxtb16 r4, r4\n"              \
    "smlad  r9, r4, r12, r9\n"     \
    "smlad  r8, r5, lr, r8\n"      \
    "uxtb16 r5, r5\n"              \
    "smlad  r9, r5, lr, r9\n"      \
    "smlad  r10, r6, r12, r10\n"   \
    "uxtb16 r6, r6\n"              \
    "smlad  r11, r6, r12, r11\n"   \
    "smlad  r10, r7, lr, r10\n"    \
    "uxtb16 r7, r7\n"              \
    "smlad  r11, r7, lr, r11\n"

/* The sums of four rows, doubled; then r2: multiplier, r3: shift, r4: zero point, r5: table, r6: out, r7: end. */
#define SUM_BLOCK                  \
    "1:\n"                         \
    "ldrd   r2, r3, [r0, #40]\n"   \
    "ldm    r0, {r8-r11}\n"        \
    "2:\n" SUM_FOUR_COLUMNS        \
    "cmp    r2, r3\n"              \
    "bne    2b\n"                  \
    "add    lr, r0, #16\n"         \
    "sub    r8, r8, r9\n"          \
    "sub    r10, r10, r11\n"       \
    "ldm    lr, {r2-r7}\n"         \
    "asr    r8, r8, #7\n"          \
    "lsl    r9, r9, #1\n"          \
    "asr    r10, r10, #7\n"        \
    "lsl    r11, r11, #1\n"

#define TO_S8(sum)                      \
    "smmulr " sum ", " sum ", r2\n"     \
    "add " sum ", " sum ", " sum ", asr #31\n" \
    "asr " sum ", " sum ", r3\n"        \
    "add " sum ", " sum ", r4\n"        \
    "ssat " sum ", #8, " sum ", asr #1\n"

#define USED "r2", "r3", "r4", "r5", "r6", "r7", "r8", "r9", "r10", "r11", "r12", "lr", "cc", "memory"

/* Blocks of four rows: with a table, one after the other up to `end`, and table[result] goes out as int16; without one, a single
 * block, whose results go out as int8. */
static void multiply_blocks(blocks_to_s8 *s, const int16_t *weights)
{
    register blocks_to_s8 *r0 __asm__("r0") = s;
    register const int16_t *r1 __asm__("r1") = weights;
    __asm__ volatile(SUM_BLOCK TO_S8("r8") TO_S8("r9") TO_S8("r10") TO_S8("r11")
                     "cbz    r5, 3f\n"
                     "ldrsb  r8, [r5, r8]\n"
                     "ldrsb  r9, [r5, r9]\n"
                     "ldrsb  r10, [r5, r10]\n"
                     "ldrsb  r11, [r5, r11]\n"
                     "pkhbt  r8, r8, r9, lsl #16\n"
                     "pkhbt  r10, r10, r11, lsl #16\n"
                     "strd   r8, r10, [r6], #8\n"
                     "str    r6, [r0, #32]\n"
                     "cmp    r1, r7\n"
                     "bne    1b\n"
                     "b      4f\n"
                     "3:\n"
                     "strb   r9, [r6, #1]\n"
                     "strb   r10, [r6, #2]\n"
                     "strb   r11, [r6, #3]\n"
                     "strb   r8, [r6], #4\n"
                     "str    r6, [r0, #32]\n"
                     "4:\n"
                     : "+r"(r1)
                     : "r"(r0)
                     : USED);
}

/* Two scores as weights, packed. */
#define TWO_WEIGHTS(first, second, at, both)                 \
    "ldrsh  " first ", [%[s], #" at "]\n"                    \
    "ldrsh  " second ", [%[s], #" at " + 2]\n"               \
    "ldr    " first ", [%[exp], " first ", lsl #2]\n"        \
    "ldr    " second ", [%[exp], " second ", lsl #2]\n"      \
    "umull  r3, " first ", %[mantissa], " first "\n"         \
    "add    " first ", " first ", r3, lsr #31\n"             \
    "umull  r3, " second ", %[mantissa], " second "\n"       \
    "add    " second ", " second ", r3, lsr #31\n"           \
    "add    " first ", " first ", %[half]\n"                 \
    "add    " second ", " second ", %[half]\n"               \
    "lsr    " first ", " first ", %[shift]\n"                \
    "lsr    " second ", " second ", %[shift]\n"              \
    "usat   " first ", #8, " first "\n"                      \
    "usat   " second ", #8, " second "\n"                    \
    "pkhbt  " both ", " first ", " second ", lsl #16\n"      \
    "uadd16 %[sums], %[sums], " both "\n"

/* Scores become weights in place, four at a time; returns their sum. Not inlined: the loop takes most registers. */
__attribute__((noinline)) static int32_t weights_of(const int32_t *exp, thimble_reciprocal reciprocal, int16_t *scores, const int16_t *end)
{
    uint32_t sums = 0;
    __asm__ volatile("1:\n" TWO_WEIGHTS("r4", "r5", "0", "r4") TWO_WEIGHTS("r5", "r6", "4", "r5")
                     "strd   r4, r5, [%[s]], #8\n"
                     "cmp    %[s], %[end]\n"
                     "bne    1b\n"
                     : [s] "+r"(scores), [sums] "+r"(sums)
                     : [end] "r"(end), [exp] "r"(exp), [mantissa] "r"(reciprocal.doubled_mantissa),
                       [half] "r"(reciprocal.half), [shift] "r"(reciprocal.shift)
                     : "r3", "r4", "r5", "r6", "cc", "memory");
    return (int32_t)((sums & 0xffff) + (sums >> 16));
}

#define EXPONENTIALS(first, second)               \
    "ldr    r2, [%[exp], " first ", lsl #2]\n"     \
    "ldr    r3, [%[exp], " second ", lsl #2]\n"    \
    "add    r2, r2, #2048\n"                       \
    "add    r3, r3, #2048\n"                       \
    "add    %[total], %[total], r2, lsr #12\n"     \
    "add    %[total], %[total], r3, lsr #12\n"

/* The sum of the scores' exponentials, a multiple of 4 of them. */
static int32_t sum_of_exponentials(const int32_t *exp, const int16_t *scores, const int16_t *end)
{
    int32_t total = 0;
    __asm__ volatile("1:\n"
                     "ldrd   r4, r5, [%[s]], #8\n"
                     "sxth   r2, r4\n"
                     "asr    r3, r4, #16\n" EXPONENTIALS("r2", "r3")
                     "sxth   r2, r5\n"
                     "asr    r3, r5, #16\n" EXPONENTIALS("r2", "r3")
                     "cmp    %[s], %[end]\n"
                     "bne    1b\n"
                     : [s] "+r"(scores), [total] "+r"(total)
                     : [end] "r"(end), [exp] "r"(exp)
                     : "r2", "r3", "r4", "r5", "cc", "memory");
    return total;
}

/* The largest of scores, a multiple of 4 of them. */
static int32_t largest_of(const int16_t *scores, const int16_t *end)
{
    int16x2_t best = (int16x2_t)0xff80ff80;
    __asm__("1:\n"
            "ldrd   r2, r3, [%[s]], #8\n"
            "ssub16 r12, r2, %[best]\n"
            "sel    %[best], r2, %[best]\n"
            "ssub16 r12, r3, %[best]\n"
            "sel    %[best], r3, %[best]\n"
            "cmp    %[s], %[end]\n"
            "bne    1b\n"
            : [s] "+r"(scores), [best] "+r"(best)
            : [end] "r"(end)
            : "r2", "r3", "r12", "cc", "memory");
    const int32_t low = (int16_t)best, high = best >> 16;
    return low > high ? low : high;
}

#else

static thimble_four_sums sum_block(const blocks_to_s8 *s, const int16_t *weights)
{
    thimble_four_sums sums = thimble_pairs_sum(weights, s->x, (int32_t)(s->x_end - s->x), 0);
    for (int32_t i = 0; i < 4; i++) {
        const int32_t doubled = 2 * (sums.row[i] + (i % 2 == 0 ? (s->start[0] - s->start[1]) / 256 : s->start[1]));
        sums.row[i] = thimble_requantize_s8(doubled, s->multiplier, s->right_shift_less_one, s->twice_zero_point_plus_one);
    }
    return sums;
}

static void multiply_blocks(blocks_to_s8 *s, const int16_t *weights)
{
    int16_t *words = s->out;
    int8_t *bytes = s->out;
    do {
        const thimble_four_sums results = sum_block(s, weights);
        for (int32_t i = 0; i < 4; i++) {
            if (s->table) {
                *words++ = s->table[results.row[i]];
            } else {
                *bytes++ = (int8_t)results.row[i];
            }
        }
        weights += 2 * (s->x_end - s->x);
    } while (s->table && weights != s->end);
    s->out = s->table ? (void *)words : (void *)bytes;
}

static int32_t weights_of(const int32_t *exp, thimble_reciprocal reciprocal, int16_t *scores, const int16_t *end)
{
    int32_t sum = 0;
    for (; scores != end; scores++) {
        *scores = (int16_t)thimble_probability(reciprocal, exp[*scores]);
        sum += *scores;
    }
    return sum;
}

static int32_t sum_of_exponentials(const int32_t *exp, const int16_t *scores, const int16_t *end)
{
    int32_t total = 0;
    for (; scores != end; scores++) {
        total += thimble_exp_for_sum(exp[*scores]);
    }
    return total;
}

static int32_t largest_of(const int16_t *scores, const int16_t *end)
{
    int32_t largest = -128;
    for (; scores != end; scores++) {
        largest = *scores > largest ? *scores : largest;
    }
    return largest;
}

#endif

/* All that stays the same from head to head; the start and the places of rows follow. */
static void prepare(blocks_to_s8 *s, const thimble_product_scale *scale, const int8_t *table, const int16_t *x, int32_t count)
{
    s->multiplier = scale->multiplier;
    s->right_shift_less_one = scale->right_shift_less_one;
    s->twice_zero_point_plus_one = scale->twice_zero_point_plus_one;
    s->table = table;
    s->x = x;
    s->x_end = x + count;
}

/* Lets sums start so that the low bytes' excess, 128 times the sum of x, is taken off, and offset times that sum added. */
static inline void start(blocks_to_s8 *s, int32_t sum, int32_t offset)
{
    const int32_t addend = sum * offset, low = addend - 128 * sum, mixed = low + 256 * addend;
    s->start[0] = s->start[2] = mixed;
    s->start[1] = s->start[3] = low;
}

/* A query, widened; returns its sum. */
static int32_t widen(const int8_t *q, int32_t offset, int16_t *wide, int32_t head_dim)
{
    int32_t sum = 0;
    for (int16_t *const end = wide + head_dim; wide != end; q += 2, wide += 2) {
        const int32_t first = q[0] + offset, second = q[1] + offset;
        wide[0] = (int16_t)first;
        wide[1] = (int16_t)second;
        sum += first + second;
    }
    return sum;
}

/* Scores become weights, 0..255, in place; those from `rows` to a multiple of 4 zero. Returns the weights' sum. */
static int32_t weigh(const thimble_attention_s8_params *p, int16_t *scores, int32_t rows)
{
    const int32_t padding = THIMBLE_CACHE_ROWS(rows) - rows, masked = p->context + 1 - rows;
    int16_t *const end = scores + rows + padding;
    for (int32_t i = 1; i <= padding; i++) {
        end[-i] = -128;
    }
    const int32_t largest_score = largest_of(scores, end);
    const int32_t largest = masked > 0 && p->masked_score > largest_score ? p->masked_score : largest_score;
    const int32_t *const exp = p->exp + 255 - largest;
    int32_t total = masked * thimble_exp_for_sum(exp[p->masked_score]) - padding * thimble_exp_for_sum(exp[-128]);
    total += sum_of_exponentials(exp, scores, end);
    int32_t sum = weights_of(exp, thimble_softmax_reciprocal(total), scores, end);
    for (int32_t i = 1; i <= padding; i++) {
        sum -= end[-i];
        end[-i] = 0;
    }
    return sum;
}

void thimble_attention_pairs_s8(const thimble_attention_s8_params *p, const int8_t *q, const int8_t *k_cache,
                                const int8_t *v_cache, int32_t position, int8_t *out, void *scratch)
{
    const int32_t head_dim = p->head_dim, capacity = THIMBLE_CACHE_ROWS(p->context), rows = position + 1;
    int16_t *const weights = scratch, *const wide = weights + capacity;
    blocks_to_s8 scores, sums;
    prepare(&scores, &p->score, p->mask + 128, wide, head_dim);
    prepare(&sums, &p->out, 0, weights, THIMBLE_CACHE_ROWS(rows));
    sums.out = out;
    for (int32_t head = 0; head < p->kv_heads; head++) {
        const int16_t *const k = (const int16_t *)(const void *)k_cache;
        scores.end = k + THIMBLE_CACHE_ROWS(rows) / 2 * head_dim;
        for (int32_t i = 0; i < p->group; i++, q += head_dim) {
            start(&scores, widen(q, p->q_offset, wide, head_dim), p->k_offset);
            scores.out = weights;
            multiply_blocks(&scores, k);
            start(&sums, weigh(p, weights, rows), p->v_offset);
            const int8_t *v = v_cache;
            for (int32_t column = 0; column < head_dim; column += 4, v += 4 * capacity) {
                multiply_blocks(&sums, (const int16_t *)(const void *)v);
            }
        }
        k_cache += capacity * head_dim;
        v_cache += capacity * head_dim;
    }
}

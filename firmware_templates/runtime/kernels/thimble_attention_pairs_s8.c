#include "thimble_elementwise.h"
#include "thimble_kernels.h"
#include "thimble_pairs.h"
#include "thimble_softmax_row.h"

/* What blocks are: scores of eight columns; with any even number of fours of columns, with any odd one; outputs, the
 * same. */
enum { SCORES_OF_EIGHT, SCORES, SCORES_ODD, OUTPUTS, OUTPUTS_ODD };

/* Blocks of four rows, times x, on their way to int8, in the order in which the loop's stack holds it. */
typedef struct {
    union {
        struct {
            const int16_t *x, *x_end;
        };
        int32_t first_x[2]; /* where there are eight columns: x itself, the rest in last_x, 12 halfwords further */
    };
    int32_t start[4]; /* what sums begin with, alternately for the pairs' high and low rows */
    int32_t last_x[2];
    int32_t multiplier, right_shift, addend; /* the zero point and a half, before the shift */
    union {
        const int8_t *table; /* scores: what is written, as int16, for results from -128 on */
        int32_t skip;        /* outputs, written as int8: bytes between blocks */
    };
    const void *end; /* scores: of the blocks; outputs: of what is written */
    int32_t kind;
    const thimble_product_scale *scale;
} blocks;

#ifndef THIMBLE_DSP

/* A head's columns of new rows of K and V: of one token; or of two, where `to_before` tells where the values of the
 * token before lie, whose row is the upper one of a pair. The lower row of a pair of K is stored with its signs
 * changed, by `k_flip`. */
static inline void append(const int8_t **k, const int8_t **v, int8_t **k_to, int8_t **v_to, int32_t head_dim,
                          int32_t v_step, int32_t to_before, uint32_t k_flip)
{
    (void)to_before;
    for (const int8_t *const end = *k + head_dim; *k != end; *k += 4, *v += 4, *k_to += 16, *v_to += v_step) {
        uint32_t four_k, four_v;
        __builtin_memcpy(&four_k, *k, 4);
        __builtin_memcpy(&four_v, *v, 4);
        four_k ^= k_flip;
        for (int32_t column = 0; column < 4; column++, four_k >>= 8) {
            (*k_to)[2 * column] = (int8_t)four_k;
        }
        four_v = __builtin_bswap32(four_v ^ 0x80008000);
        const uint16_t first = (uint16_t)(four_v >> 16), second = (uint16_t)four_v;
        __builtin_memcpy(*v_to, &first, 2);
        __builtin_memcpy(*v_to + 8, &second, 2);
    }
}

/* All blocks: four rows of weights times x, to scores, which the table masks and changes, or to outputs. */
static THIMBLE_HOT(multiply) void multiply(const blocks *s, const int16_t *weights, void *out)
{
    const int16_t *const x = s->x;
    const int32_t depth = (int32_t)(s->x_end - x), to_outputs = s->kind >= OUTPUTS;
    const int32_t high = (s->start[0] - s->start[1]) / 256, low = s->start[1];
    const thimble_product_scale scale = *s->scale;
    int16_t *scores = out;
    int8_t *outputs = out;
    do {
        thimble_four_sums sums = thimble_pairs_sum(weights, x, depth, 0);
        weights += 2 * depth;
        for (int32_t i = 0; i < 4; i += 2) {
            sums.row[i] += high;
            sums.row[i + 1] += low;
        }
        if (to_outputs) {
            for (int32_t i = 0; i < 4; i++) {
                *outputs++ = thimble_scale_product(&scale, 2 * sums.row[i]);
            }
            weights += s->skip / 2;
        } else {
            const int8_t *const table = s->table;
            for (int32_t i = 0; i < 4; i++) {
                *scores++ = table[thimble_scale_product(&scale, sums.row[i])];
            }
        }
    } while (s->end != (to_outputs ? (const void *)outputs : (const void *)weights));
}

/* Scores become weights in place; returns their sum. */
static THIMBLE_HOT(weights_of) int32_t
    weights_of(const int32_t *exp, thimble_reciprocal reciprocal, int16_t *scores, const int16_t *end)
{
    int32_t sum = 0;
    for (; scores != end; scores++) {
        *scores = (int16_t)thimble_probability(reciprocal, exp[*scores]);
        sum += *scores;
    }
    return sum;
}

/* The sum of the scores' exponentials. */
static THIMBLE_HOT(sum_of_exponentials) int32_t
    sum_of_exponentials(const int32_t *exp, const int16_t *scores, const int16_t *end)
{
    int32_t total = 0;
    for (; scores != end; scores++) {
        total += thimble_exp_for_sum(exp[*scores]);
    }
    return total;
}

/* The largest of scores, at least -128. */
static THIMBLE_HOT(largest_of) int32_t largest_of(const int16_t *scores, const int16_t *end)
{
    int32_t largest = -128;
    for (; scores != end; scores++) {
        largest = *scores > largest ? *scores : largest;
    }
    return largest;
}

/* A query, widened and doubled, four columns every `step` halfwords; returns its doubled sum. */
static THIMBLE_HOT(widen) int32_t widen(const int8_t *q, int32_t offset, int16_t *wide, int32_t step, int32_t head_dim)
{
    int32_t sum = 0;
    for (const int8_t *const end = q + head_dim; q != end; q += 4, wide += step) {
        for (int32_t i = 0; i < 4; i++) {
            wide[i] = (int16_t)(2 * (q[i] + offset));
            sum += wide[i];
        }
    }
    return sum;
}

#else
#include "thimble_attention_pairs_s8_dsp.h"
#endif

void thimble_append_pairs_s8(const thimble_attention_s8_params *p, const int8_t *k, const int8_t *v, int8_t *k_cache,
                             int8_t *v_cache, int32_t position, int32_t tokens)
{
    const int32_t head_dim = p->head_dim, columns = p->kv_heads * head_dim, capacity = THIMBLE_CACHE_ROWS(p->context);
    while (tokens > 0) {
#ifdef THIMBLE_DSP
        const int32_t two = position & (tokens > 1);
#else
        const int32_t two = 0;
#endif
        const int32_t to_before = -two & columns;
        int8_t *k_to = k_cache + (position & ~3) * head_dim + thimble_pairs_place(position & 3, 0);
        int8_t *v_to = v_cache + thimble_pairs_place(1, position - two);
        const int8_t *const end = k + columns;
        do {
            append(&k, &v, &k_to, &v_to, head_dim, 4 * capacity, to_before, position & 1 ? 0x80808080 : 0);
            k_to += (capacity - 4) * head_dim;
        } while (k != end);
        k += to_before;
        v += to_before;
        tokens -= 1 + two;
        position -= 1 + two;
    }
}

/* All that stays the same from head to head; starts, and places of rows, follow. */
__attribute__((noinline)) static THIMBLE_HOT(prepare) void prepare(blocks *s, int32_t kind,
                                                                   const thimble_product_scale *scale)
{
    const int32_t shift = scale->right_shift_less_one, within = shift < 22;
    s->scale = scale;
    s->multiplier = within ? scale->multiplier : 0;
    s->right_shift = within ? shift + 1 : 22;
    s->addend = scale->twice_zero_point_plus_one * (1 << (s->right_shift - 1));
    s->kind = kind;
}

/* Lets sums start so that the low bytes' excess, 128 times the sum of x, is taken off, and offset times that sum added.
 */
static inline void start(blocks *s, int32_t sum, int32_t offset)
{
    const int32_t addend = sum * offset, low = addend - 128 * sum, mixed = low + 256 * addend;
    s->start[0] = s->start[2] = mixed;
    s->start[1] = s->start[3] = low;
}

/* Scores become weights, 0..255, in place; those from `rows` to `filled`, a multiple of 4, zero. Returns the weights'
 * sum. */
__attribute__((noinline)) static THIMBLE_HOT(weigh) int32_t
    weigh(const thimble_attention_s8_params *p, int16_t *scores, int32_t rows, int32_t filled)
{
    const int32_t masked = p->context + 1 - rows;
    int16_t *const end = scores + filled;
    for (int16_t *at = scores + rows; at != end; at++) {
        *at = -128;
    }
    const int32_t largest_score = largest_of(scores, end);
    const int32_t largest = masked > 0 && p->masked_score > largest_score ? p->masked_score : largest_score;
    const int32_t *const exp = p->exp + 255 - largest;
    int32_t total =
        masked * thimble_exp_for_sum(exp[p->masked_score]) - (filled - rows) * thimble_exp_for_sum(exp[-128]);
    total += sum_of_exponentials(exp, scores, end);
    int32_t sum = weights_of(exp, thimble_softmax_reciprocal(total), scores, end);
    for (int16_t *at = scores + rows; at != end; at++) {
        sum -= *at;
        *at = 0;
    }
    return sum;
}

void thimble_attention_pairs_s8(const thimble_attention_s8_params *p, const int8_t *q, const int8_t *k_cache,
                                const int8_t *v_cache, int32_t position, int8_t *out, void *scratch, int32_t tokens)
{
    const int32_t head_dim = p->head_dim, capacity = THIMBLE_CACHE_ROWS(p->context);
    int16_t *const weights = scratch;
    int16_t *wide = weights + capacity;
    int32_t step = 4;
    blocks scores, outputs;
    prepare(&scores, SCORES + (head_dim % 8 != 0), &p->score);
    scores.x = wide;
    scores.x_end = wide + head_dim;
    scores.table = p->mask + 128;
#ifdef THIMBLE_DSP
    if (head_dim == 8) {
        scores.kind = SCORES_OF_EIGHT;
        wide = (int16_t *)(void *)&scores;
        step = 12;
    }
#endif
    prepare(&outputs, OUTPUTS, &p->out);
    outputs.x = weights;
    for (; tokens > 0; tokens--, position--) {
        const int32_t rows = position + 1, filled = THIMBLE_CACHE_ROWS(rows);
        const int8_t *k = k_cache, *v = v_cache;
        outputs.kind = OUTPUTS + (filled % 8 != 0);
        outputs.x_end = weights + filled;
        outputs.skip = 4 * (capacity - filled);
        int32_t head = p->kv_heads;
        do {
            scores.end = k + filled * head_dim;
            int32_t query = p->group;
            do {
                start(&scores, widen(q, p->q_offset, wide, step, head_dim), p->k_offset);
                multiply(&scores, (const int16_t *)(const void *)k, weights);
                start(&outputs, weigh(p, weights, rows, filled), p->v_offset);
                outputs.end = out + head_dim;
                multiply(&outputs, (const int16_t *)(const void *)v, out);
                out += head_dim;
                q += head_dim;
            } while (--query > 0);
            k += capacity * head_dim;
            v += capacity * head_dim;
        } while (--head > 0);
    }
}

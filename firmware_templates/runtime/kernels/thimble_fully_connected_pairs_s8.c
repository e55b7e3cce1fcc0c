/* Products with weights packed in pairs, for SMLAD.
 *
 * A block is four rows a, b, c, d and four columns, eight halfwords: 256 a + b at columns 0 and 1, 256 c + (d + 128) there, and
 * the same at columns 2 and 3. From the words of two columns, [a b] and [c d], two instructions make 256 b + c: three SMLAD
 * then sum what thimble_packed_rows.h takes apart, five instructions for eight multiply-accumulates. No a or b is -128 where
 * the weight after it is negative: these halfwords would not fit. */
#include "thimble_packed_rows.h"

#if defined(__ARM_FEATURE_DSP) && !defined(THIMBLE_PLAIN_C)

/* What the loop over blocks reads. */
typedef struct {
    const int16_t *x;
    int32_t minus_excess; /* what the 128 in d + 128 adds, negative */
    int32_t skip;         /* eights of columns that the first turn of the loop leaves out; 2: all, there are none */
    const int16_t *end;   /* of x */
    int32_t finish;       /* 0: requantize; 1: the same with biases; 2: write the sums as they are */
    const int32_t *constants;
    int8_t *out;
    int32_t zero; /* 2 * zero point + 1 */
    int8_t *out_end;
    union {
        int32_t four;      /* one token: whether four columns remain besides the eights */
        int32_t out_bytes; /* two tokens: from one's outputs to the other's */
    };
    const int16_t *weights;
    int32_t minus_excess_2; /* two tokens: of the second */
} blocks;

/* Where that, from `finish` on, lies on the loop's stack, whose first `first` words are loaded for each block at once. */
#define PLACES(first)                                                                                   \
    [finish] "i"(4 * first), [constants] "i"(4 * first + 4), [out] "i"(4 * first + 8), [zero] "i"(4 * first + 12), \
        [out_end] "i"(4 * first + 16), [last] "i"(4 * first + 20)

/* Two columns of four rows: the words [a b] and [c d], and x. */
#define COLUMNS(ab, cd, x)                      \
    "smlad   r2, " ab ", " x ", r2\n"           \
    "and     " ab ", lr, " ab ", ror #8\n"      \
    "smlad   r12, " cd ", " x ", r12\n"         \
    "sxtab16 " ab ", " ab ", " cd ", ror #24\n" \
    "smladx  r3, " ab ", " x ", r3\n"

#define EIGHT_COLUMNS          \
    "ldmia   r1!, {r8-r11}\n"  \
    "ldmia   r0!, {r4-r7}\n"   \
    COLUMNS("r4", "r5", "r8")  \
    COLUMNS("r6", "r7", "r9")  \
    "ldmia   r0!, {r4-r7}\n"   \
    COLUMNS("r4", "r5", "r10") \
    COLUMNS("r6", "r7", "r11")

/* As thimble_take_apart. Then r4, r5 and r6 are 256 times a row's sum, r7 is the last row's. */
#define TAKE_APART                  \
    "sub     r4, r3, r2, lsl #8\n"  \
    "sub     r4, r12, r4, lsl #8\n" \
    "sbfx    r7, r4, #0, #24\n"     \
    "sub     r6, r12, r7\n"         \
    "sub     r5, r3, r6, asr #8\n"  \
    "sub     r4, r2, r5, asr #8\n"

/* Twice the sums. */
#define TWICE              \
    "asrs    r4, r4, #7\n" \
    "asrs    r5, r5, #7\n" \
    "asrs    r6, r6, #7\n" \
    "lsls    r7, r7, #1\n"

#define TWICE_WITH_BIAS             \
    "ldmia   r1!, {r8-r11}\n"       \
    "add     r4, r8, r4, asr #7\n"  \
    "add     r5, r9, r5, asr #7\n"  \
    "add     r6, r10, r6, asr #7\n" \
    "add     r7, r11, r7, lsl #1\n"

/* As thimble_requantize_s8; r1: constants, from the multipliers on, which r8-r11 take; r12: shifts, of which ASR takes the
 * lowest byte; r2: the zero point. */
#define REQUANTIZE                  \
    "ldmia   r1!, {r8-r12}\n"       \
    "ldr     r2, [sp, %[zero]]\n"   \
    "smmulr  r4, r4, r8\n"          \
    "smmulr  r5, r5, r9\n"          \
    "smmulr  r6, r6, r10\n"         \
    "smmulr  r7, r7, r11\n"         \
    "add     r4, r4, r4, asr #31\n" \
    "add     r5, r5, r5, asr #31\n" \
    "add     r6, r6, r6, asr #31\n" \
    "add     r7, r7, r7, asr #31\n" \
    "asr     r4, r4, r12\n"         \
    "lsr     r12, r12, #8\n"        \
    "asr     r5, r5, r12\n"         \
    "lsr     r12, r12, #8\n"        \
    "asr     r6, r6, r12\n"         \
    "lsr     r12, r12, #8\n"        \
    "asr     r7, r7, r12\n"         \
    "add     r4, r2\n"              \
    "add     r5, r2\n"              \
    "add     r6, r2\n"              \
    "add     r7, r2\n"              \
    "ssat    r4, #8, r4, asr #1\n"  \
    "ssat    r5, #8, r5, asr #1\n"  \
    "ssat    r6, #8, r6, asr #1\n"  \
    "ssat    r7, #8, r7, asr #1\n"

/* The whole of a token's rows; no more than that fits in registers:
 *
 *   r0  weights                    r4, r6  a and b, at two columns each; then b and c
 *   r1  x                          r5, r7  c and d
 *   lr  0xff00ff00                 r8-r11  x, two columns each
 *   r2, r3, r12  sums of 256 a + b, 256 b + c, 256 c + d
 *
 * The mask leaves the two b of a word, turned by 8 bits: each in the other's column, as a high byte. SXTAB16 puts each c under
 * it the same way, and SMLADX exchanges the columns back. On the stack lie: x, what the three sums begin with, where a block
 * begins, the end of x; then `blocks` from `finish` on, as an address, without the weights. */
__attribute__((noinline)) static void multiply(const blocks *p)
{
    register const blocks *r0 __asm__("r0") = p;
    __asm__ volatile("push    {r7}\n" /* not named as clobbered: a frame pointer in builds for debugging */
                     "ldmia   r0, {r1-r11}\n"
                     "adr.w   r12, 2f\n" /* where a block begins */
                     "adr.w   lr, 3f\n"
                     "sub     lr, lr, r12\n"
                     "lsr     lr, lr, #1\n"
                     "mla     r3, r3, lr, r12\n"
                     "orr     r3, r3, #1\n"
                     "adr.w   r12, 4f\n" /* how it ends */
                     "cmp     r5, #1\n"
                     "it      eq\n"
                     "adreq.w r12, 5f\n"
                     "it      hi\n"
                     "adrhi.w r12, 7f\n"
                     "orr     r5, r12, #1\n"
                     "cmp     r10, #0\n"
                     "mov     r10, r3\n" /* after the four columns */
                     "it      ne\n"
                     "adrne.w r3, 1f\n"
                     "orr     r3, r3, #1\n"
                     "push    {r3-r10}\n"
                     "mov     r12, r2\n"
                     "movs    r2, #0\n"
                     "movs    r3, #0\n"
                     "push    {r1-r3, r12}\n"
                     "mov     r0, r11\n"
                     "mov     lr, #0xff00ff00\n"

                     "0:\n" /* four rows */
                     "ldm     sp, {r1-r3, r12, pc}\n"

                     ".p2align 2\n"
                     "1:\n" /* four columns */
                     "ldmia   r1!, {r8, r9}\n"
                     "ldmia   r0!, {r4-r7}\n"
                     COLUMNS("r4", "r5", "r8") COLUMNS("r6", "r7", "r9")
                     "ldr     pc, [sp, %[last]]\n"

                     ".p2align 2\n"
                     "2:\n" /* 16 columns */
                     EIGHT_COLUMNS EIGHT_COLUMNS
                     "3:\n"
                     "ldr     r4, [sp, %[end]]\n"
                     "cmp     r1, r4\n"
                     "bne     2b\n"

                     TAKE_APART
                     "ldrd    r1, r3, [sp, %[constants]]\n"
                     "ldr     pc, [sp, %[finish]]\n"

                     ".p2align 2\n"
                     "5:\n" /* with biases */
                     TWICE_WITH_BIAS
                     "b       6f\n"

                     ".p2align 2\n"
                     "4:\n" /* without biases */
                     TWICE

                     "6:\n"
                     REQUANTIZE
                     "strb    r5, [r3, #1]\n"
                     "strb    r6, [r3, #2]\n"
                     "strb    r7, [r3, #3]\n"
                     "strb    r4, [r3], #4\n"
                     "ldr     r4, [sp, %[out_end]]\n"
                     "strd    r1, r3, [sp, %[constants]]\n"
                     "cmp     r3, r4\n"
                     "bne     0b\n"
                     "b       8f\n"

                     ".p2align 2\n"
                     "7:\n" /* the sums of four rows */
                     "asrs    r4, r4, #8\n"
                     "asrs    r5, r5, #8\n"
                     "asrs    r6, r6, #8\n"
                     "stmia   r3!, {r4-r7}\n"
                     "8:\n"
                     "add     sp, #48\n"
                     "pop     {r7}\n"
                     : "+r"(r0)
                     : [end] "i"(20), PLACES(6)
                     : "r1", "r2", "r3", "r4", "r5", "r6", "r8", "r9", "r10", "r11", "r12", "lr", "cc", "memory");
}

/* Two columns of two tokens. */
#define COLUMNS_OF_TWO              \
    "ldmia   r0!, {r4, r5}\n"       \
    "ldmia   r1!, {r6, r7}\n"       \
    "smlad   r2, r4, r6, r2\n"      \
    "smlad   r9, r4, r7, r9\n"      \
    "and     r4, lr, r4, ror #8\n"  \
    "smlad   r12, r5, r6, r12\n"    \
    "smlad   r10, r5, r7, r10\n"    \
    "sxtab16 r4, r4, r5, ror #24\n" \
    "smladx  r3, r4, r6, r3\n"      \
    "smladx  r11, r4, r7, r11\n"

#define FOUR_COLUMNS_OF_TWO COLUMNS_OF_TWO COLUMNS_OF_TWO

/* A row's output for both tokens, from twice their sums. r12: shifts, of which ASR takes the lowest byte; lr: the zero point. */
#define REQUANTIZE_TWO(x, y, multiplier)       \
    "smmulr  " x ", " x ", " multiplier "\n"   \
    "smmulr  " y ", " y ", " multiplier "\n"   \
    "add     " x ", " x ", " x ", asr #31\n"   \
    "add     " y ", " y ", " y ", asr #31\n"   \
    "asr     " x ", " x ", r12\n"              \
    "asr     " y ", " y ", r12\n"              \
    "add     " x ", lr\n"                      \
    "add     " y ", lr\n"                      \
    "ssat    " x ", #8, " x ", asr #1\n"       \
    "ssat    " y ", #8, " y ", asr #1\n"

/* The same for two tokens at once: each word of weights is read, and its middle rows paired, once for both; so are a row's
 * constants.
 *
 *   r0  weights                     r4  a and b, at two columns; then b and c       r6  x of the first token
 *   r1  x of both, word by word     r5  c and d                                     r7  x of the second token
 *   lr  0xff00ff00                  r8  the end of x
 *   r2, r3, r12  the first token's sums of 256 a + b, 256 b + c, 256 c + d; r9, r11, r10: the second's
 *
 * `skip` counts fours of columns, of 16 in a turn. On the stack lie: x, the first two sums' beginning, the end of x, the second's
 * sums' and the first's last sum's beginning, where a block begins; then `blocks` from `finish` to `out_bytes`. */
__attribute__((noinline)) static void multiply_two(const blocks *p)
{
    register const blocks *r0 __asm__("r0") = p;
    __asm__ volatile("push    {r7}\n"
                     "ldmia   r0, {r1-r12}\n"
                     "push    {r5-r10}\n"
                     "mov     r0, r11\n"
                     "mov     lr, #0xff00ff00\n"
                     "adr.w   r5, 2f\n" /* where a block begins */
                     "adr.w   r6, 3f\n"
                     "subs    r6, r6, r5\n"
                     "lsrs    r6, r6, #2\n"
                     "mla     r5, r3, r6, r5\n"
                     "orr     r5, r5, #1\n"
                     "push    {r5}\n"
                     "mov     r8, r4\n"
                     "mov     r10, r12\n"
                     "mov     r12, r2\n"
                     "movs    r2, #0\n"
                     "movs    r3, #0\n"
                     "mov     r9, r2\n"
                     "mov     r11, r2\n"
                     "push    {r1-r3, r8-r12}\n"

                     "0:\n" /* four rows */
                     "ldm     sp, {r1-r3, r8-r12, pc}\n"

                     ".p2align 2\n"
                     "2:\n" /* 16 columns */
                     FOUR_COLUMNS_OF_TWO FOUR_COLUMNS_OF_TWO FOUR_COLUMNS_OF_TWO FOUR_COLUMNS_OF_TWO
                     "3:\n"
                     "cmp     r1, r8\n"
                     "bne     2b\n"

                     TAKE_APART
                     "sub     r1, r11, r9, lsl #8\n" /* the second token's: r9, r11, r10 and r8 */
                     "sub     r1, r10, r1, lsl #8\n"
                     "sbfx    r8, r1, #0, #24\n"
                     "sub     r10, r10, r8\n"
                     "sub     r11, r11, r10, asr #8\n"
                     "sub     r9, r9, r11, asr #8\n"
                     "ldrd    r2, r1, [sp, %[finish]]\n"
                     "cbz     r2, 5f\n"
                     "ldmia   r1!, {r2, r3, r12, lr}\n" /* biases */
                     "add     r4, r2, r4, asr #7\n"
                     "add     r9, r2, r9, asr #7\n"
                     "add     r5, r3, r5, asr #7\n"
                     "add     r11, r3, r11, asr #7\n"
                     "add     r6, r12, r6, asr #7\n"
                     "add     r10, r12, r10, asr #7\n"
                     "add     r7, lr, r7, lsl #1\n"
                     "add     r8, lr, r8, lsl #1\n"
                     "b       6f\n"
                     "5:\n"
                     TWICE
                     "asr     r9, r9, #7\n"
                     "asr     r11, r11, #7\n"
                     "asr     r10, r10, #7\n"
                     "lsl     r8, r8, #1\n"

                     "6:\n"
                     "ldr     r12, [r1, #16]\n"
                     "ldr     lr, [sp, %[zero]]\n"
                     "ldrd    r2, r3, [r1], #8\n"
                     REQUANTIZE_TWO("r4", "r9", "r2")
                     "lsr     r12, r12, #8\n"
                     REQUANTIZE_TWO("r5", "r11", "r3")
                     "ldrd    r2, r3, [r1], #12\n"
                     "lsr     r12, r12, #8\n"
                     REQUANTIZE_TWO("r6", "r10", "r2")
                     "lsr     r12, r12, #8\n"
                     REQUANTIZE_TWO("r7", "r8", "r3")
                     "ldr     r2, [sp, %[out]]\n"
                     "ldrd    r12, r3, [sp, %[out_end]]\n"
                     "add     r3, r2\n"
                     "strb    r9, [r3]\n"
                     "strb    r11, [r3, #1]\n"
                     "strb    r10, [r3, #2]\n"
                     "strb    r8, [r3, #3]\n"
                     "strb    r5, [r2, #1]\n"
                     "strb    r6, [r2, #2]\n"
                     "strb    r7, [r2, #3]\n"
                     "strb    r4, [r2], #4\n"
                     "strd    r1, r2, [sp, %[constants]]\n"
                     "mov     lr, #0xff00ff00\n"
                     "cmp     r2, r12\n"
                     "bne     0b\n"
                     "add     sp, #60\n"
                     "pop     {r7}\n"
                     : "+r"(r0)
                     : PLACES(9)
                     : "r1", "r2", "r3", "r4", "r5", "r6", "r8", "r9", "r10", "r11", "r12", "lr", "cc", "memory");
}

/* The columns that a block is to be multiplied with. */
static void set_columns(blocks *b, const int16_t *x, int32_t depth, int32_t excess)
{
    b->x = x;
    b->end = x + depth;
    b->minus_excess = -excess;
    b->skip = depth < 8 ? 2 : depth / 8 & 1;
    b->four = depth & 4;
}

/* The sums of four rows, part by part. */
static thimble_row_sums sum_parts(const int16_t *weights, const int16_t *x, int32_t depth, int32_t part, int32_t excess)
{
    thimble_row_sums sums = {{0, 0, 0, -excess}}, more;
    for (int32_t done = 0; done < depth; done += part) {
        blocks b = {.weights = weights + 2 * done, .finish = 2, .out = (int8_t *)(void *)more.row};
        set_columns(&b, x + done, depth - done < part ? depth - done : part, 0);
        multiply(&b);
        for (int32_t i = 0; i < 4; i++) {
            sums.row[i] += more.row[i];
        }
    }
    return sums;
}

static int32_t excess_of(const int16_t *x_end)
{
    int32_t excess;
    __builtin_memcpy(&excess, x_end, 4);
    return excess;
}

/* One token, or two. */
static void multiply_tokens(const thimble_fully_connected_packed_s8_params *p, const int16_t *x, int8_t *out, int32_t two)
{
    const int32_t depth = (p->depth + 3) & ~3;
    blocks b; /* all of it is set: initializing it first would call memset */
    b.finish = p->biased;
    b.constants = p->constants;
    b.out = out;
    b.zero = 2 * p->out_zero_point + 1;
    b.out_end = out + THIMBLE_TOKEN_BYTES(p->rows);
    b.weights = p->weights;
    if (two) {
        b.x = x;
        b.end = x + 2 * depth;
        b.skip = -(depth / 4) & 3;
        b.minus_excess = -excess_of(b.end);
        b.minus_excess_2 = -excess_of(b.end + 2);
        b.out_bytes = THIMBLE_TOKEN_BYTES(p->rows);
        multiply_two(&b);
    } else {
        set_columns(&b, x, depth, excess_of(x + depth));
        multiply(&b);
    }
}

#else

/* One column: its pairs of weights times x. */
static inline void add_column(thimble_row_sums *sums, const int16_t *weights, int32_t x)
{
    const int32_t ab = weights[0], cd = weights[2], b = (int8_t)ab, d = cd & 0xff;
    sums->row[0] += (ab - b) / 256 * x;
    sums->row[1] += b * x;
    sums->row[2] += (cd - d) / 256 * x;
    sums->row[3] += d * x;
}

/* The sums of four rows, part by part: in parts only the fast body's sums differ. */
static thimble_row_sums sum_parts(const int16_t *weights, const int16_t *x, int32_t depth, int32_t part, int32_t excess)
{
    thimble_row_sums sums = {{0, 0, 0, -excess}};
    (void)part;
    for (int32_t column = 0; column < depth; column++) {
        add_column(&sums, weights + column / 2 * 4 + column % 2, x[column]);
    }
    return sums;
}

/* One token, or two, whose words of x alternate. */
static void multiply_tokens(const thimble_fully_connected_packed_s8_params *p, const int16_t *x, int8_t *out, int32_t two)
{
    const int32_t depth = (p->depth + 3) & ~3, tokens = two ? 2 : 1;
    for (int32_t token = 0; token < tokens; token++, x += 2, out += THIMBLE_TOKEN_BYTES(p->rows)) {
        const int16_t *weights = p->weights;
        const int32_t *constants = p->constants;
        int32_t excess;
        __builtin_memcpy(&excess, x + tokens * depth, 4);
        for (int32_t row = 0; row < p->rows; row += 4, weights += 2 * depth, constants += thimble_row_constants(p)) {
            thimble_row_sums sums = {{0, 0, 0, -excess}};
            for (int32_t column = 0; column < depth; column++) {
                add_column(&sums, weights + column / 2 * 4 + column % 2, x[column / 2 * 2 * tokens + column % 2]);
            }
            thimble_put_rows(p, constants, &sums, out + row);
        }
    }
}

#endif

void thimble_fully_connected_pairs_s8(const thimble_fully_connected_packed_s8_params *p, const int16_t *x, int8_t *out,
                                      int32_t tokens)
{
    for (; tokens > 0; tokens -= 2, x += THIMBLE_WIDE_BYTES(p->depth), out += 2 * THIMBLE_TOKEN_BYTES(p->rows)) {
        multiply_tokens(p, x, out, tokens > 1);
    }
}

/* Where one sum of a row might not come apart. */
void thimble_fully_connected_pairs_parts_s8(const thimble_fully_connected_packed_s8_params *p, const int16_t *x, int8_t *out)
{
    const int32_t depth = (p->depth + 3) & ~3;
    const int16_t *weights = p->weights;
    const int32_t *constants = p->constants;
    int32_t excess;
    __builtin_memcpy(&excess, x + depth, 4);
    for (int32_t row = 0; row < p->rows; row += 4, weights += 2 * depth, constants += thimble_row_constants(p)) {
        const thimble_row_sums sums = sum_parts(weights, x, depth, p->part, excess);
        thimble_put_rows(p, constants, &sums, out + row);
    }
}

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
    int32_t finish;       /* 0: requantize; 1: the same with biases; 2: write the sums as they are */
    const int16_t *end;   /* of x */
    const int32_t *constants;
    int8_t *out;
    int32_t zero; /* 2 * zero point + 1 */
    int8_t *out_end;
    union {
        int32_t four;           /* one token: whether four columns remain besides the eights */
        int32_t minus_excess_2; /* two tokens: of the second */
    };
    const int16_t *weights;
    int32_t stride;     /* two tokens: bytes from the first's x to the second's, */
    int32_t out_stride; /* and from output to output */
} blocks;

/* Where that lies on the loop's stack, whose first `first` words are loaded for each block at once. */
#define PLACES(first)                                                                                          \
    [finish] "i"(4 * first), [end] "i"(4 * first + 4), [constants] "i"(4 * first + 8), [out] "i"(4 * first + 12), \
        [zero] "i"(4 * first + 16), [out_end] "i"(4 * first + 20), [last] "i"(4 * first + 24)

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
 * begins; then `blocks` from `finish` on, as an address, without the weights. */
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
                     "cmp     r4, #1\n"
                     "it      eq\n"
                     "adreq.w r12, 5f\n"
                     "it      hi\n"
                     "adrhi.w r12, 7f\n"
                     "orr     r4, r12, #1\n"
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
                     : PLACES(5)
                     : "r1", "r2", "r3", "r4", "r5", "r6", "r8", "r9", "r10", "r11", "r12", "lr", "cc", "memory");
}

/* Two columns of two tokens. */
#define COLUMNS_OF_TWO              \
    "ldmia   r0!, {r4, r5}\n"       \
    "ldr     r7, [r1, r8]\n"        \
    "ldr     r6, [r1], #4\n"        \
    "smlad   r2, r4, r6, r2\n"      \
    "smlad   r9, r4, r7, r9\n"      \
    "and     r4, lr, r4, ror #8\n"  \
    "smlad   r12, r5, r6, r12\n"    \
    "smlad   r10, r5, r7, r10\n"    \
    "sxtab16 r4, r4, r5, ror #24\n" \
    "smladx  r3, r4, r6, r3\n"      \
    "smladx  r11, r4, r7, r11\n"

#define FOUR_COLUMNS_OF_TWO COLUMNS_OF_TWO COLUMNS_OF_TWO

/* The same for two tokens at once: each word of weights is read, and its middle rows paired, once for both.
 *
 *   r0  weights                     r4  a and b, at two columns; then b and c       r6  x of the first token
 *   r1  x                           r5  c and d                                     r7  x of the second token
 *   lr  0xff00ff00                  r8  stride
 *   r2, r3, r12  the first token's sums of 256 a + b, 256 b + c, 256 c + d; r9, r11, r10: the second's
 *
 * `skip` counts fours of columns, of 8 in a turn. On the stack lie: x and the first two sums' beginning, the stride, the
 * second's sums' and the first's last sum's beginning, where a block begins; then `blocks` from `finish` to the end of outputs,
 * out_stride, and the second token's sums while the first's are requantized; meanwhile lr is where the outputs go. */
__attribute__((noinline)) static void multiply_two(const blocks *p)
{
    register const blocks *r0 __asm__("r0") = p;
    __asm__ volatile("push    {r7}\n"
                     "sub     sp, #12\n"
                     "ldmia   r0, {r1-r12, lr}\n"
                     "push    {r4-r9, lr}\n"
                     "mov     r0, r11\n"
                     "mov     lr, #0xff00ff00\n"
                     "adr.w   r4, 2f\n" /* where a block begins */
                     "adr.w   r5, 3f\n"
                     "subs    r5, r5, r4\n"
                     "lsrs    r5, r5, #1\n"
                     "mla     r4, r3, r5, r4\n"
                     "orr     r4, r4, #1\n"
                     "push    {r4}\n"
                     "mov     r8, r12\n"
                     "mov     r12, r2\n"
                     "movs    r2, #0\n"
                     "movs    r3, #0\n"
                     "mov     r9, #0\n"
                     "mov     r11, #0\n"
                     "push    {r1-r3, r8-r12}\n"

                     "0:\n" /* four rows */
                     "ldm     sp, {r1-r3, r8-r12, pc}\n"

                     ".p2align 2\n"
                     "2:\n" /* 8 columns */
                     FOUR_COLUMNS_OF_TWO FOUR_COLUMNS_OF_TWO
                     "3:\n"
                     "ldr     r4, [sp, %[end]]\n"
                     "cmp     r1, r4\n"
                     "bne     2b\n"
                     "strd    r9, r10, [sp, %[last] + 4]\n"
                     "str     r11, [sp, %[last] + 12]\n"
                     "ldr     lr, [sp, %[out]]\n"

                     "4:\n" /* a token's outputs */
                     TAKE_APART
                     "ldr     r1, [sp, %[constants]]\n"
                     "ldr     r3, [sp, %[finish]]\n"
                     "cbz     r3, 5f\n"
                     TWICE_WITH_BIAS
                     "b       6f\n"
                     "5:\n"
                     TWICE
                     "6:\n"
                     REQUANTIZE
                     "strb    r4, [lr]\n"
                     "strb    r5, [lr, #1]\n"
                     "strb    r6, [lr, #2]\n"
                     "strb    r7, [lr, #3]\n"
                     "ldr     r5, [sp, %[out]]\n"
                     "cmp     lr, r5\n"
                     "bne     7f\n"
                     "ldrd    r2, r12, [sp, %[last] + 4]\n"
                     "ldr     r4, [sp, %[last]]\n"
                     "ldr     r3, [sp, %[last] + 12]\n"
                     "add     lr, r4\n"
                     "b       4b\n"

                     "7:\n"
                     "adds    r5, #4\n"
                     "strd    r1, r5, [sp, %[constants]]\n"
                     "ldr     r6, [sp, %[out_end]]\n"
                     "mov     lr, #0xff00ff00\n"
                     "cmp     r5, r6\n"
                     "bne     0b\n"
                     "add     sp, #76\n"
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

static int32_t excess_of(const int16_t *x, int32_t depth)
{
    int32_t excess;
    __builtin_memcpy(&excess, x + depth, 4);
    return excess;
}

/* One token, or two whose inputs and outputs lie `stride` bytes apart. */
__attribute__((noinline)) static void multiply_tokens(const thimble_fully_connected_packed_s8_params *p, const int16_t *x,
                                                      int8_t *out, int32_t stride, int32_t two)
{
    const int32_t depth = (p->depth + 3) & ~3;
    blocks b = {.weights = p->weights, .constants = p->constants, .finish = p->biased ? 1 : 0};
    set_columns(&b, x, depth, excess_of(x, depth));
    b.zero = 2 * p->out_zero_point + 1;
    b.out = out;
    b.out_end = out + ((p->rows + 3) & ~3);
    if (two) {
        b.skip = depth / 4 & 1;
        b.minus_excess_2 = -excess_of(x + stride / 2, depth);
        b.stride = b.out_stride = stride;
        multiply_two(&b);
    } else {
        multiply(&b);
    }
}

#else

/* The sums of four rows, part by part: in parts only the fast body's sums differ. */
static thimble_row_sums sum_parts(const int16_t *weights, const int16_t *x, int32_t depth, int32_t part, int32_t excess)
{
    thimble_row_sums sums = {{0, 0, 0, -excess}};
    (void)part;
    for (int32_t column = 0; column < depth; column++) {
        const int16_t ab = weights[column / 2 * 4 + column % 2], cd = weights[column / 2 * 4 + column % 2 + 2];
        const int32_t b = (int8_t)ab, d = cd & 0xff;
        sums.row[0] += (ab - b) / 256 * x[column];
        sums.row[1] += b * x[column];
        sums.row[2] += (cd - d) / 256 * x[column];
        sums.row[3] += d * x[column];
    }
    return sums;
}

#endif

/* Where one sum of a row might not come apart. */
__attribute__((noinline)) static void multiply_parts(const thimble_fully_connected_packed_s8_params *p, const int16_t *x,
                                                     int8_t *out)
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

void thimble_fully_connected_pairs_s8(const thimble_fully_connected_packed_s8_params *p, const int16_t *x, int8_t *out,
                                      int32_t tokens, int32_t stride)
{
#if defined(__ARM_FEATURE_DSP) && !defined(THIMBLE_PLAIN_C)
    for (; tokens > 1; tokens -= 2, x += stride, out += 2 * stride) {
        multiply_tokens(p, x, out, stride, 1);
    }
    if (tokens) {
        multiply_tokens(p, x, out, stride, 0);
    }
#else
    for (; tokens > 0; tokens--, x += stride / 2, out += stride) {
        multiply_parts(p, x, out);
    }
#endif
}

void thimble_fully_connected_pairs_parts_s8(const thimble_fully_connected_packed_s8_params *p, const int16_t *x, int8_t *out,
                                            int32_t tokens, int32_t stride)
{
    for (; tokens > 0; tokens--, x += stride / 2, out += stride) {
        multiply_parts(p, x, out);
    }
}

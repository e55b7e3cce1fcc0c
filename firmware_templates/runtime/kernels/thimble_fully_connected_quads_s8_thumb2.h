/* A body of thimble_fully_connected_quads_s8.c, for cores with Thumb-2 instructions (Cortex-M3). */
#ifndef THIMBLE_FULLY_CONNECTED_QUADS_S8_THUMB2_H
#define THIMBLE_FULLY_CONNECTED_QUADS_S8_THUMB2_H

/* What the loop over blocks reads: sums of the words, of 256 a + b + 128 and of 256 (b + 128) + c + 128, times x,
 * modulo 2^32; they begin with what the 128 add, negative. */
typedef struct {
    const int16_t *x;
    uint32_t all, upper;
    const int16_t *end, *end_of_two;   /* of x, both the same */
    uint32_t all_2, upper_2, middle_2; /* of the second token */
    uint32_t middle;
    int32_t entry;  /* 0: one token, 1: the same, an odd number of fours of columns; 2: two tokens */
    int32_t finish; /* 0: requantize; 1: the same with biases; 2: write the sums as they are */
    const int32_t *constants;
    int8_t *out;
    int32_t zero; /* 2 * zero point + 1 */
    int8_t *out_end;
    int32_t to_second; /* bytes to the second token's outputs; one token: 0 */
} blocks;

/* Where that lies on the loop's stack. */
#define PLACES                                                                                                    \
    [finish] "i"(40), [constants] "i"(44), [out] "i"(48), [zero] "i"(52), [out_end] "i"(56), [to_second] "i"(60), \
        [left] "i"(64)

/* clang-format off */
#define COLUMN(word)                       \
    "ldrsh   lr, [r1], #2\n"               \
    "mla     r2, " word ", lr, r2\n"       \
    "asr     r9, " word ", #16\n"          \
    "mla     r3, r9, lr, r3\n"             \
    "ubfx    " word ", " word ", #8, #16\n" \
    "mla     r12, " word ", lr, r12\n"

#define FOUR_COLUMNS                  \
    "ldmia   r0!, {r4, r5, r6, r8}\n" \
    COLUMN("r4") COLUMN("r5") COLUMN("r6") COLUMN("r8")
/* clang-format on */

/* x: its place. */
/* clang-format off */
#define COLUMN_OF_TWO(word, x, second_x) \
    "ldrsh   lr, " second_x "\n"         \
    "asr     r6, " word ", #16\n"        \
    "mla     r9, " word ", lr, r9\n"     \
    "mla     r10, r6, lr, r10\n"         \
    "ubfx    r7, " word ", #8, #16\n"    \
    "mla     r11, r7, lr, r11\n"         \
    "ldrsh   lr, " x "\n"                \
    "mla     r2, " word ", lr, r2\n"     \
    "mla     r3, r6, lr, r3\n"           \
    "mla     r12, r7, lr, r12\n"
/* clang-format on */

/* x: two columns of the first token, then of the second. */
/* clang-format off */
#define TWO_COLUMNS_OF_TWO    \
    "ldmia   r0!, {r4, r5}\n" \
    COLUMN_OF_TWO("r5", "[r1, #2]", "[r1, #6]") COLUMN_OF_TWO("r4", "[r1], #8", "[r1, #4]")
/* clang-format on */

/* As thimble_requantize_s8, into the next output. SMULL leaves the product's lower half, of which the uppermost bit
 * rounds; lr: shifts, of which ASR takes the lowest byte; r11: the zero point. */
/* clang-format off */
#define REQUANTIZE(sum, multiplier)          \
    "smull   r7, " sum ", " sum ", " multiplier "\n" \
    "lsls    r7, r7, #1\n"                   \
    "adc     " sum ", " sum ", #0\n"         \
    "add     " sum ", " sum ", " sum ", asr #31\n" \
    "asr     " sum ", " sum ", lr\n"         \
    "lsr     lr, lr, #8\n"                   \
    "add     " sum ", " sum ", r11\n"        \
    "ssat    " sum ", #8, " sum ", asr #1\n" \
    "strb    " sum ", [r3], #1\n"
/* clang-format on */

/* All rows, of one token or two:
 *
 *   r0  weights                 r4-r6, r8  one token: words of four columns; r9 their upper half
 *   r1  x                       r4, r5     two tokens: words of two columns; r6, r7 their upper and middle half; r8 the
 * end of x lr  an x                    r9-r11     the second token's sums r2, r3, r12  the sums of the words, of their
 * upper and of their middle halves
 *
 * One token's end of x is r7. Both loops go on with the sums in r2, r3 and r12; of two tokens the second's wait in
 * `left`. On the stack lie `blocks`, with addresses for `entry` and `finish`, and `left`: to_second while the first
 * token is requantized, else 0, and the second's three sums. */
__attribute__((noinline)) static THIMBLE_HOT(multiply) void multiply(const blocks *p, const int32_t *weights)
{
    register const blocks *r0 __asm__("r0") = p;
    register const int32_t *r1 __asm__("r1") = weights;
    /* clang-format off */
    __asm__ volatile("push    {r7, r9}\n" /* not named as clobbered: a frame or static base may be there */
                     "mov     r12, r1\n"
                     "add     r1, r0, #36\n"
                     "ldm     r1, {r2-r6, r8-r9}\n"
                     "adr.w   r1, 9f\n"
                     "ldr     r2, [r1, r2, lsl #2]\n"
                     "add     r1, r1, #12\n"
                     "ldr     r3, [r1, r3, lsl #2]\n"
                     "mov     r10, #0\n"
                     "sub     sp, #12\n"
                     "push    {r2-r6, r8-r10}\n"
                     "ldm     r0, {r2-r6, r8-r11}\n"
                     "push    {r2-r6, r8-r11}\n"
                     "mov     r0, r12\n"

                     "0:\n" /* four rows */
                     "ldm     sp, {r1-r3, r7-r12, pc}\n"

                     ".p2align 2\n"
                     "9:\n"
                     ".word   1f + 1, 2f + 1, 3f + 1, 4f + 1, 5f + 1, 7f + 1\n"

                     "1:\n" /* 8 columns */
                     FOUR_COLUMNS
                     "2:\n"
                     FOUR_COLUMNS
                     "cmp     r1, r7\n"
                     "bne     1b\n"
                     "b       8f\n"

                     "3:\n" /* four columns of two tokens */
                     TWO_COLUMNS_OF_TWO TWO_COLUMNS_OF_TWO
                     "cmp     r1, r8\n"
                     "bne     3b\n"
                     "ldr     r8, [sp, %[to_second]]\n"
                     "add     r7, sp, %[left]\n"
                     "stm     r7, {r8-r11}\n"

                     "8:\n" /* as thimble_take_apart; then r4, r5 and r6 are 256 times a row's sum, r8 is the last row's */
                     "sub     r2, r2, r3, lsl #16\n"
                     "sub     r4, r12, r3, lsl #8\n"
                     "sub     r4, r2, r4, lsl #8\n"
                     "sbfx    r8, r4, #0, #24\n"
                     "sub     r6, r2, r8\n"
                     "sub     r5, r12, r6, asr #8\n"
                     "sub     r4, r3, r5, asr #8\n"
                     "ldrd    r1, r3, [sp, %[constants]]\n"
                     "ldr     pc, [sp, %[finish]]\n"

                     "5:\n" /* with biases */
                     "ldmia   r1!, {r9-r12}\n"
                     "add     r4, r9, r4, asr #7\n"
                     "add     r5, r10, r5, asr #7\n"
                     "add     r6, r11, r6, asr #7\n"
                     "add     r8, r12, r8, lsl #1\n"
                     "b       6f\n"

                     "4:\n" /* without biases */
                     "asrs    r4, r4, #7\n"
                     "asrs    r5, r5, #7\n"
                     "asrs    r6, r6, #7\n"
                     "lsl     r8, r8, #1\n"

                     "6:\n"
                     "ldmia   r1!, {r2, r9, r10, r12, lr}\n"
                     "ldr     r11, [sp, %[zero]]\n"
                     REQUANTIZE("r4", "r2") REQUANTIZE("r5", "r9") REQUANTIZE("r6", "r10") REQUANTIZE("r8", "r12")
                     "ldr     r4, [sp, %[left]]\n"
                     "cbz     r4, 10f\n"
                     "movs    r5, #0\n" /* now the second token's */
                     "str     r5, [sp, %[left]]\n"
                     "ldr     r5, [sp, %[out]]\n"
                     "add     r5, r4\n"
                     "str     r5, [sp, %[out]]\n"
                     "ldrd    r2, r3, [sp, %[left] + 4]\n"
                     "ldr     r12, [sp, %[left] + 12]\n"
                     "b       8b\n"

                     "10:\n"
                     "ldr     r4, [sp, %[to_second]]\n"
                     "ldr     r5, [sp, %[out_end]]\n"
                     "sub     r3, r4\n"
                     "strd    r1, r3, [sp, %[constants]]\n"
                     "cmp     r3, r5\n"
                     "bne     0b\n"
                     "b       11f\n"

                     "7:\n" /* the sums of four rows */
                     "asrs    r4, r4, #8\n"
                     "asrs    r5, r5, #8\n"
                     "asrs    r6, r6, #8\n"
                     "stmia   r3!, {r4-r6, r8}\n"
                     "11:\n"
                     "add     sp, #80\n"
                     "pop     {r7, r9}\n"
                     : "+r"(r0), "+r"(r1)
                     : PLACES
                     : "r2", "r3", "r4", "r5", "r6", "r8", "r10", "r11", "r12", "lr", "cc", "memory");
    /* clang-format on */
}

/* The sums of four rows, part by part. */
static THIMBLE_HOT(sum_parts) thimble_row_sums
    sum_parts(const int32_t *words, const int16_t *x, int32_t depth, int32_t part)
{
    const int32_t excess = excess_of(x + depth);
    thimble_row_sums sums = {{0, -excess, -excess, -excess}}, more;
    for (int32_t done = 0; done < depth; done += part) {
        const int32_t columns = depth - done < part ? depth - done : part;
        const blocks b = {
            .x = x + done,
            .end = x + done + columns,
            .entry = columns / 4 & 1,
            .finish = 2,
            .out = (int8_t *)(void *)more.row,
        };
        multiply(&b, words + done);
        for (int32_t i = 0; i < 4; i++) {
            sums.row[i] += more.row[i];
        }
    }
    return sums;
}

/* One token, or two, whose words of x alternate. */
static THIMBLE_HOT(multiply_tokens) void multiply_tokens(const thimble_fully_connected_packed_s8_params *p,
                                                         const int16_t *x, int8_t *out, int32_t two)
{
    const int32_t depth = (p->depth + 3) & ~3, out_bytes = THIMBLE_TOKEN_BYTES(p->rows);
    const int16_t *const end = two ? x + 2 * depth : x + depth;
    blocks b = {
        .x = x,
        .end = end,
        .end_of_two = end,
        .entry = two ? 2 : depth / 4 & 1,
        .finish = p->biased ? 1 : 0,
        .constants = p->constants,
        .out = out,
        .zero = 2 * p->out_zero_point + 1,
        .out_end = out + out_bytes,
        .to_second = two ? out_bytes : 0,
    };
    start(&b.all, &b.upper, &b.middle, (uint32_t)excess_of(end));
    if (two) {
        start(&b.all_2, &b.upper_2, &b.middle_2, (uint32_t)excess_of(end + 2));
    }
    multiply(&b, p->weights);
}

#endif

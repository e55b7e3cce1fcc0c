/* A body of thimble_fully_connected_pairs_s8.c, for cores with DSP instructions (Cortex-M4, M7, M33). */
#ifndef THIMBLE_FULLY_CONNECTED_PAIRS_S8_DSP_H
#define THIMBLE_FULLY_CONNECTED_PAIRS_S8_DSP_H

/* Two columns of four rows: the words [a b] and [c d], and x. */
/* clang-format off */
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
/* clang-format on */

/* As thimble_take_apart. Then r4, r5 and r6 are 256 times a row's sum, r7 is the last row's. */
/* clang-format off */
#define TAKE_APART                  \
    "sub     r4, r3, r2, lsl #8\n"  \
    "sub     r4, r12, r4, lsl #8\n" \
    "sbfx    r7, r4, #0, #24\n"     \
    "sub     r6, r12, r7\n"         \
    "sub     r5, r3, r6, asr #8\n"  \
    "sub     r4, r2, r5, asr #8\n"
/* clang-format on */

/* Twice the sums. */
/* clang-format off */
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
/* clang-format on */

/* As thimble_requantize_s8; r1: constants, from the multipliers on, which r8-r11 take; r12: shifts, of which ASR takes
 * the lowest byte; r2: the zero point. */
/* clang-format off */
#define REQUANTIZE                  \
    "ldmia   r1!, {r8-r12}\n"       \
    "ldr     r2, [sp, #44]\n"   \
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
/* clang-format on */

/* The whole of a token's rows; no more than that fits in registers:
 *
 *   r0  weights                    r4, r6  a and b, at two columns each; then b and c
 *   r1  x                          r5, r7  c and d
 *   lr  0xff00ff00                 r8-r11  x, two columns each
 *   r2, r3, r12  sums of 256 a + b, 256 b + c, 256 c + d
 *
 * The mask leaves the two b of a word, turned by 8 bits: each in the other's column, as a high byte. SXTAB16 puts each
 * c under it the same way, and SMLADX exchanges the columns back. On the stack lie: x, what the three sums begin with,
 * where a block begins, as an address; then the end of x, constants, out, how a block ends, the end of out, what
 * follows four columns, and 2 * zero point + 1. minus_excess: what the 128 in d + 128 adds, negative. `biased` 2: the
 * sums of four rows are written. */
__attribute__((noinline)) static THIMBLE_HOT(multiply) void multiply(const thimble_fully_connected_packed_s8_params *p,
                                                                     const int16_t *x, void *out, int32_t minus_excess)
{
    register const void *r0 __asm__("r0") = p;
    register const int16_t *r1 __asm__("r1") = x;
    register void *r2 __asm__("r2") = out;
    register int32_t r3 __asm__("r3") = minus_excess;
    /* clang-format off */
    __asm__ volatile("push    {r7, r9}\n" /* not named as clobbered: a frame or static base may be there */
                     "ldmia   r0, {r4-r10}\n"
                     "mov     r0, r4\n"
                     "mov     r12, r3\n"
                     "add     r4, r1, r9, lsl #1\n"
                     "adr.w   r7, 4f\n" /* how a block ends */
                     "cmp     r6, #1\n"
                     "it      eq\n"
                     "adreq.w r7, 5f\n"
                     "it      hi\n"
                     "adrhi.w r7, 7f\n"
                     "orr     r7, r7, #1\n"
                     "mov     r6, r2\n"
                     "add     r8, r8, #3\n"
                     "bic     r8, r8, #3\n"
                     "add     r8, r2\n"
                     "add     r10, r10, r10\n"
                     "add     r10, r10, #1\n"
                     "ubfx    r3, r9, #3, #1\n" /* eights that the first turn of two leaves out; both of four columns */
                     "cmp     r9, #8\n"
                     "it      lt\n"
                     "movlt   r3, #2\n"
                     "adr.w   r2, 2f\n" /* where it begins */
                     "adr.w   lr, 3f\n"
                     "sub     lr, lr, r2\n"
                     "lsr     lr, lr, #1\n"
                     "mla     r3, r3, lr, r2\n"
                     "orr     r3, r3, #1\n"
                     "tst     r9, #4\n"
                     "mov     r9, r3\n"
                     "it      ne\n"
                     "adrne.w r3, 1f\n"
                     "orr     r3, r3, #1\n"
                     "push    {r3-r10}\n"
                     "movs    r2, #0\n"
                     "movs    r3, #0\n"
                     "push    {r1-r3, r12}\n"
                     "mov     lr, #0xff00ff00\n"

                     "0:\n" /* four rows */
                     "ldm     sp, {r1-r3, r12, pc}\n"

                     ".p2align 2\n"
                     "1:\n" /* four columns */
                     "ldmia   r1!, {r8, r9}\n"
                     "ldmia   r0!, {r4-r7}\n"
                     COLUMNS("r4", "r5", "r8") COLUMNS("r6", "r7", "r9")
                     "ldr     pc, [sp, #40]\n"

                     ".p2align 2\n"
                     "2:\n" /* 16 columns */
                     EIGHT_COLUMNS EIGHT_COLUMNS
                     "3:\n"
                     "ldr     r4, [sp, #20]\n"
                     "cmp     r1, r4\n"
                     "bne     2b\n"

                     TAKE_APART
                     "ldrd    r1, r3, [sp, #24]\n"
                     "ldr     pc, [sp, #32]\n"

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
                     "ldr     r4, [sp, #36]\n"
                     "strd    r1, r3, [sp, #24]\n"
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
                     "pop     {r7, r9}\n"
                     : "+r"(r0), "+r"(r1), "+r"(r2), "+r"(r3)
                     :
                     : "r4", "r5", "r6", "r8", "r10", "r11", "r12", "lr", "cc", "memory");
    /* clang-format on */
}

/* Two columns of two tokens. */
/* clang-format off */
#define COLUMNS_OF_TWO              \
    "ldmia   r0!, {r4, r5}\n"       \
    "ldmia   r1!, {r6, r7}\n"       \
    "smlad   r2, r4, r6, r2\n"      \
    "smlad   r9, r4, r7, r9\n"      \
    "and     r4, r8, r4, ror #8\n"  \
    "smlad   r12, r5, r6, r12\n"    \
    "smlad   r10, r5, r7, r10\n"    \
    "sxtab16 r4, r4, r5, ror #24\n" \
    "smladx  r3, r4, r6, r3\n"      \
    "smladx  r11, r4, r7, r11\n"
/* clang-format on */

#define FOUR_COLUMNS_OF_TWO COLUMNS_OF_TWO COLUMNS_OF_TWO

/* A row's doubled output for both tokens, from twice their sums, without the zero point. r12: shifts, of which ASR
 * takes the lowest byte. */
/* clang-format off */
#define SCALE_TWO(x, y, multiplier)            \
    "smmulr  " x ", " x ", " multiplier "\n"   \
    "smmulr  " y ", " y ", " multiplier "\n"   \
    "add     " x ", " x ", " x ", asr #31\n"   \
    "add     " y ", " y ", " y ", asr #31\n"   \
    "asr     " x ", " x ", r12\n"              \
    "asr     " y ", " y ", r12\n"
/* clang-format on */

/* Four rows' outputs as the bytes of a, with the zero point and 128 more, which keeps them unsigned as they are
 * limited. */
/* clang-format off */
#define FOUR_BYTES(a, b, c, d, zero)           \
    "pkhbt   " a ", " a ", " c ", lsl #16\n"   \
    "pkhbt   " b ", " b ", " d ", lsl #16\n"   \
    "shadd16 " a ", " a ", " zero "\n"         \
    "shadd16 " b ", " b ", " zero "\n"         \
    "usat16  " a ", #8, " a "\n"               \
    "usat16  " b ", #8, " b "\n"               \
    "orr     " a ", " a ", " b ", lsl #8\n"    \
    "eor     " a ", " a ", #0x80808080\n"
/* clang-format on */

/* The same for two tokens at once: each word of weights is read, and its middle rows paired, once for both; so are a
 * row's constants.
 *
 *   r0  weights                     r4  a and b, at two columns; then b and c       r6  x of the first token
 *   r1  x of both, word by word     r5  c and d                                     r7  x of the second token
 *   lr  the end of x                r8  0xff00ff00
 *   r2, r3, r12  the first token's sums of 256 a + b, 256 b + c, 256 c + d; r9, r11, r10: the second's
 *
 * On the stack lie: x, the first two sums' beginning, the mask, the second's sums' and the first's last sum's
 * beginning, where a block begins; then the zero point for FOUR_BYTES, out, constants, whether there are biases, the
 * end of out, and the bytes from one token's outputs to the other's. The first turn of a block leaves out fours of
 * columns, of 16. */
__attribute__((noinline)) static THIMBLE_HOT(multiply_two) void multiply_two(
    const thimble_fully_connected_packed_s8_params *p, const int16_t *x, int8_t *out)
{
    register const void *r0 __asm__("r0") = p;
    register const int16_t *r1 __asm__("r1") = x;
    register int8_t *r2 __asm__("r2") = out;
    /* clang-format off */
    __asm__ volatile("push    {r7, r9}\n"
                     "ldmia   r0, {r3-r9}\n"
                     "lsls    r0, r9, #1\n"
                     "addw    r0, r0, #257\n"
                     "orr     r0, r0, r0, lsl #16\n"
                     "adds    r7, #3\n"
                     "bic     r7, r7, #3\n"
                     "adds    r6, r2, r7\n"
                     "push    {r0, r2, r4-r7}\n"
                     "mov     r0, r3\n"
                     "add     lr, r1, r8, lsl #2\n"
                     "ldrd    r12, r10, [lr]\n" /* what the 128 in d + 128 adds */
                     "rsb     r12, r12, #0\n"
                     "rsb     r10, r10, #0\n"
                     "rsb     r8, r8, #0\n"
                     "and     r8, r8, #12\n"
                     "adr.w   r5, 2f\n" /* where a block begins */
                     "adr.w   r6, 3f\n"
                     "subs    r6, r6, r5\n"
                     "lsrs    r6, r6, #4\n"
                     "mla     r5, r8, r6, r5\n"
                     "orr     r5, r5, #1\n"
                     "push    {r5}\n"
                     "mov     r8, #0xff00ff00\n"
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
                     "cmp     r1, lr\n"
                     "bne     2b\n"

                     TAKE_APART
                     "sub     r1, r11, r9, lsl #8\n" /* the second token's: r9, r11, r10 and r8 */
                     "sub     r1, r10, r1, lsl #8\n"
                     "sbfx    r8, r1, #0, #24\n"
                     "sub     r10, r10, r8\n"
                     "sub     r11, r11, r10, asr #8\n"
                     "sub     r9, r9, r11, asr #8\n"
                     "ldrd    r1, r2, [sp, #44]\n"
                     "cbz     r2, 5f\n"
                     "ldmia   r1!, {r2, r3, r12}\n" /* biases */
                     "add     r4, r2, r4, asr #7\n"
                     "add     r9, r2, r9, asr #7\n"
                     "add     r5, r3, r5, asr #7\n"
                     "add     r11, r3, r11, asr #7\n"
                     "add     r6, r12, r6, asr #7\n"
                     "add     r10, r12, r10, asr #7\n"
                     "ldr     r2, [r1], #4\n"
                     "add     r7, r2, r7, lsl #1\n"
                     "add     r8, r2, r8, lsl #1\n"
                     "b       6f\n"
                     "5:\n"
                     TWICE
                     "asr     r9, r9, #7\n"
                     "asr     r11, r11, #7\n"
                     "asr     r10, r10, #7\n"
                     "lsl     r8, r8, #1\n"

                     "6:\n"
                     "ldr     r12, [r1, #16]\n"
                     "ldrd    r2, r3, [r1], #8\n"
                     SCALE_TWO("r4", "r9", "r2")
                     "lsr     r12, r12, #8\n"
                     SCALE_TWO("r5", "r11", "r3")
                     "ldrd    r2, r3, [r1], #12\n"
                     "lsr     r12, r12, #8\n"
                     SCALE_TWO("r6", "r10", "r2")
                     "lsr     r12, r12, #8\n"
                     SCALE_TWO("r7", "r8", "r3")
                     "ldrd    r3, r2, [sp, #36]\n"
                     FOUR_BYTES("r4", "r5", "r6", "r7", "r3")
                     FOUR_BYTES("r9", "r11", "r10", "r8", "r3")
                     "ldrd    r12, r3, [sp, #52]\n"
                     "str     r9, [r2, r3]\n"
                     "str     r4, [r2], #4\n"
                     "strd    r2, r1, [sp, #40]\n"
                     "cmp     r2, r12\n"
                     "bne     0b\n"
                     "add     sp, #60\n"
                     "pop     {r7, r9}\n"
                     : "+r"(r0), "+r"(r1), "+r"(r2)
                     :
                     : "r3", "r4", "r5", "r6", "r8", "r10", "r11", "r12", "lr", "cc", "memory");
    /* clang-format on */
}

/* The sums of four rows, part by part. */
static THIMBLE_HOT(sum_parts) thimble_row_sums
    sum_parts(const int16_t *weights, const int16_t *x, int32_t depth, int32_t part, int32_t excess)
{
    thimble_row_sums sums = {{0, 0, 0, -excess}}, more;
    for (int32_t done = 0; done < depth; done += part) {
        const thimble_fully_connected_packed_s8_params p = {
            .weights = weights + 2 * done, .biased = 2, .rows = 4, .part = depth - done < part ? depth - done : part};
        multiply(&p, x + done, more.row, 0);
        for (int32_t i = 0; i < 4; i++) {
            sums.row[i] += more.row[i];
        }
    }
    return sums;
}

/* One token, or two. */
static THIMBLE_HOT(multiply_tokens) void multiply_tokens(const thimble_fully_connected_packed_s8_params *p,
                                                         const int16_t *x, int8_t *out, int32_t two)
{
    if (two) {
        multiply_two(p, x, out);
    } else {
        int32_t excess;
        __builtin_memcpy(&excess, x + p->part, 4);
        multiply(p, x, out, -excess);
    }
}

#endif

/* A body of thimble_fully_connected_nibbles_s8.c, for cores with DSP instructions (Cortex-M4, M7, M33). */
#ifndef THIMBLE_FULLY_CONNECTED_NIBBLES_S8_DSP_H
#define THIMBLE_FULLY_CONNECTED_NIBBLES_S8_DSP_H

/* What the loop reads, in the order in which it does. */
typedef struct {
    const int16_t *x;
    int32_t ab, bc; /* what the sums begin with */
    const int16_t *end;
    int32_t cd;
    int32_t skip; /* fours of columns that the first turn leaves out */
    int32_t zero; /* 2 * (zero point + 128) + 1, in both halves */
    int32_t biased;
    const int32_t *constants;
    int8_t *out_end;
} rows_of_token;

/* clang-format off */
#define COLUMNS(word, x)                      \
    "and     r6, r11, " word ", ror #8\n"     \
    "smladx  r3, r6, " x ", r3\n"             \
    "and     r6, lr, " word ", lsr #4\n"      \
    "smladx  r12, r6, " x ", r12\n"           \
    "and     " word ", lr, " word "\n"        \
    "smlad   r2, " word ", " x ", r2\n"

#define FOUR_COLUMNS          \
    "ldmia   r1!, {r8, r9}\n" \
    "ldmia   r0!, {r4, r5}\n" \
    COLUMNS("r4", "r8") COLUMNS("r5", "r9")
/* clang-format on */

/* r0: weights; r1: x, r7: its end; r2, r3, r12: the sums; r10: out; lr: 0x0f0f0f0f, r11: 0x0ff00ff0. The stack holds
 * rows_of_token, but for `skip` the address where a strip begins. */
__attribute__((noinline)) static THIMBLE_HOT(multiply) void multiply(const uint32_t *weights, const rows_of_token *p,
                                                                     int8_t *out)
{
    register const uint32_t *r0 __asm__("r0") = weights;
    register const rows_of_token *r1 __asm__("r1") = p;
    register int8_t *r2 __asm__("r2") = out;
    /* clang-format off */
    __asm__ volatile("push    {r7, r9}\n" /* not named as clobbered: a frame or static base may be there */
                     "mov     r10, r2\n"
                     "ldmia   r1, {r1-r9, r12}\n"
                     "push    {r12}\n"
                     "adr.w   r11, 1f\n"
                     "adr.w   r12, 2f\n"
                     "sub     r12, r12, r11\n"
                     "lsr     r12, r12, #2\n"
                     "mla     r6, r6, r12, r11\n"
                     "orr     r6, r6, #1\n"
                     "push    {r1-r9}\n"
                     "mov     lr, #0x0f0f0f0f\n"
                     "movw    r11, #0x0ff0\n"
                     "movt    r11, #0x0ff0\n"

                     "0:\n" /* four rows */
                     "ldm     sp, {r1, r2, r3, r7, r12, pc}\n"

                     ".p2align 2\n"
                     "1:\n" /* 16 columns */
                     FOUR_COLUMNS FOUR_COLUMNS FOUR_COLUMNS FOUR_COLUMNS
                     "2:\n"
                     "cmp     r1, r7\n"
                     "bne     1b\n"

                     "sub     r4, r3, r2, lsl #8\n" /* 256 times each sum, but the last as it is */
                     "sub     r4, r12, r4, lsl #4\n"
                     "sbfx    r7, r4, #0, #20\n"
                     "sub     r6, r12, r7\n"
                     "sub     r5, r3, r6, asr #4\n"
                     "sub     r4, r2, r5, asr #8\n"
                     "ldrd    r8, r1, [sp, #24]\n"
                     "ldr     r2, [sp, #32]\n"
                     "cbnz    r1, 3f\n"
                     "asrs    r4, r4, #7\n"
                     "asrs    r5, r5, #7\n"
                     "asrs    r6, r6, #7\n"
                     "lsls    r7, r7, #1\n"
                     "b       4f\n"
                     "3:\n"
                     "ldmia   r2!, {r1, r3, r9, r12}\n"
                     "add     r4, r1, r4, asr #7\n"
                     "add     r5, r3, r5, asr #7\n"
                     "add     r6, r9, r6, asr #7\n"
                     "add     r7, r12, r7, lsl #1\n"
                     "4:\n"
                     "ldmia   r2!, {r1, r3, r9, r12}\n"
                     "smmulr  r4, r4, r1\n"
                     "smmulr  r5, r5, r3\n"
                     "smmulr  r6, r6, r9\n"
                     "smmulr  r7, r7, r12\n"
                     "ldr     r12, [r2], #4\n"
                     "str     r2, [sp, #32]\n"
                     "add     r4, r4, r4, asr #31\n"
                     "add     r5, r5, r5, asr #31\n"
                     "add     r6, r6, r6, asr #31\n"
                     "add     r7, r7, r7, asr #31\n"
                     "asr     r4, r4, r12\n"
                     "lsr     r12, r12, #8\n"
                     "asr     r5, r5, r12\n"
                     "lsr     r12, r12, #8\n"
                     "asr     r6, r6, r12\n"
                     "lsr     r12, r12, #8\n"
                     "asr     r7, r7, r12\n"
                     "pkhbt   r4, r4, r6, lsl #16\n"
                     "pkhbt   r5, r5, r7, lsl #16\n"
                     "shadd16 r4, r4, r8\n" /* zero point and half, and 128 for USAT16 */
                     "shadd16 r5, r5, r8\n"
                     "usat16  r4, #8, r4\n"
                     "usat16  r5, #8, r5\n"
                     "orr     r4, r4, r5, lsl #8\n"
                     "eor     r4, r4, #0x80808080\n"
                     "str     r4, [r10], #4\n"
                     "ldr     r4, [sp, #36]\n"
                     "cmp     r10, r4\n"
                     "bne     0b\n"
                     "add     sp, #40\n"
                     "pop     {r7, r9}\n"
                     : "+r"(r0), "+r"(r1), "+r"(r2)
                     :
                     : "r3", "r4", "r5", "r6", "r8", "r10", "r11", "r12", "lr", "cc", "memory");
    /* clang-format on */
}

void thimble_fully_connected_nibbles_s8(const thimble_fully_connected_nibbles_s8_params *p, const int16_t *x,
                                        int8_t *out)
{
    const int32_t columns = (p->depth + 3) & ~3, excess = excess_of(x, columns);
    const rows_of_token rows = {
        .x = x,
        .ab = (int32_t)(0u - 257u * (uint32_t)excess),
        .bc = (int32_t)(0u - 272u * (uint32_t)excess),
        .end = x + columns,
        .cd = (int32_t)(0u - 257u * (uint32_t)excess),
        .skip = -(columns / 4) & 3,
        .zero = (2 * p->out_zero_point + 257) * 0x10001,
        .biased = p->biased,
        .constants = p->constants,
        .out_end = out + ((p->rows + 3) & ~3),
    };
    multiply(p->weights, &rows, out);
}

#endif

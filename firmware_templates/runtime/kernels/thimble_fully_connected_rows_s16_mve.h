/* A body of thimble_fully_connected_rows_s16.c, for cores with Helium (Cortex-M55). */
#ifndef THIMBLE_FULLY_CONNECTED_ROWS_S16_MVE_H
#define THIMBLE_FULLY_CONNECTED_ROWS_S16_MVE_H

/* r0-r3: weights of four rows; r4, r6, r8, r10: their sums, which LDM fills with the biases (VMLADAVA wants even
 * registers); r5: out, r7: the next block's weights, r9: x, r11: depth, r12: bias; q0: eight columns of x, then the
 * sums; q1: a row's weights there, widened, then the multipliers. LETP leaves out the columns beyond the depth. On the
 * stack lie the bias's step, x, multiplier and end. */
__attribute__((noinline)) static THIMBLE_HOT(multiply) void multiply(const blocks *p, const int8_t *weights)
{
    register const blocks *r0 __asm__("r0") = p;
    register const int8_t *r1 __asm__("r1") = weights;
    /* clang-format off */
    __asm__ volatile("push    {r7, r9}\n" /* not named as clobbered: a frame or static base may be there */
                     "ldm     r0, {r2-r6, r11, r12}\n"
                     "push    {r2-r5}\n"
                     "mov     r5, r6\n"
                     "mov     r7, r1\n"
                     "0:\n"
                     "mov     r0, r7\n"
                     "ldm     r12, {r4, r6, r8, r10}\n"
                     "ldrd    r7, r9, [sp]\n"
                     "add     r1, r0, r11\n"
                     "add     r12, r7\n"
                     "add     r2, r1, r11\n"
                     "add     r3, r2, r11\n"
                     "add     r7, r3, r11\n"
                     "dlstp.16 lr, r11\n"
                     "1:\n"
                     "vldrh.u16 q0, [r9], #16\n"
                     "vldrb.s16 q1, [r0], #8\n"
                     "vmladava.s16 r4, q0, q1\n"
                     "vldrb.s16 q1, [r1], #8\n"
                     "vmladava.s16 r6, q0, q1\n"
                     "vldrb.s16 q1, [r2], #8\n"
                     "vmladava.s16 r8, q0, q1\n"
                     "vldrb.s16 q1, [r3], #8\n"
                     "vmladava.s16 r10, q0, q1\n"
                     "letp    lr, 1b\n"
                     "vmov    q0[2], q0[0], r4, r8\n"
                     "ldrd    r4, r8, [sp, #8]\n"
                     "vmov    q0[3], q0[1], r6, r10\n"
                     "vldrw.u32 q1, [r4], #16\n"
                     "vrmulh.s32 q0, q0, q1\n"
                     "str     r4, [sp, #8]\n"
                     "vqmovnb.s32 q0, q0\n"
                     "vstrh.32 q0, [r5], #8\n"
                     "cmp     r5, r8\n"
                     "bne     0b\n"
                     "add     sp, #16\n"
                     "pop     {r7, r9}\n"
                     : "+r"(r0), "+r"(r1)
                     :
                     : "r2", "r3", "r4", "r5", "r6", "r8", "r10", "r11", "r12", "lr", "q0", "q1", "cc", "memory");
    /* clang-format on */
}

#endif

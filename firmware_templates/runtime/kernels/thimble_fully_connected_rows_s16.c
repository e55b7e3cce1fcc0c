/* Products of int16 inputs with plain rows of int8 weights, for cores that have no use for packed pairs: Helium widens
 * eight weights while it loads them, and Cortex-M3 loads single bytes. */
#include "thimble_fixed_point_s16.h"
#include "thimble_helium.h"
#include "thimble_kernels_s16.h"

/* Whole blocks of four rows. */
typedef struct {
    int32_t bias_step; /* bytes from block to block, 16 or 0 */
    const int16_t *x;
    const int32_t *multiplier;
    int16_t *end; /* of out */
    int16_t *out;
    int32_t depth;
    const int32_t *bias;
} blocks;

#ifdef THIMBLE_HELIUM

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

#else

#if defined(THIMBLE_THUMB2) && defined(THIMBLE_ALL_REGISTERS)

/* clang-format off */
#define COLUMN                        \
    "ldrsh   %[x0], [%[x]], #2\n"     \
    "ldrsb   %[w0], [%[first]], #1\n" \
    "mla     %[a], %[w0], %[x0], %[a]\n" \
    "ldrsb   %[w0], [%[second]], #1\n" \
    "mla     %[b], %[w0], %[x0], %[b]\n" \
    "ldrsb   %[w0], [%[third]], #1\n" \
    "mla     %[c], %[w0], %[x0], %[c]\n" \
    "ldrsb   %[w0], [%[fourth]], #1\n" \
    "mla     %[d], %[w0], %[x0], %[d]\n"

#define SUM_COLUMNS(instructions)                                                                                          \
    __asm__ volatile(instructions                                                                                          \
                     : [a] "+&r"(a), [b] "+&r"(b), [c] "+&r"(c), [d] "+&r"(d), [x] "+&r"(x), [first] "+&r"(first),               \
                       [second] "+&r"(second), [third] "+&r"(third), [fourth] "+&r"(fourth), [x0] "=&r"(x0), [w0] "=&r"(w0)   \
                     :                                                                                                     \
                     : "memory")
/* clang-format on */

/* Adds to the sums of four rows; not inlined, since the loop takes all registers. */
__attribute__((noinline)) static THIMBLE_HOT(add_rows) void add_rows(const int8_t *first, const int16_t *x,
                                                                     int32_t depth, int32_t sums[4])
{
    const int8_t *second = first + depth, *third = second + depth, *fourth = third + depth;
    int32_t a = sums[0], b = sums[1], c = sums[2], d = sums[3], x0, w0;
    const int16_t *const end = x + depth;
    for (const int16_t *const whole = x + (depth & ~3); x != whole;) {
        SUM_COLUMNS(COLUMN COLUMN COLUMN COLUMN);
    }
    while (x != end) {
        SUM_COLUMNS(COLUMN);
    }
    sums[0] = a;
    sums[1] = b;
    sums[2] = c;
    sums[3] = d;
}

#else

/* Adds to the sums of four rows. */
static THIMBLE_HOT(add_rows) void add_rows(const int8_t *weights, const int16_t *x, int32_t depth, int32_t sums[4])
{
    for (int32_t row = 0; row < 4; row++) {
        for (int32_t column = 0; column < depth; column++) {
            sums[row] += *weights++ * x[column];
        }
    }
}

#endif

static THIMBLE_HOT(multiply) void multiply(const blocks *p, const int8_t *weights)
{
    const int32_t *bias = p->bias, *multiplier = p->multiplier;
    for (int16_t *out = p->out; out != p->end;
         out += 4, weights += 4 * p->depth, bias += p->bias_step / 4, multiplier += 4) {
        int32_t sums[4] = {bias[0], bias[1], bias[2], bias[3]};
        add_rows(weights, p->x, p->depth, sums);
        for (int32_t row = 0; row < 4; row++) {
            out[row] = thimble_saturate_s16(thimble_high_word(sums[row], multiplier[row]));
        }
    }
}

#endif

void thimble_fully_connected_rows_s16(const thimble_fully_connected_rows_s16_params *p, const int16_t *x, int16_t *out)
{
    static const int32_t no_bias[4] = {0, 0, 0, 0};
    const int32_t whole = p->rows & ~3;
    int16_t last[4];
    blocks b = {p->bias ? 16 : 0, x, p->multiplier, out + whole, out, p->depth, p->bias ? p->bias : no_bias};
    if (whole) {
        multiply(&b, p->weights);
    }
    if (whole != p->rows) {
        b.multiplier += whole;
        b.bias += p->bias ? whole : 0;
        b.out = last;
        b.end = last + 4;
        multiply(&b, p->weights + whole * p->depth);
        for (int32_t row = whole; row < p->rows; row++) {
            out[row] = last[row - whole];
        }
    }
    thimble_limit_s16(out, p->rows, p->out_min, p->out_max);
}

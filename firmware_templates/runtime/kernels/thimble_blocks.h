/* Products with weights of which only blocks that are not zero are kept; each of two files gives BLOCK_COLUMNS, 4 or 8.
 *
 * The stream of a matrix, words: a header, an index, then for every four rows a, b, c, d
 *
 *   - with biases: what the three sums begin with (256 A + B, 256 B + C, 256 C + D of twice the biases), and an entry;
 *   - the blocks, as thimble_fully_connected_pairs_s8.c packs them: two words for two columns;
 *   - the multipliers of b, c and d, the next four rows' first index, and a header: the right shifts less one, a byte
 * each, a's the lowest, but in the upper four bits the next four rows' entry.
 *
 * Blocks come in turns of PLACES; only a first turn may have fewer, and leaves out its first places. An entry is the
 * place that the first turn begins with, 8 where there are no blocks, 9 behind the last rows, 10 where the entry stands
 * with the biases. An index has a byte for each of four places, the first in its lowest: how many bytes of x lie
 * between the block before and this one. Behind each fourth place stands the next index, or, negative, the multiplier
 * of a with its sign changed. */
#ifndef THIMBLE_BLOCKS_H
#define THIMBLE_BLOCKS_H

#include "thimble_kernels.h"
#include "thimble_packed_rows.h"

#define PLACES (32 / BLOCK_COLUMNS)
#define NO_BLOCKS 8
#define END 9
#define BIASED 10

#ifdef THIMBLE_DSP

/* As in thimble_fully_connected_pairs_s8.c: five instructions for two columns of four rows. */
/* clang-format off */
#define COLUMNS(ab, cd, x)                      \
    "smlad   r2, " ab ", " x ", r2\n"           \
    "and     " ab ", lr, " ab ", ror #8\n"      \
    "smlad   r12, " cd ", " x ", r12\n"         \
    "sxtab16 " ab ", " ab ", " cd ", ror #24\n" \
    "smladx  r3, " ab ", " x ", r3\n"

#define FOUR_COLUMNS COLUMNS("r4", "r5", "r8") COLUMNS("r6", "r7", "r9")
/* clang-format on */

/* A block at the place that index says; `weights` are the registers of its last load. */
#if BLOCK_COLUMNS == 4
/* clang-format off */
#define BLOCK(index, weights)        \
    "uxtab   r1, r1, " index "\n"    \
    "ldmia   r1!, {r7, r8, r9}\n"    \
    "add     r12, r7\n"              \
    "ldmia   r0!, {" weights "}\n"   \
    FOUR_COLUMNS
/* clang-format on */
#else
/* clang-format off */
#define BLOCK(index, weights)        \
    "uxtab   r1, r1, " index "\n"    \
    "ldmia   r1!, {r7, r8, r9}\n"    \
    "add     r12, r7\n"              \
    "ldmia   r0!, {r4-r7}\n"         \
    FOUR_COLUMNS                     \
    "ldmia   r1!, {r8, r9}\n"        \
    "ldmia   r0!, {" weights "}\n"   \
    FOUR_COLUMNS
/* clang-format on */
#endif

#define FOUR_BLOCKS(first, second, third, fourth)                                                         \
    first BLOCK("r11", "r4-r7") second BLOCK("r11, ror #8", "r4-r7") third BLOCK("r11, ror #16", "r4-r7") \
        fourth BLOCK("r11, ror #24", "r4-r7, r11")

#if BLOCK_COLUMNS == 4
#define ENTRIES                                                        \
    "(10f - 4b) / 2, (11f - 4b) / 2, (12f - 4b) / 2, (13f - 4b) / 2, " \
    "(14f - 4b) / 2, (15f - 4b) / 2, (16f - 4b) / 2, (17f - 4b) / 2"
/* clang-format off */
#define TURN FOUR_BLOCKS("10:\n", "11:\n", "12:\n", "13:\n") FOUR_BLOCKS("14:\n", "15:\n", "16:\n", "17:\n")
/* clang-format on */
#else
#define ENTRIES "(10f - 4b) / 2, (11f - 4b) / 2, (12f - 4b) / 2, (13f - 4b) / 2, 0, 0, 0, 0"
/* clang-format off */
#define TURN FOUR_BLOCKS("10:\n", "11:\n", "12:\n", "13:\n")
/* clang-format on */
#endif

/* All rows of a token:
 *
 *   r0  stream             r4-r7   weights                      r2, r3, r12  twice the sums of 256 a + b, 256 b + c,
 * 256 c + d r1  x                  r8, r9  x; r7 before: -256 sum of x  lr           0xff00ff00 r10 out r11     index
 *
 * -256 sum of x is what the 128 in d + 128 adds. On the stack lie x, zeros, and 2 * (zero point + 128) + 1 in both
 * halves. */
__attribute__((noinline)) static THIMBLE_HOT(multiply) void multiply(const int32_t *stream, const int32_t *x,
                                                                     int8_t *out, int32_t zero_point)
{
    register const int32_t *r0 __asm__("r0") = stream;
    register const int32_t *r1 __asm__("r1") = x;
    register int8_t *r2 __asm__("r2") = out;
    register int32_t r3 __asm__("r3") = (2 * zero_point + 257) * 0x10001;
    /* clang-format off */
    __asm__ volatile("push    {r7, r9}\n" /* not named as clobbered: a frame or static base may be there */
                     "mov     r10, r2\n"
                     "movs    r7, #0\n"
                     "mov     r2, #0\n"
                     "push    {r3}\n"
                     "mov     r3, #0\n"
                     "push    {r1, r2, r3, r7}\n"
                     "mov     lr, #0xff00ff00\n"
                     "ldmia   r0!, {r11, r12}\n"
                     "b       2f\n"

                     ".p2align 2\n"
                     "1:\n" /* the sums become outputs; of a the negative of twice the sum */
                     "sub     r4, r3, r2, lsl #8\n"
                     "sub     r4, r12, r4, lsl #8\n"
                     "sbfx    r7, r4, #0, #24\n"
                     "sub     r6, r12, r7\n"
                     "asrs    r6, r6, #8\n"
                     "subs    r5, r3, r6\n"
                     "asrs    r5, r5, #8\n"
                     "subs    r4, r5, r2\n"
                     "asrs    r4, r4, #8\n"
                     "smmulr  r4, r4, r11\n"
                     "ldmia   r0!, {r2, r3, r9, r11, r12}\n"
                     "ldr     r8, [sp, #16]\n"
                     "smmulr  r5, r5, r2\n"
                     "smmulr  r6, r6, r3\n"
                     "smmulr  r7, r7, r9\n"
                     "add     r4, r4, r4, asr #31\n"
                     "add     r5, r5, r5, asr #31\n"
                     "add     r6, r6, r6, asr #31\n"
                     "add     r7, r7, r7, asr #31\n"
                     "asr     r4, r4, r12\n"
                     "lsr     r2, r12, #8\n"
                     "asrs    r5, r5, r2\n"
                     "lsr     r2, r12, #16\n"
                     "asrs    r6, r6, r2\n"
                     "ubfx    r2, r12, #24, #4\n"
                     "asrs    r7, r7, r2\n"
                     "pkhbt   r4, r4, r6, lsl #16\n"
                     "pkhbt   r5, r5, r7, lsl #16\n"
                     "shadd16 r4, r4, r8\n" /* zero point and half, and 128 for USAT16 */
                     "shadd16 r5, r5, r8\n"
                     "usat16  r4, #8, r4\n"
                     "usat16  r5, #8, r5\n"
                     "orr     r4, r4, r5, lsl #8\n"
                     "eor     r4, r4, #0x80808080\n"
                     "str     r4, [r10], #4\n"

                     "2:\n" /* four rows */
                     "lsr     r9, r12, #28\n"
                     "ldm     sp, {r1, r2, r3, r12}\n"
                     "3:\n"
                     "tbb     [pc, r9]\n"
                     "4:\n"
                     ".byte   " ENTRIES "\n"
                     ".byte   (5f - 4b) / 2, (7f - 4b) / 2, (6f - 4b) / 2, 0\n"

                     TURN
                     "cmp     r11, #0\n"
                     "blt     1b\n"
                     "b       10b\n"

                     "5:\n" /* no blocks */
                     "b       1b\n"

                     "6:\n" /* with biases */
                     "ldmia   r0!, {r2, r3, r9, r12}\n"
                     "b       3b\n"

                     "7:\n"
                     "add     sp, #20\n"
                     "pop     {r7, r9}\n"
                     : "+r"(r0), "+r"(r1), "+r"(r2), "+r"(r3)
                     :
                     : "r4", "r5", "r6", "r8", "r10", "r11", "r12", "lr", "cc", "memory");
    /* clang-format on */
}

#else

/* The sums with a block's products added; x: 2 * (x + offset). */
static inline thimble_row_sums add_block(thimble_row_sums sums, const int16_t *weights, const int16_t *x)
{
    int32_t a_sum = sums.row[0], b_sum = sums.row[1], c_sum = sums.row[2], d_sum = sums.row[3];
    for (const int16_t *const end = x + BLOCK_COLUMNS; x != end; x += 2, weights += 4) {
        for (int32_t i = 0; i < 2; i++) {
            const int32_t ab = weights[i], cd = weights[i + 2], b = (int8_t)ab;
            a_sum += ((ab - b) >> 8) * x[i];
            b_sum += b * x[i];
            c_sum += (cd >> 8) * x[i];
            d_sum += ((cd & 0xff) - 128) * x[i];
        }
    }
    return (thimble_row_sums){{a_sum, b_sum, c_sum, d_sum}};
}

/* The blocks of four rows from `entry` on; returns where the stream goes on. index: the first, then the one behind the
 * last. */
static const int32_t *add_blocks(thimble_row_sums *sums, const int32_t *stream, const int32_t *x, int32_t *index,
                                 uint32_t entry)
{
    const char *at = (const char *)x;
    do {
        for (uint32_t place = entry; place < PLACES; place++) {
            at += (uint32_t)*index >> 8 * (place & 3) & 0xff;
            *sums = add_block(*sums, (const int16_t *)(const void *)stream, (const int16_t *)(const void *)(at + 4));
            at += 4 + 2 * BLOCK_COLUMNS;
            stream += BLOCK_COLUMNS;
            if ((place & 3) == 3) {
                *index = *stream++;
            }
        }
        entry = 0;
    } while (*index >= 0);
    return stream;
}

static THIMBLE_HOT(multiply) void multiply(const int32_t *stream, const int32_t *x, int8_t *out, int32_t zero_point)
{
    const int32_t zero = 2 * zero_point + 1;
    int32_t index = stream[0];
    uint32_t header = (uint32_t)stream[1];
    stream += 2;
    for (; header >> 28 != END; out += 4) {
        thimble_row_sums sums = {{0, 0, 0, 0}};
        uint32_t entry = header >> 28;
        if (entry == BIASED) {
            sums = thimble_take_apart((uint32_t)stream[0], (uint32_t)stream[1], (uint32_t)stream[3]);
            entry = (uint32_t)stream[2];
            stream += 4;
        }
        if (entry != NO_BLOCKS) {
            stream = add_blocks(&sums, stream, x, &index, entry);
        }
        const int32_t multiplier = -index;
        index = stream[3];
        header = (uint32_t)stream[4];
        const int8_t outputs[4] = {
            thimble_requantize_s8(sums.row[0], multiplier, (int32_t)(header & 0xff), zero),
            thimble_requantize_s8(sums.row[1], stream[0], (int32_t)(header >> 8 & 0xff), zero),
            thimble_requantize_s8(sums.row[2], stream[1], (int32_t)(header >> 16 & 0xff), zero),
            thimble_requantize_s8(sums.row[3], stream[2], (int32_t)(header >> 24 & 0xf), zero),
        };
        __builtin_memcpy(out, outputs, 4);
        stream += 5;
    }
}

#endif

#endif

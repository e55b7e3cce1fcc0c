/* A body of thimble_fully_connected_rows_s8.c, for cores with Helium (Cortex-M55). */
#ifndef THIMBLE_FULLY_CONNECTED_ROWS_S8_MVE_H
#define THIMBLE_FULLY_CONNECTED_ROWS_S8_MVE_H

/* x stays in six vector registers, and columns beyond 96 are read anew for each row; weights stream through another.
 * Sums begin with the biases; the four of a block are scaled as one vector. */
/* clang-format off */
#define COLUMNS(sum, x) "vldrb.u8 q0, [%[w]], #16\nvmladava.s8 " sum ", q0, " x "\n"
#define READ_COLUMNS(sum, place) "vldrb.u8 q1, [%[x], #" place "]\n" COLUMNS(sum, "q1")
/* clang-format on */
#define COLUMNS_48(sum) COLUMNS(sum, "q2") COLUMNS(sum, "q3") COLUMNS(sum, "q4")
#define COLUMNS_64(sum) COLUMNS_48(sum) COLUMNS(sum, "q5")
#define COLUMNS_96(sum) COLUMNS_64(sum) COLUMNS(sum, "q6") COLUMNS(sum, "q7")
#define COLUMNS_128(sum) COLUMNS_96(sum) READ_COLUMNS(sum, "0") READ_COLUMNS(sum, "16")
#define COLUMNS_192(sum) \
    COLUMNS_128(sum) READ_COLUMNS(sum, "32") READ_COLUMNS(sum, "48") READ_COLUMNS(sum, "64") READ_COLUMNS(sum, "80")
/* clang-format off */
#define LOAD_48 "vldrb.u8 q2, [%[x]], #16\nvldrb.u8 q3, [%[x]], #16\nvldrb.u8 q4, [%[x]], #16\n"
#define LOAD_64 LOAD_48 "vldrb.u8 q5, [%[x]], #16\n"
#define LOAD_96 LOAD_64 "vldrb.u8 q6, [%[x]], #16\nvldrb.u8 q7, [%[x]], #16\n"
#define STREAM(LOAD, ROW)                                                                                         \
    __asm__ volatile(LOAD                                                                                         \
                     "dls lr, %[left]\n"                                                                          \
                     "1:\n"                                                                                       \
                     "ldmia %[bias]!, {r4, r6, r8, r10}\n" ROW("r4") ROW("r6") ROW("r8") ROW("r10")               \
                     "vmov q0[2], q0[0], r4, r8\n"                                                                \
                     "vmov q0[3], q0[1], r6, r10\n"                                                               \
                     "vldrw.s32 q1, [%[multiplier]], #16\n"                                                       \
                     "vqrdmulh.s32 q0, q0, q1\n"                                                                  \
                     "vshr.s32 q1, q0, #31\n"                                                                     \
                     "vadd.i32 q0, q0, q1\n"                                                                      \
                     "vldrb.s32 q1, [%[shift]], #4\n"                                                             \
                     "vrshl.s32 q0, q0, q1\n"                                                                     \
                     "vadd.i32 q0, q0, %[zero]\n"                                                                 \
                     "vqmovnb.s32 q0, q0\n"                                                                       \
                     "vqmovnb.s16 q0, q0\n"                                                                       \
                     "vstrb.32 q0, [%[out]], #4\n"                                                                \
                     "le lr, 1b\n"                                                                                \
                     : [x] "+&r"(x), [w] "+&r"(w), [bias] "+&r"(bias), [multiplier] "+&r"(multiplier),                \
                       [shift] "+&l"(shift), [out] "+&l"(out), [left] "+&r"(left)                                    \
                     : [zero] "r"(zero_point)                                                                     \
                     : "r4", "r6", "r8", "r10", "q0", "q1", "q2", "q3", "q4", "q5", "q6", "q7", "cc", "memory")
/* clang-format on */

/* `blocks` of four rows from `row` on, all of them with right shifts. */
__attribute__((noinline)) static THIMBLE_HOT(multiply) void multiply_blocks(
    const thimble_fully_connected_rows_s8_params *p, const int8_t *x, int8_t *out, int32_t row, int32_t blocks)
{
    const int32_t depth = p->depth, zero_point = p->out_zero_point;
    const int8_t *w = p->weights + row * depth, *shift = p->shift + row;
    const int32_t *bias = p->bias + row, *multiplier = p->multiplier + row;
    out += row;
    register int32_t left __asm__("lr") = blocks;
    switch (depth) {
    case 48: STREAM(LOAD_48, COLUMNS_48); return;
    case 64: STREAM(LOAD_64, COLUMNS_64); return;
    case 96: STREAM(LOAD_96, COLUMNS_96); return;
    case 128: STREAM(LOAD_96, COLUMNS_128); return;
    case 192: STREAM(LOAD_96, COLUMNS_192); return;
    }
    /* Any other depth: x is read once for the four rows. */
    for (; blocks > 0; blocks--, w += 4 * depth, bias += 4, multiplier += 4, shift += 4, out += 4) {
        const int32x4_t sums = thimble_four_rows_s8(x, w, depth, depth, bias);
        const int32x4_t high = vqrdmulhq_s32(sums, vldrwq_s32(multiplier));
        const int32x4_t toward = vaddq_s32(high, vshrq_n_s32(high, 31));
        thimble_store_4(out, vaddq_n_s32(vrshlq_s32(toward, vldrbq_s32(shift)), zero_point));
    }
}

/* Two tokens share the weights' loads; here depths are multiples of 16 from 48 to 192. Each token's first three x
 * vectors stay in registers; a row's other columns are read, by the tail of nine that `skip` (bytes) enters late. The
 * pairs of sums pass through memory, where also q7 waits while four rows are scaled, both by one load of scales. */
/* clang-format off */
#define SHARED(operation, first, second)                          \
    "vldrb.u8 q0, [%[w]], #16\n" operation ".s8 r8, q0, " first "\n" \
    operation ".s8 r10, q0, " second "\n"
#define READ_SHARED(place)                                                            \
    "vldrb.u8 q0, [%[w]], #16\nvldrb.u8 q1, [%[x], #" place "]\nvmladava.s8 r8, q0, q1\n" \
    "vldrb.u8 q1, [%[x2], #" place "]\nvmladava.s8 r10, q0, q1\n"
#define SHARED_ROW(place)                                                                       \
    SHARED("vmladav", "q2", "q5") SHARED("vmladava", "q3", "q6") SHARED("vmladava", "q4", "q7") \
    "add pc, %[skip]\n"                                                                         \
    READ_SHARED("-112") READ_SHARED("-96") READ_SHARED("-80") READ_SHARED("-64")                \
    READ_SHARED("-48") READ_SHARED("-32") READ_SHARED("-16") READ_SHARED("0") READ_SHARED("16") \
    "strd r8, r10, [%[sums], #" place "]\n"
/* clang-format on */

/* multiply_blocks for two tokens. */
__attribute__((noinline)) static THIMBLE_HOT(multiply_two) void multiply_two(
    const thimble_fully_connected_rows_s8_params *p, const int8_t *x, int8_t *out, int32_t row, int32_t blocks)
{
    int32_t sums[12];
    const int8_t *w = p->weights + row * p->depth, *shift = p->shift + row;
    const int8_t *x2 = x + THIMBLE_TOKEN_BYTES(p->depth);
    const int32_t *bias = p->bias + row, *multiplier = p->multiplier + row;
    int8_t *out2 = out + row + THIMBLE_TOKEN_BYTES(p->rows);
    out += row;
    register int32_t to_tail __asm__("r8") = p->depth - 32;
    register int32_t left __asm__("lr") = blocks;
    /* clang-format off */
    __asm__ volatile("vldrb.u8 q2, [%[x]]\nvldrb.u8 q3, [%[x], #16]\nvldrb.u8 q4, [%[x], #32]\n"
                     "vldrb.u8 q5, [%[x2]]\nvldrb.u8 q6, [%[x2], #16]\nvldrb.u8 q7, [%[x2], #32]\n"
                     "vstrw.32 q7, [%[sums], #32]\n"
                     "add %[x], r8\n"
                     "add %[x2], r8\n"
                     "dls lr, %[left]\n"
                     "1:\n" SHARED_ROW("0") SHARED_ROW("8") SHARED_ROW("16") SHARED_ROW("24")
                     "vld20.32 {q0, q1}, [%[sums]]\n"
                     "vld21.32 {q0, q1}, [%[sums]]\n"
                     "vldrw.s32 q7, [%[bias]], #16\n"
                     "vadd.i32 q0, q0, q7\n"
                     "vadd.i32 q1, q1, q7\n"
                     "vldrw.s32 q7, [%[multiplier]], #16\n"
                     "vqrdmulh.s32 q0, q0, q7\n"
                     "vqrdmulh.s32 q1, q1, q7\n"
                     "vshr.s32 q7, q0, #31\n"
                     "vadd.i32 q0, q0, q7\n"
                     "vshr.s32 q7, q1, #31\n"
                     "vadd.i32 q1, q1, q7\n"
                     "vldrb.s32 q7, [%[shift]], #4\n"
                     "vrshl.s32 q0, q0, q7\n"
                     "vrshl.s32 q1, q1, q7\n"
                     "vqmovnb.s32 q0, q0\n"
                     "vqmovnt.s32 q0, q1\n"
                     "vqadd.s16 q0, q0, %[zero]\n"
                     "vqmovnb.s16 q0, q0\n"
                     "vstrb.32 q0, [%[out]], #4\n"
                     "vshr.u32 q0, q0, #16\n"
                     "vstrb.32 q0, [%[out2]], #4\n"
                     "vldrw.s32 q7, [%[sums], #32]\n"
                     "le lr, 1b\n"
                     : [x] "+&r"(x), [x2] "+&r"(x2), [w] "+&r"(w), [bias] "+&r"(bias), [multiplier] "+&r"(multiplier),
                       [shift] "+&l"(shift), [out] "+&l"(out), [out2] "+&l"(out2), [left] "+&r"(left), "+r"(to_tail)
                     : [zero] "r"(p->out_zero_point), [sums] "r"(sums), [skip] "r"((192 - p->depth) / 16 * 20 - 2)
                     : "r10", "q0", "q1", "q2", "q3", "q4", "q5", "q6", "q7", "cc", "memory");
    /* clang-format on */
}

/* The same for any depth: two rows at a time, columns counted. */
__attribute__((noinline)) static THIMBLE_HOT(multiply_two_any) void multiply_two_any(
    const thimble_fully_connected_rows_s8_params *p, const int8_t *x, int8_t *out, int32_t row, int32_t blocks)
{
    const int32_t depth = p->depth;
    const int8_t *w = p->weights + row * depth;
    for (; blocks > 0; blocks--, row += 4) {
        int32_t sums[8];
#pragma GCC unroll 2
        for (int32_t *pair = sums; pair < sums + 8; pair += 4, w += 2 * depth) {
            const int8_t *w0 = w, *w1 = w + depth, *x1 = x, *x2 = x + THIMBLE_TOKEN_BYTES(depth);
            /* clang-format off */
            __asm__ volatile("movs r4, #0\nmovs r6, #0\nmov r8, #0\nmov r10, #0\n"
                             "dlstp.8 lr, %[depth]\n"
                             "1:\n"
                             "vldrb.u8 q0, [%[x1]], #16\n"
                             "vldrb.u8 q1, [%[x2]], #16\n"
                             "vldrb.u8 q2, [%[w0]], #16\n"
                             "vmladava.s8 r4, q0, q2\n"
                             "vldrb.u8 q3, [%[w1]], #16\n"
                             "vmladava.s8 r6, q1, q2\n"
                             "vmladava.s8 r8, q0, q3\n"
                             "vmladava.s8 r10, q1, q3\n"
                             "letp lr, 1b\n"
                             "strd r4, r6, [%[pair]]\n"
                             "strd r8, r10, [%[pair], #8]\n"
                             : [x1] "+&r"(x1), [x2] "+&r"(x2), [w0] "+&r"(w0), [w1] "+&r"(w1)
                             : [pair] "r"(pair), [depth] "r"(depth)
                             : "r4", "r6", "r8", "r10", "lr", "q0", "q1", "q2", "q3", "cc", "memory");
            /* clang-format on */
        }
        const int32x4x2_t both = vld2q_s32(sums);
        const int32x4_t biases = vldrwq_s32(p->bias + row), multipliers = vldrwq_s32(p->multiplier + row);
        const int32x4_t shifts = vldrbq_s32(p->shift + row);
#pragma GCC unroll 2
        for (int32_t token = 0; token < 2; token++) {
            const int32x4_t high = vqrdmulhq_s32(vaddq_s32(both.val[token], biases), multipliers);
            const int32x4_t scaled = vrshlq_s32(vaddq_s32(high, vshrq_n_s32(high, 31)), shifts);
            thimble_store_4(out + row + token * THIMBLE_TOKEN_BYTES(p->rows), vaddq_n_s32(scaled, p->out_zero_point));
        }
    }
}

#endif

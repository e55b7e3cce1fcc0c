#include "thimble_fixed_point.h"
#include "thimble_helium.h"
#include "thimble_kernels.h"

/* One token, any shapes and shifts. */
static void multiply(const thimble_fully_connected_rows_s8_params *p, const int8_t *x, int8_t *out)
{
    const int8_t *weights = p->weights;
    for (int32_t row = 0; row < p->rows; row++, weights += p->depth) {
        int32_t sum = p->bias[row];
        for (int32_t column = 0; column < p->depth; column++) {
            sum += weights[column] * x[column];
        }
        const int32_t scaled = thimble_multiply(sum, p->multiplier[row], p->shift[row]) + p->out_zero_point;
        out[row] = (int8_t)thimble_clamp(scaled, p->out_min, p->out_max);
    }
}

#ifdef THIMBLE_HELIUM

/* Where the next block of four rows begins. */
typedef struct {
    const int8_t *weights;
    const int32_t *bias, *multiplier;
    const int8_t *shift;
    int8_t *out;
} place;

static inline place moved(place at, int32_t rows, int32_t depth)
{
    return (place){at.weights + rows * depth, at.bias + rows, at.multiplier + rows, at.shift + rows, at.out + rows};
}

/* x stays in six vector registers, and columns beyond 96 are read anew for each row; weights stream through another register.
 * Sums begin with the biases; the four of a block are scaled as one vector. */
#define COLUMNS(sum, x) "vldrb.u8 q0, [%[w]], #16\nvmladava.s8 " sum ", q0, " x "\n"
#define READ_COLUMNS(sum, place) "vldrb.u8 q1, [%[x], #" place "]\n" COLUMNS(sum, "q1")
#define COLUMNS_48(sum) COLUMNS(sum, "%q[x0]") COLUMNS(sum, "%q[x1]") COLUMNS(sum, "%q[x2]")
#define COLUMNS_64(sum) COLUMNS_48(sum) COLUMNS(sum, "%q[x3]")
#define COLUMNS_96(sum) COLUMNS_64(sum) COLUMNS(sum, "%q[x4]") COLUMNS(sum, "%q[x5]")
#define COLUMNS_128(sum) COLUMNS_96(sum) READ_COLUMNS(sum, "0") READ_COLUMNS(sum, "16")
#define COLUMNS_192(sum)                                                                              \
    COLUMNS_128(sum) READ_COLUMNS(sum, "32") READ_COLUMNS(sum, "48") READ_COLUMNS(sum, "64") READ_COLUMNS(sum, "80")
#define STREAM(ROW)                                                                                   \
    __asm__ volatile("dls lr, %[blocks]\n"                                                            \
                     "1:\n"                                                                           \
                     "ldmia %[bias]!, {r4, r6, r8, r10}\n" ROW("r4") ROW("r6") ROW("r8") ROW("r10")   \
                     "vmov q0[2], q0[0], r4, r8\n"                                                    \
                     "vmov q0[3], q0[1], r6, r10\n"                                                   \
                     "vldrw.s32 q1, [%[multiplier]], #16\n"                                           \
                     "vqrdmulh.s32 q0, q0, q1\n"                                                      \
                     "vshr.s32 q1, q0, #31\n"                                                         \
                     "vadd.i32 q0, q0, q1\n"                                                          \
                     "vldrb.s32 q1, [%[shift]], #4\n"                                                 \
                     "vrshl.s32 q0, q0, q1\n"                                                         \
                     "vadd.i32 q0, q0, %[zero]\n"                                                     \
                     "vqmovnb.s32 q0, q0\n"                                                           \
                     "vqmovnb.s16 q0, q0\n"                                                           \
                     "vstrb.32 q0, [%[out]], #4\n"                                                    \
                     "le lr, 1b\n"                                                                    \
                     : [w] "+r"(at.weights), [bias] "+r"(at.bias), [multiplier] "+r"(at.multiplier),  \
                       [shift] "+l"(at.shift), [out] "+l"(at.out)                                     \
                     : [blocks] "r"(blocks), [zero] "r"(zero_point), [x] "r"(x + 96), [x0] "w"(x0),   \
                       [x1] "w"(x1), [x2] "w"(x2), [x3] "w"(x3), [x4] "w"(x4), [x5] "w"(x5)           \
                     : "r4", "r6", "r8", "r10", "lr", "q0", "q1", "cc", "memory")

/* `blocks` of four rows; depth: one that STREAM is written for. */
__attribute__((always_inline)) static inline place stream(place at, const int8_t *x, int32_t depth, int32_t blocks, int32_t zero_point)
{
    const int8x16_t x0 = vldrbq_s8(x), x1 = vldrbq_s8(x + 16), x2 = vldrbq_s8(x + 32);
    const int8x16_t x3 = vldrbq_s8(x + (depth > 48 ? 48 : 0));
    const int8x16_t x4 = vldrbq_s8(x + (depth > 64 ? 64 : 0)), x5 = vldrbq_s8(x + (depth > 64 ? 80 : 0));
    if (depth == 48) {
        STREAM(COLUMNS_48);
    } else if (depth == 64) {
        STREAM(COLUMNS_64);
    } else if (depth == 96) {
        STREAM(COLUMNS_96);
    } else if (depth == 128) {
        STREAM(COLUMNS_128);
    } else {
        STREAM(COLUMNS_192);
    }
    return at;
}

/* The same for any depth: x is read once for the four rows. */
__attribute__((always_inline)) static inline place reread(place at, const int8_t *x, int32_t depth, int32_t blocks, int32_t zero_point)
{
    for (; blocks > 0; blocks--) {
        const int32x4_t sums = thimble_four_rows_s8(x, at.weights, depth, depth, at.bias);
        const int32x4_t high = vqrdmulhq_s32(sums, vldrwq_s32(at.multiplier));
        const int32x4_t toward = vaddq_s32(high, vshrq_n_s32(high, 31));
        thimble_store_4(at.out, vaddq_n_s32(vrshlq_s32(toward, vldrbq_s32(at.shift)), zero_point));
        at = moved(at, 4, depth);
    }
    return at;
}

/* One token, at least four rows, all of them with right shifts. */
static void multiply_fast(const thimble_fully_connected_rows_s8_params *p, const int8_t *x, int8_t *out)
{
    const int32_t depth = p->depth;
    const int32_t streamed = depth == 48 || depth == 64 || depth == 96 || depth == 128 || depth == 192;
    place at = {p->weights, p->bias, p->multiplier, p->shift, out};
    for (int32_t blocks = p->rows / 4, odd_rows = p->rows % 4;; odd_rows = 0) {
        at = streamed ? stream(at, x, depth, blocks, p->out_zero_point) : reread(at, x, depth, blocks, p->out_zero_point);
        if (odd_rows == 0) {
            break;
        }
        at = moved(at, odd_rows - 4, depth); /* the last block begins in the one before */
        blocks = 1;
    }
    thimble_limit_s8(out, p->rows, p->out_min, p->out_max);
}

#endif

void thimble_fully_connected_rows_s8(const thimble_fully_connected_rows_s8_params *p, const int8_t *x, int8_t *out,
                                     int32_t tokens, int32_t stride)
{
    for (; tokens > 0; tokens--, x += stride, out += stride) {
#ifdef THIMBLE_HELIUM
        if (p->largest_shift < 0 && p->rows >= 4) {
            multiply_fast(p, x, out);
            continue;
        }
#endif
        multiply(p, x, out);
    }
}

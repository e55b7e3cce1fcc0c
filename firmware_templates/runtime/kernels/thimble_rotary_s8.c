#include "thimble_elementwise.h"
#include "thimble_helium.h"

#ifdef THIMBLE_HELIUM

/* Four pairs' halves times two of their matrices' cells, as int8. */
static inline int32x4_t turned(const thimble_product_scale *s, int32x4_t a, int32x4_t a_cells, int32x4_t b, int32x4_t b_cells)
{
    const int32x4_t sums = vaddq_s32(vmulq_s32(a, a_cells), vmulq_s32(b, b_cells));
    const int32x4_t scaled = thimble_scale_4(sums, s->multiplier, s->right_shift_less_one + 1);
    const int32x4_t limited = vqshlq_n_s32(vaddq_n_s32(scaled, s->twice_zero_point_plus_one >> 1), 24);
    return vshrq_n_s32(limited, 24);
}

/* Every fourth byte, as far as `count` of them go, plus an offset. */
static inline int32x4_t cells(const int8_t *matrices, int32_t count, int32_t offset)
{
    const mve_pred16_t lanes = vctp32q((uint32_t)count);
    return vaddq_n_s32(vldrbq_gather_offset_z_s32(matrices, vidupq_n_u32(0, 4), lanes), offset);
}

void thimble_rotary_s8(const thimble_rotary_s8_params *p, const int8_t *x, const int8_t *rotation, int8_t *out, int32_t tokens)
{
    const thimble_product_scale scale = p->out;
    const int32_t half = p->half, offset = p->offset, head_dim = 2 * half;
    for (; tokens > 0; tokens--, x += head_dim * p->heads, out += head_dim * p->heads, rotation -= 4 * half) {
        for (int32_t i = 0, left = half; left > 0; i += 4, left -= 4) {
            const int8_t *const matrices = rotation + 4 * i;
            const int32x4_t a_first = cells(matrices, left, p->rotation_offset);
            const int32x4_t a_second = cells(matrices + 1, left, p->rotation_offset);
            const int32x4_t b_first = cells(matrices + 2, left, p->rotation_offset);
            const int32x4_t b_second = cells(matrices + 3, left, p->rotation_offset);
            for (int32_t head = 0, at = i; head < p->heads; head++, at += head_dim) {
                const int32x4_t a = vaddq_n_s32(thimble_load_4(x + at, left), offset);
                const int32x4_t b = vaddq_n_s32(thimble_load_4(x + at + half, left), offset);
                thimble_store_some_of_4(out + at, turned(&scale, a, a_first, b, b_first), left);
                thimble_store_some_of_4(out + at + half, turned(&scale, a, a_second, b, b_second), left);
            }
        }
    }
}

#else

#ifdef THIMBLE_ELEMENTWISE_DSP

typedef int16x2_t row;

static inline row row_of(int32_t a, int32_t b)
{
    row x;
    __asm__("pkhbt %0, %1, %2, lsl #16" : "=r"(x) : "r"(a), "r"(b));
    return x;
}

static inline row plus(row x, row offset)
{
    return __sadd16(x, offset);
}

/* What a row times a column of a matrix, doubled, is as int8. */
static inline int8_t turned(row x, row column, int32_t multiplier, int32_t right, int32_t addend)
{
    int32_t high, sum = __smuad(x, column);
    __asm__(THIMBLE_TO_S8("%[sum]", "%[high]", "%[multiplier]", "%[right]", "%[addend]")
            : [sum] "+r"(sum), [high] "=&r"(high)
            : [multiplier] "r"(multiplier), [right] "r"(right), [addend] "r"(addend));
    return (int8_t)sum;
}

#else

typedef struct {
    int32_t a, b;
} row;

static inline row row_of(int32_t a, int32_t b)
{
    return (row){a, b};
}

static inline row plus(row x, row offset)
{
    return (row){x.a + offset.a, x.b + offset.b};
}

static inline int8_t turned(row x, row column, int32_t multiplier, int32_t right, int32_t addend)
{
    return thimble_requantize_s8(x.a * column.a + x.b * column.b, multiplier, right - 1, addend >> (right - 1));
}

#endif

void thimble_rotary_s8(const thimble_rotary_s8_params *p, const int8_t *x, const int8_t *rotation, int8_t *out, int32_t tokens)
{
    const int32_t multiplier = p->out.multiplier, right = thimble_shift_of(&p->out), addend = thimble_addend_of(&p->out);
    const int32_t half = p->half, head_dim = 2 * half, size = head_dim * p->heads, cell_plus = p->rotation_offset;
    const row offset = row_of(p->offset, p->offset);
    for (; tokens > 0; tokens--, rotation -= 8 * half, x += size - half, out += size - half) {
        for (int32_t i = half; i > 0; i--, rotation += 4, x++, out++) {
            const row first = row_of(2 * (rotation[0] + cell_plus), 2 * (rotation[2] + cell_plus));
            const row second = row_of(2 * (rotation[1] + cell_plus), 2 * (rotation[3] + cell_plus));
            const int8_t *at = x;
            int8_t *to = out;
            for (const int8_t *const end = out + size; to != end; at += head_dim, to += head_dim) {
                const row pair = plus(row_of(at[0], at[half]), offset);
                const int8_t other = turned(pair, second, multiplier, right, addend);
                to[0] = turned(pair, first, multiplier, right, addend);
                to[half] = other;
            }
        }
    }
}

#endif

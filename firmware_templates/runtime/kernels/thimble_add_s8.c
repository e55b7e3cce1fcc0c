#include "thimble_fixed_point.h"
#include "thimble_kernels.h"

#define LEFT_SHIFT 20
#define ONE_HALF (1 << 30)

/* The operand of the larger scale, which is its value times 2^19, and its sign in the sum. */
typedef struct {
    thimble_operand at;
    int32_t offset;
    int32_t sign;
} larger_operand;

/* The other operand, which is scaled, and its sign. */
typedef struct {
    thimble_operand at;
    int32_t offset;
    int32_t sign;
    thimble_scaler scale;
} smaller_operand;

/* All is computed twice as large, since the high product of the last scaling wants its input doubled. */
static void add_row(const larger_operand *a, const smaller_operand *b, thimble_scaler out_scale, int32_t zero_point,
                    int8_t *out, int32_t columns)
{
    const int8_t *x = a->at.data, *y = b->at.data;
    const int32_t x_step = a->at.step, y_step = b->at.step;
    const int32_t x_factor = a->sign * (1 << LEFT_SHIFT), x_offset = a->offset * x_factor;
    const int32_t y_factor = 1 << (LEFT_SHIFT + 1), y_offset = b->offset * y_factor, y_sign = 2 * b->sign;
    const thimble_scaler scale = b->scale;
    for (const int8_t *const end = out + columns; out != end; x += x_step, y += y_step) {
        const int32_t right = thimble_scale_doubled(scale, *y * y_factor + y_offset);
        const int32_t sum = *x * x_factor + x_offset + y_sign * right;
        *out++ = thimble_saturate_s8(thimble_scale_doubled(out_scale, sum) + zero_point);
    }
}

void thimble_add_s8(const thimble_add_s8_params *p, thimble_operand a, thimble_operand b, int8_t *out, int32_t out_stride,
                    int32_t rows, int32_t columns)
{
    const int32_t a_is_larger = p->a_multiplier == ONE_HALF && p->a_shift == 0;
    const thimble_scaler out_scale = thimble_prepare(p->out_multiplier, p->out_shift);
    larger_operand larger = {b, p->b_offset, p->b_sign};
    smaller_operand smaller = {a, p->a_offset, 1, thimble_prepare(p->a_multiplier, p->a_shift)};
    if (a_is_larger) {
        larger = (larger_operand){a, p->a_offset, 1};
        smaller = (smaller_operand){b, p->b_offset, p->b_sign, thimble_prepare(p->b_multiplier, p->b_shift)};
    }
    for (int32_t row = 0; row < rows; row++, out += out_stride) {
        add_row(&larger, &smaller, out_scale, p->out_zero_point, out, columns);
        thimble_limit_s8(out, columns, p->out_min, p->out_max);
        larger.at.data += larger.at.row_stride;
        smaller.at.data += smaller.at.row_stride;
    }
}

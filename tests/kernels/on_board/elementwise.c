#include "harness.h"
#include "thimble_fixed_point.h"

void plain_thimble_widen_s8(const int8_t *in, int32_t offset, int16_t *out, int32_t depth, int32_t tokens);
void plain_thimble_add_s8(const thimble_add_s8_params *p, thimble_operand x, thimble_operand y, int8_t *out,
                          int32_t out_stride, int32_t rows, int32_t columns);
void plain_thimble_mul_s8(const thimble_mul_s8_params *p, thimble_operand a, thimble_operand b, int8_t *out,
                          int32_t out_stride, int32_t rows, int32_t columns);
void plain_thimble_table_s8(const int8_t *table, thimble_operand in, int8_t *out, int32_t out_stride, int32_t rows,
                            int32_t columns);
void plain_thimble_norm_s8(const thimble_norm_s8_params *p, const int8_t *x, int8_t *out, int32_t tokens);
void plain_thimble_sum_s8(const thimble_sum_s8_params *p, const int8_t *x, const int8_t *y, int8_t *out,
                          int32_t tokens);
void plain_thimble_gate_s8(const thimble_gate_s8_params *p, const int8_t *gate, const int8_t *up, int8_t *out,
                           int32_t tokens);
void plain_thimble_rotary_s8(const thimble_rotary_s8_params *p, const int8_t *x, const int8_t *rotation, int8_t *out,
                             int32_t tokens);
void plain_thimble_rotary_moved_s8(const thimble_rotary_moved_s8_params *p, const int8_t *x, const int8_t *rotation,
                                   const int8_t *drift, int8_t *out, int32_t tokens);

static int8_t second_table[256];

static void check_widen(void)
{
    uint32_t cases = 0, different = 0;
    for (; cases < 300; cases++) {
        const int32_t count = between(1, 70), offset = between(-127, 128), start = between(0, 3),
                      tokens = between(1, 5);
        fill(a, 500, -128);
        memset(wide_one, 0x55, 1024);
        memset(wide_other, 0x55, 1024);
        thimble_widen_s8(a + start, offset, wide_one, count, tokens);
        plain_thimble_widen_s8(a + start, offset, wide_other, count, tokens);
        different += differs(wide_one, wide_other, 1024);
    }
    report("widen", cases, different);
}

/* Equal shapes, one row, one value a row, or a number. */
static thimble_operand operand(const int8_t *data, int32_t columns)
{
    const int32_t kind = between(0, 5);
    return (thimble_operand){data + between(0, 3),
                             kind < 3    ? columns
                             : kind == 3 ? 0
                             : kind == 4 ? 1
                                         : 0,
                             kind < 4 ? 1 : 0};
}

static thimble_sum_scale draw_sum_scale(int32_t most_shift)
{
    const int32_t equal = draw() % 4 == 0, sign = draw() % 2 ? 1 : -1, x_sign = draw() % 2 ? 1 : sign;
    return (thimble_sum_scale){
        .y_factor = equal ? 1 << 22 : 1 << 21,
        .y_base = between(-127, 128) * (equal ? 1 << 22 : 1 << 21),
        .y_multiplier = equal ? 1 << 30 : draw_multiplier(),
        .y_right_less_one = equal ? 0 : between(0, draw() % 8 ? 12 : 30),
        .y_sign = x_sign < 0 ? 1 : sign,
        .x_base = x_sign * between(-127, 128) * (1 << 20),
        .x_factor = x_sign * (1 << 20),
        .out = draw_product_scale(1, most_shift),
    };
}

static void check_elementwise(void)
{
    uint32_t cases = 0, add = 0, mul = 0, look_up = 0;
    for (; cases < 600; cases++) {
        const int32_t rows = between(1, 4), columns = between(1, 40), stride = columns + between(0, 4),
                      low = between(-128, 0);
        const int32_t at = between(0, 3), full = draw() % 2 == 0;
        fill(a, 256, -128);
        fill(b, 256, -128);
        fill(table, 256, -128);
        const thimble_operand x = operand(a, columns), y = operand(b, columns);
        const thimble_add_s8_params sum = {draw_sum_scale(24), full ? -128 : low, full ? 127 : between(1, 127)};
        const thimble_mul_s8_params product = {
            .a_offset = between(-127, 128),
            .b_offset = between(-127, 128),
            .out_zero_point = between(-128, 127),
            .out_multiplier = draw_multiplier(),
            .out_shift = between(-14, 3),
            .out_min = sum.out_min,
            .out_max = sum.out_max,
        };
        memset(one, 0x55, 512);
        memset(other, 0x55, 512);
        thimble_add_s8(&sum, x, y, one + at, stride, rows, columns);
        plain_thimble_add_s8(&sum, x, y, other + at, stride, rows, columns);
        add += differs(one, other, 512);
        thimble_mul_s8(&product, x, y, one + at, stride, rows, columns);
        plain_thimble_mul_s8(&product, x, y, other + at, stride, rows, columns);
        mul += differs(one, other, 512);
        thimble_table_s8(table, x, one + at, stride, rows, columns);
        plain_thimble_table_s8(table, x, other + at, stride, rows, columns);
        look_up += differs(one, other, 512);
    }
    report("add", cases, add);
    report("mul", cases, mul);
    report("table", cases, look_up);
}

static thimble_norm_s8_params draw_norm(int32_t columns)
{
    const int32_t mean_multiplier = draw_multiplier() / columns, mean_shift = between(-2, 1);
    return (thimble_norm_s8_params){
        .square = table,
        .inverse_root = second_table,
        .sum_start = columns * between(-127, 128),
        .mean_zero_point = between(-128, 127),
        .mean = thimble_prepare(mean_multiplier, mean_shift),
        .x_offset = between(-127, 128),
        .root_offset = between(-127, 128),
        .out = draw_product_scale(1, draw() % 8 ? 14 : 22),
        .columns = columns,
    };
}

static thimble_rotary_s8_params draw_rotary(int32_t heads, int32_t half, int32_t pairs)
{
    return (thimble_rotary_s8_params){
        .offset = between(-127, 128),
        .rotation_offset = between(-127, 128),
        .heads = heads,
        .half = half,
        .pairs = pairs,
        .out = draw_product_scale(1, draw() % 8 ? 14 : 22),
    };
}

static void check_fused(void)
{
    uint32_t cases = 0, norm = 0, gate = 0, sum = 0, rotary = 0, moved = 0;
    for (; cases < 400; cases++) {
        const int32_t columns = 2 * between(1, 35), at = between(0, 3), tokens = columns % 4 ? 1 : between(1, 3);
        fill(a, 512, -128);
        fill(b, 512, -128);
        fill(table, 256, -128);
        fill(second_table, 256, -128);
        memset(one, 0x55, 512);
        memset(other, 0x55, 512);
        const thimble_norm_s8_params n = draw_norm(columns);
        thimble_norm_s8(&n, a + at, one, tokens);
        plain_thimble_norm_s8(&n, a + at, other, tokens);
        norm += differs(one, other, 512);
        const thimble_gate_s8_params g = {table, between(-127, 128), between(-127, 128),
                                          draw_product_scale(1, draw() % 8 ? 14 : 22), columns};
        thimble_gate_s8(&g, a, b + at, one + at, tokens);
        plain_thimble_gate_s8(&g, a, b + at, other + at, tokens);
        gate += differs(one, other, 512);
        thimble_sum_s8_params t = {draw_sum_scale(22), columns};
        t.scale.y_factor = 1 << 21;
        t.scale.x_factor = 1 << 20;
        t.scale.y_sign = 1;
        thimble_sum_s8(&t, a, b + at, one + at, tokens);
        plain_thimble_sum_s8(&t, a, b + at, other + at, tokens);
        sum += differs(one, other, 512);
        const int32_t half = tokens == 1 ? between(1, 12) : 2 * between(1, 6);
        const int32_t heads = between(1, 5), pairs = between(0, half);
        const thimble_rotary_s8_params r = draw_rotary(heads, half, pairs);
        /* Tokens' matrices lie one before the other. */
        const int8_t *const rotation = b + 4 * half * (tokens - 1);
        thimble_rotary_s8(&r, a + at, rotation, one + at, tokens);
        plain_thimble_rotary_s8(&r, a + at, rotation, other + at, tokens);
        rotary += differs(one, other, 512);
        const thimble_rotary_moved_s8_params m = {r, table};
        const int8_t *const drift = b + 170 + 4 * (half - r.pairs) * (tokens - 1);
        thimble_rotary_moved_s8(&m, a + at, rotation, drift, one + at, tokens);
        plain_thimble_rotary_moved_s8(&m, a + at, rotation, drift, other + at, tokens);
        moved += differs(one, other, 512);
    }
    report("norm", cases, norm);
    report("gate", cases, gate);
    report("sum", cases, sum);
    report("rotary", cases, rotary);
    report("rotary_moved", cases, moved);
}

#define COUNT(name, columns, rows, call)       \
    do {                                       \
        start_count();                         \
        for (int32_t i = 0; i < 100; i++) {    \
            call;                              \
        }                                      \
        print_count(name, columns, rows, 100); \
    } while (0)

void check(void)
{
    check_widen();
    check_elementwise();
    check_fused();
    const thimble_operand x = {a, 128, 1}, y = {b, 128, 1};
    const thimble_add_s8_params sum = {
        {1 << 21, -7 * (1 << 21), 1500000000, 0, 1, 5 << 20, 1 << 20, {1200000000, 17, 7}}, -128, 127};
    const thimble_mul_s8_params product = {5, -7, 3, 1500000000, -7, -128, 127};
    const thimble_sum_s8_params flat = {sum.scale, 128};
    const thimble_norm_s8_params norm = draw_norm(128);
    const thimble_gate_s8_params gate = {table, 5, -7, {1500000000, 6, 7}, 128};
    const thimble_rotary_s8_params rotary = draw_rotary(8, 8, 8);
    const thimble_rotary_moved_s8_params moved = {draw_rotary(8, 8, 0), table};
    COUNT("add", 128, 1, thimble_add_s8(&sum, x, y, one, 128, 1, 128));
    COUNT("mul", 128, 1, thimble_mul_s8(&product, x, y, one, 128, 1, 128));
    COUNT("table", 128, 1, thimble_table_s8(table, x, one, 128, 1, 128));
    COUNT("widen", 128, 1, thimble_widen_s8(a, 5, wide_one, 128, 1));
    COUNT("sum", 128, 1, thimble_sum_s8(&flat, a, b, one, 1));
    COUNT("norm", 128, 1, thimble_norm_s8(&norm, a, one, 1));
    COUNT("gate", 128, 1, thimble_gate_s8(&gate, a, b, one, 1));
    COUNT("rotary", 128, 1, thimble_rotary_s8(&rotary, a, b, one, 1));
    COUNT("rotary_moved", 128, 1, thimble_rotary_moved_s8(&moved, a, b, b, one, 1));
}

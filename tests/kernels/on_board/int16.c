#include "harness.h"

void plain_thimble_fully_connected_s16(const thimble_fully_connected_s16_params *p, const int16_t *x, int16_t *out);
void plain_thimble_fully_connected_rows_s16(const thimble_fully_connected_rows_s16_params *p, const int16_t *x,
                                            int16_t *out);
void plain_thimble_attention_s16(const thimble_attention_s16_params *p, const int16_t *q, const int16_t *k_cache,
                                 const int16_t *v_cache, int32_t position, int16_t *out, int16_t *scratch);
void plain_thimble_add_s16(const thimble_add_s16_params *p, thimble_operand_s16 a, thimble_operand_s16 b, int16_t *out,
                           int32_t out_stride, int32_t rows, int32_t columns);
void plain_thimble_mul_s16(const thimble_mul_s16_params *p, thimble_operand_s16 a, thimble_operand_s16 b, int16_t *out,
                           int32_t out_stride, int32_t rows, int32_t columns);
void plain_thimble_scale_s16(const thimble_scale_s16_params *p, thimble_operand_s16 in, int16_t *out,
                             int32_t out_stride, int32_t rows, int32_t columns);
void plain_thimble_root_s16(float in_scale, float epsilon, float out_scale, const int16_t *in, int16_t *out,
                            int32_t count);

static _Alignas(4) int16_t weights[64 * 516];
static _Alignas(4) int16_t x[MOST], y[MOST], k[MOST], v[MOST];
static _Alignas(4) int16_t exp_table[513], reciprocal[513], scratch[64];
static int32_t bias[64], multiplier[64];

/* Any values, small ones, or only the extremes. */
static void fill_s16(int16_t *values, int32_t count)
{
    const int32_t kind = between(0, 5);
    for (int32_t i = 0; i < count; i++) {
        values[i] = (int16_t)(kind == 0   ? (draw() % 2 ? -32768 : 32767)
                              : kind == 1 ? between(-300, 300)
                                          : between(-32768, 32767));
    }
}

/* 16 bits, shifted left as the high word of a product wants it. */
static int32_t draw_high_word(void)
{
    const int32_t multiplier = between(1 << 14, (1 << 15) - 1);
    return multiplier << between(0, 16);
}

static void draw_weights(int32_t rows, int32_t depth)
{
    const int32_t columns = (depth + 3) / 4 * 4, extreme = draw() % 3 == 0;
    memset(weights, 0, sizeof weights);
    for (int32_t row = 0; row < rows; row++) {
        for (int32_t column = 0; column < depth; column++) {
            const int32_t value = extreme ? (row % 3 == 0 ? -127 : 127) : between(-127, 127);
            int16_t *at = &weights[row / 4 * columns * 2 + column / 4 * 8 + row % 4 / 2 * 4 + column % 4];
            *at = (int16_t)(*at + (row % 2 ? value : 256 * value));
        }
        bias[row] = between(-5 * 32768 + 1, 5 * 32768 - 1); /* what 516 weights of 127 leave */
        multiplier[row] = draw_high_word();
    }
}

static thimble_fully_connected_s16_params products(int32_t rows, int32_t depth)
{
    const int32_t full = draw() % 2 == 0;
    return (thimble_fully_connected_s16_params){
        .weights = weights,
        .bias = draw() % 2 ? bias : 0,
        .multiplier = multiplier,
        .depth = depth,
        .rows = rows,
        .out_min = full ? -32768 : between(-32768, 0),
        .out_max = full ? 32767 : between(1, 32767),
    };
}

static void check_fully_connected(void)
{
    uint32_t cases = 0, different = 0;
    for (; cases < 400; cases++) {
        const int32_t rows = between(1, 21), depth = cases % 8 == 0 ? between(513, 516) : between(1, 180);
        draw_weights(rows, depth);
        fill_s16(x, 520);
        const thimble_fully_connected_s16_params p = products(rows, depth);
        memset(wide_one, 0x55, 128);
        memset(wide_other, 0x55, 128);
        thimble_fully_connected_s16(&p, x, wide_one);
        plain_thimble_fully_connected_s16(&p, x, wide_other);
        different += differs(wide_one, wide_other, 128);
        const some_rows some = draw_some(rows);
        const thimble_fully_connected_s16_params those = thimble_some_packed_rows_s16(&p, some.first, some.count);
        memset(wide_one, 0x55, 128);
        thimble_fully_connected_s16(&those, x, wide_one + some.first);
        different += some_differ(wide_one, wide_other, some, 2);
    }
    report("fully_connected_s16", cases, different);
    static const int32_t depths[] = {64, 128, 172};
    for (int32_t i = 0; i < 3; i++) {
        draw_weights(64, depths[i]);
        const thimble_fully_connected_s16_params p = {weights, 0, multiplier, depths[i], 64, -32768, 32767};
        start_count();
        for (int32_t j = 0; j < 100; j++) {
            thimble_fully_connected_s16(&p, x, wide_one);
        }
        print_count("fully_connected_s16", depths[i], 64, 100);
    }
}

/* The same weights, row by row. */
static thimble_fully_connected_rows_s16_params plain_rows(const thimble_fully_connected_s16_params *p)
{
    static int8_t rows[64 * 516];
    const int32_t columns = (p->depth + 3) / 4 * 4;
    for (int32_t row = 0; row < (p->rows + 3) / 4 * 4; row++) {
        for (int32_t column = 0; column < p->depth; column++) {
            const int16_t pair = weights[row / 4 * columns * 2 + column / 4 * 8 + row % 4 / 2 * 4 + column % 4];
            const int8_t low = (int8_t)pair;
            rows[row * p->depth + column] = row % 2 ? low : (int8_t)((pair - low) / 256);
        }
    }
    return (thimble_fully_connected_rows_s16_params){rows,    p->bias,    p->multiplier, p->depth,
                                                     p->rows, p->out_min, p->out_max};
}

static void check_rows(void)
{
    uint32_t cases = 0, different = 0;
    for (; cases < 400; cases++) {
        const int32_t rows = between(1, 21), depth = cases % 8 == 0 ? between(513, 516) : between(1, 180);
        draw_weights((rows + 3) / 4 * 4, depth);
        fill_s16(x, 520);
        const thimble_fully_connected_s16_params packed = products(rows, depth);
        const thimble_fully_connected_rows_s16_params p = plain_rows(&packed);
        memset(wide_one, 0x55, 128);
        memset(wide_other, 0x55, 128);
        thimble_fully_connected_rows_s16(&p, x, wide_one);
        plain_thimble_fully_connected_rows_s16(&p, x, wide_other);
        different += differs(wide_one, wide_other, 128);
        plain_thimble_fully_connected_s16(&packed, x, wide_other);
        different += differs(wide_one, wide_other, 128);
        const some_rows some = draw_some(rows);
        const thimble_fully_connected_rows_s16_params those = thimble_some_rows_s16(&p, some.first, some.count);
        memset(wide_one, 0x55, 128);
        thimble_fully_connected_rows_s16(&those, x, wide_one + some.first);
        different += some_differ(wide_one, wide_other, some, 2);
    }
    report("fully_connected_rows_s16", cases, different);
    static const int32_t depths[] = {48, 64, 128, 172};
    for (int32_t i = 0; i < 4; i++) {
        const thimble_fully_connected_rows_s16_params p = {
            (int8_t *)weights, 0, multiplier, depths[i], 64, -32768, 32767};
        start_count();
        for (int32_t j = 0; j < 100; j++) {
            thimble_fully_connected_rows_s16(&p, x, wide_one);
        }
        print_count("fully_connected_rows_s16", depths[i], 64, 100);
    }
}

static void check_attention(void)
{
    uint32_t cases = 0, different = 0;
    for (int32_t i = 0; i < 513; i++) {
        exp_table[i] = (int16_t)(i < 512 ? i * i / 8 : 32767); /* of the largest, so that no sum is below it */
        reciprocal[i] = (int16_t)(32767 - 32 * i);
    }
    for (; cases < 300; cases++) {
        const int32_t head_dim = 4 * between(1, 16), context = between(1, 24), kv_heads = between(1, 2);
        const int32_t group = between(1, 3), position = between(0, context - 1);
        const thimble_add_s16_params mask = {
            1 << 14, draw_multiplier(), between(1, 5), 1, draw_multiplier(), between(11, 14), -32768, 32767,
        };
        const thimble_mul_s16_params scaling = {draw_multiplier(), -between(0, 3), -32768, 32767};
        const thimble_attention_s16_params p = {
            .scaling = draw() % 2 ? &scaling : 0,
            .factor = between(-32768, 32767),
            .mask = draw() % 2 ? &mask : 0,
            .softmax = {exp_table, reciprocal, draw_multiplier(), between(-4, 6)},
            .kv_heads = kv_heads,
            .group = group,
            .context = context,
            .head_dim = head_dim,
            .score_multiplier = between(1 << 14, (1 << 15) - 1),
            .score_shift = -between(7, 30),
            .unmasked = between(-100, 100),
            .masked_score = between(-32768, -20000),
            .unmasked_first = between(0, 1),
            .out_multiplier = draw_high_word(),
        };
        fill_s16(k, kv_heads * context * head_dim);
        fill_s16(v, kv_heads * context * head_dim);
        fill_s16(x, kv_heads * group * head_dim);
        memset(wide_one, 0x55, 2048);
        memset(wide_other, 0x55, 2048);
        thimble_attention_s16(&p, x, k, v, position, wide_one, scratch);
        plain_thimble_attention_s16(&p, x, k, v, position, wide_other, scratch);
        different += differs(wide_one, wide_other, 2048);
    }
    report("attention_s16", cases, different);
    const thimble_attention_s16_params p = {
        .softmax = {exp_table, reciprocal, 1610637311, 3},
        .kv_heads = 2,
        .group = 2,
        .context = 48,
        .head_dim = 16,
        .score_multiplier = 31411,
        .score_shift = -16,
        .masked_score = -32767,
        .out_multiplier = 17109 << 3,
    };
    start_count();
    for (int32_t i = 0; i < 100; i++) {
        thimble_attention_s16(&p, x, k, v, 47, wide_one, scratch);
    }
    print_count("attention_s16", 2 * 16 * 4, 48, 100);
}

/* Equal shapes, one row, one value a row, or a number. */
static thimble_operand_s16 operand(const int16_t *data, int32_t columns)
{
    const int32_t kind = between(0, 5);
    return (thimble_operand_s16){
        data + between(0, 3),
        kind < 3    ? columns
        : kind == 4 ? 1
                    : 0,
        kind < 4 ? 1 : 0,
    };
}

static void check_elementwise(void)
{
    uint32_t cases = 0, add = 0, mul = 0, scale = 0, root = 0;
    for (; cases < 600; cases++) {
        const int32_t rows = between(1, 4), columns = between(1, 40), stride = columns + between(0, 4);
        const int32_t at = between(0, 3), full = draw() % 2 == 0;
        fill_s16(x, 256);
        fill_s16(y, 256);
        const thimble_operand_s16 left = operand(x, columns), right = draw() % 4 ? operand(y, columns) : left;
        const thimble_add_s16_params sum = {
            .x_factor = draw() % 2 ? 1 << 14 : -(1 << 14),
            .y_multiplier = draw_multiplier(),
            .y_right = between(1, 12),
            .y_factor = draw() % 2 ? 1 : -1,
            .out_multiplier = draw_multiplier(),
            .out_right = between(1, 18),
            .out_min = full ? -32768 : between(-32768, 0),
            .out_max = full ? 32767 : between(1, 32767),
        };
        const thimble_mul_s16_params product = {draw_multiplier(), -between(0, 18), sum.out_min, sum.out_max};
        const thimble_scale_s16_params rescaled = {draw_multiplier(), between(-6, 3), sum.out_min, sum.out_max};
        memset(wide_one, 0x55, 1024);
        memset(wide_other, 0x55, 1024);
        thimble_add_s16(&sum, left, right, wide_one + at, stride, rows, columns);
        plain_thimble_add_s16(&sum, left, right, wide_other + at, stride, rows, columns);
        add += differs(wide_one, wide_other, 1024);
        thimble_mul_s16(&product, left, right, wide_one + at, stride, rows, columns);
        plain_thimble_mul_s16(&product, left, right, wide_other + at, stride, rows, columns);
        mul += differs(wide_one, wide_other, 1024);
        thimble_scale_s16(&rescaled, left, wide_one + at, stride, rows, columns);
        plain_thimble_scale_s16(&rescaled, left, wide_other + at, stride, rows, columns);
        scale += differs(wide_one, wide_other, 1024);
        for (int32_t i = 0; i < 256; i++) {
            x[i] = (int16_t)(x[i] & 0x7fff);
        }
        const float in_scale = (float)between(1, 1 << 20) * 0x1p-30f, out_scale = (float)between(1, 1 << 20) * 0x1p-34f;
        thimble_root_s16(in_scale, 1e-5f, out_scale, x, wide_one, 256);
        plain_thimble_root_s16(in_scale, 1e-5f, out_scale, x, wide_other, 256);
        root += differs(wide_one, wide_other, 1024);
    }
    report("add_s16", cases, add);
    report("mul_s16", cases, mul);
    report("scale_s16", cases, scale);
    report("root_s16", cases, root);
    const thimble_operand_s16 left = {x, 128, 1}, right = {y, 128, 1};
    const thimble_add_s16_params sum = {1 << 14, 1500000000, 1, 1, 1200000000, 14, -32768, 32767};
    const thimble_mul_s16_params product = {1500000000, -14, -32768, 32767};
    start_count();
    for (int32_t i = 0; i < 100; i++) {
        thimble_add_s16(&sum, left, right, wide_one, 128, 1, 128);
    }
    print_count("add_s16", 128, 1, 100);
    start_count();
    for (int32_t i = 0; i < 100; i++) {
        thimble_mul_s16(&product, left, right, wide_one, 128, 1, 128);
    }
    print_count("mul_s16", 128, 1, 100);
    start_count();
    for (int32_t i = 0; i < 100; i++) {
        thimble_root_s16(0x1p-12f, 1e-5f, 0x1p-14f, x, wide_one, 1);
    }
    print_count("root_s16", 1, 1, 100);
}

void check(void)
{
    check_fully_connected();
    check_rows();
    check_attention();
    check_elementwise();
}

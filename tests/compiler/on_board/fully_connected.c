#include "harness.h"

void plain_thimble_fully_connected_pairs_s8(const thimble_fully_connected_packed_s8_params *p, const int16_t *x, int8_t *out,
                                            int32_t tokens, int32_t stride);
void plain_thimble_widen_s8(const int8_t *in, int32_t offset, int16_t *out, int32_t depth);

static _Alignas(4) int16_t weights[64 * 264];
static int32_t bias[64], multiplier[64];
static uint8_t right_shift_less_one[64];

/* `tokens` widened inputs, `stride` bytes apart. */
static void draw_inputs(int32_t depth, int32_t tokens, int32_t stride)
{
    const int32_t offset = draw() % 2 ? 128 : between(-127, 128);
    for (int32_t i = 0; i < tokens; i++) {
        fill(a, depth, -128);
        plain_thimble_widen_s8(a, offset, wide_one + i * stride / 2, depth);
    }
}

static void draw_weights(int32_t rows, int32_t depth)
{
    const int32_t columns = (depth + 3) / 4 * 4, extreme = draw() % 3 == 0;
    for (int32_t i = 0; i < (rows + 3) / 4 * 2 * columns; i++) {
        weights[i] = 128; /* a pair of zeros */
    }
    for (int32_t row = 0; row < rows; row++) {
        for (int32_t column = 0; column < depth; column++) {
            const int32_t value = extreme ? (row % 3 == 0 ? -128 : 127) : between(-128, 127);
            int16_t *at = &weights[row / 4 * columns * 2 + column / 4 * 8 + row % 4 / 2 * 4 + column % 4];
            *at = (int16_t)(*at + (row % 2 ? value : 256 * value));
        }
        bias[row] = between(-100000, 100000);
        multiplier[row] = draw_multiplier();
        right_shift_less_one[row] = (uint8_t)between(0, draw() % 4 ? 20 : 30);
    }
}

static thimble_fully_connected_packed_s8_params products(int32_t rows, int32_t depth, int32_t part)
{
    const int32_t full = draw() % 2 == 0;
    return (thimble_fully_connected_packed_s8_params){
        .weights = weights,
        .twice_bias = draw() % 2 ? bias : 0,
        .multiplier = multiplier,
        .right_shift_less_one = right_shift_less_one,
        .depth = depth,
        .rows = rows,
        .part = part,
        .out_zero_point = between(-128, 127),
        .out_min = full ? -128 : between(-128, 0),
        .out_max = full ? 127 : between(1, 127),
    };
}

void check(void)
{
    uint32_t cases = 0, different = 0;
    for (; cases < 600; cases++) {
        const int32_t rows = between(1, 21), depth = cases % 8 == 0 ? 255 : between(1, 140), tokens = between(1, 5);
        const int32_t stride = THIMBLE_WIDE_BYTES(depth) + 4 * between(0, 2), whole = (depth + 3) / 4 * 4;
        draw_inputs(depth, tokens, stride);
        draw_weights(rows, depth);
        const thimble_fully_connected_packed_s8_params p =
            products(rows, depth, draw() % 3 == 0 ? 4 * between(1, whole / 4) : whole);
        memset(one, 0x55, MOST);
        memset(other, 0x55, MOST);
        thimble_fully_connected_pairs_s8(&p, wide_one, one, tokens, stride);
        plain_thimble_fully_connected_pairs_s8(&p, wide_one, other, tokens, stride);
        different += memcmp(one, other, MOST) != 0;
    }
    report("fully_connected_pairs", cases, different);
    for (int32_t depth = 64; depth <= 128; depth += 64) {
        draw_inputs(depth, 4, THIMBLE_WIDE_BYTES(depth));
        draw_weights(64, depth);
        for (int32_t i = 0; i < 64; i++) {
            right_shift_less_one[i] = 8;
        }
        const thimble_fully_connected_packed_s8_params p = {weights, 0,  multiplier, right_shift_less_one, depth, 64,
                                                            depth,   3, -128,       127};
        start_count();
        for (int32_t i = 0; i < 100; i++) {
            thimble_fully_connected_pairs_s8(&p, wide_one, one, 1, 0);
        }
        print_count("fully_connected_pairs", depth, 64, 100);
        start_count();
        for (int32_t i = 0; i < 25; i++) {
            thimble_fully_connected_pairs_s8(&p, wide_one, one, 4, THIMBLE_WIDE_BYTES(depth));
        }
        print_count("fully_connected_pairs_block", depth, 64, 100);
    }
}

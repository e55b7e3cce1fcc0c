#include "harness.h"

void plain_thimble_fully_connected_rows_s8(const thimble_fully_connected_rows_s8_params *p, const int8_t *x,
                                           int8_t *out, int32_t tokens);

static _Alignas(4) int8_t weights[64 * 264];
static int32_t bias[64], multiplier[64];
static int8_t shift[64];

static thimble_fully_connected_rows_s8_params draw_rows(int32_t rows, int32_t depth, int32_t least_shift,
                                                        int32_t largest_shift)
{
    const int32_t full = draw() % 2 == 0;
    fill(weights, rows * depth, -128);
    for (int32_t row = 0; row < rows; row++) {
        bias[row] = between(-100000, 100000);
        multiplier[row] = draw_multiplier();
        shift[row] = (int8_t)between(least_shift, largest_shift);
    }
    return (thimble_fully_connected_rows_s8_params){
        .weights = weights,
        .bias = bias,
        .multiplier = multiplier,
        .shift = shift,
        .largest_shift = largest_shift,
        .depth = depth,
        .rows = rows,
        .out_zero_point = between(-128, 127),
        .out_min = full ? -128 : between(-128, 0),
        .out_max = full ? 127 : between(1, 127),
    };
}

void check(void)
{
    uint32_t cases = 0, different = 0;
    for (; cases < 600; cases++) {
        const int32_t rows = between(1, 21), depth = cases % 8 == 0 ? 255
                                                     : cases % 2    ? 16 * between(1, 13)
                                                                    : between(1, 140);
        const int32_t tokens = between(1, 5);
        const int32_t largest_shift = draw() % 4 ? between(-12, -1) : between(-2, 3);
        const thimble_fully_connected_rows_s8_params p = draw_rows(rows, depth, draw() % 4 ? -16 : -31, largest_shift);
        fill(a, MOST, -128);
        memset(one, 0x55, MOST);
        memset(other, 0x55, MOST);
        thimble_fully_connected_rows_s8(&p, a, one, tokens);
        plain_thimble_fully_connected_rows_s8(&p, a, other, tokens);
        different += differs(one, other, MOST);
        const some_rows some = draw_some(rows);
        const thimble_fully_connected_rows_s8_params those = thimble_some_rows_s8(&p, some.first, some.count);
        memset(one, 0x55, MOST);
        thimble_fully_connected_rows_s8(&those, a, one + some.first, 1);
        different += some_differ(one, other, some, 1);
    }
    report("fully_connected_rows", cases, different);
    static const int32_t depths[] = {48, 64, 96, 128, 172, 192};
    for (int32_t i = 0; i < 6; i++) {
        thimble_fully_connected_rows_s8_params p = draw_rows(64, depths[i], -8, -8);
        p.out_min = -128;
        p.out_max = 127;
        start_count();
        for (int32_t call = 0; call < 100; call++) {
            thimble_fully_connected_rows_s8(&p, a, one, 1);
        }
        print_count("fully_connected_rows", depths[i], 64, 100);
        start_count();
        for (int32_t call = 0; call < 25; call++) {
            thimble_fully_connected_rows_s8(&p, a, one, 4);
        }
        print_count("fully_connected_rows_block", depths[i], 64, 100);
    }
}

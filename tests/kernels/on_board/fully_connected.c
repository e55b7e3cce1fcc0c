#include "harness.h"

typedef void kernel(const thimble_fully_connected_packed_s8_params *p, const int16_t *x, int8_t *out, int32_t tokens);

void plain_thimble_widen_s8(const int8_t *in, int32_t offset, int16_t *out, int32_t depth, int32_t tokens);
void plain_thimble_fully_connected_pairs_parts_s8(const thimble_fully_connected_packed_s8_params *p, const int16_t *x,
                                                  int8_t *out);
void plain_thimble_fully_connected_quads_parts_s8(const thimble_fully_connected_packed_s8_params *p, const int16_t *x,
                                                  int8_t *out);
kernel plain_thimble_fully_connected_pairs_s8, plain_thimble_fully_connected_quads_s8;

static _Alignas(4) int8_t weights[64 * 512];
static int32_t constants[64 / 4 * 9];

#define LARGEST 259 /* 255 * 127 * 259 < 2^23: of more columns the sums would not come apart */

/* `tokens` widened inputs; all 255 or all -255 for the largest sums. */
static void draw_inputs(int32_t depth, int32_t tokens)
{
    const int32_t positive = draw() % 2 == 0;
    const int32_t offset = depth == LARGEST ? (positive ? 128 : -127) : draw() % 2 ? 128 : between(-127, 128);
    fill(a, tokens * THIMBLE_TOKEN_BYTES(depth), -128);
    for (int32_t i = 0; depth == LARGEST && i < tokens; i++) {
        memset(a + i * THIMBLE_TOKEN_BYTES(LARGEST), positive ? 127 : -128, LARGEST);
    }
    plain_thimble_widen_s8(a, offset, wide_one, depth, tokens);
}

/* Four weights at one column, as the kernels' files tell. */
static void put_pairs(int32_t row, int32_t column, int32_t columns, const int32_t *w)
{
    int16_t *at = (int16_t *)(void *)weights + row / 2 * columns + column / 2 * 4 + column % 2;
    const int32_t b = w[1] == -128 && w[2] < 0 ? -127 : w[1], a_or_less = w[0] == -128 && b < 0 ? -127 : w[0];
    at[0] = (int16_t)(256 * a_or_less + b);
    at[2] = (int16_t)(256 * w[2] + w[3] + 128);
}

static void put_quads(int32_t row, int32_t column, int32_t columns, const int32_t *w)
{
    int8_t *at = weights + row * columns + column * 4;
    at[0] = (int8_t)(w[3] ^ -128);
    at[1] = (int8_t)(w[2] ^ -128);
    at[2] = (int8_t)(w[1] ^ -128);
    at[3] = (int8_t)w[0];
}

static int32_t draw_weight(int32_t extreme)
{
    return extreme ? (draw() % 2 ? -128 : 127) : between(-128, 127);
}

static void draw_weights(void (*put)(int32_t row, int32_t column, int32_t columns, const int32_t *w), int32_t rows,
                         int32_t depth)
{
    const int32_t columns = (depth + 3) / 4 * 4, extreme = draw() % 3 == 0;
    const uint32_t signs = draw();
    for (int32_t row = 0; row < rows; row += 4) {
        for (int32_t column = 0; column < columns; column++) {
            int32_t w[4] = {0};
            for (int32_t i = 0; i < 4 && column < depth && row + i < rows; i++) {
                w[i] = depth == LARGEST ? (signs >> (row + i) % 16 & 1 ? 127 : -127) : draw_weight(extreme);
            }
            put(row, column, columns, w);
        }
    }
}

/* Shifts less one: `least` to 30, or all the same. */
static void draw_constants(int32_t rows, int32_t biased, int32_t least, int32_t shift)
{
    int32_t *at = constants;
    for (int32_t row = 0; row < rows; row += 4) {
        for (int32_t i = 0; biased && i < 4; i++) {
            *at++ = 2 * between(-100000, 100000);
        }
        uint32_t shifts = 0;
        for (int32_t i = 0; i < 4; i++) {
            *at++ = draw_multiplier();
            shifts = shifts << 8 | (uint32_t)(shift ? shift : between(least, draw() % 4 ? 20 : 30));
        }
        *at++ = (int32_t)shifts;
    }
}

/* The least shift, less one, that keeps outputs below 2^14 - 1. */
static int32_t least_shift(int32_t depth)
{
    int32_t shift = 0;
    for (int32_t reach = 255 * 128 * depth + 100000; reach >> (shift + 1) >= (1 << 14) - 1;) {
        shift++;
    }
    return shift;
}

static thimble_fully_connected_packed_s8_params products(int32_t rows, int32_t depth, int32_t part, int32_t tokens)
{
    const int32_t biased = draw() % 2 == 0;
    draw_constants(rows, biased, tokens > 1 ? least_shift(depth) : 0, 0);
    return (thimble_fully_connected_packed_s8_params){
        .weights = weights,
        .constants = constants,
        .biased = biased,
        .depth = depth,
        .rows = rows,
        .part = part,
        .out_zero_point = between(-128, 127),
    };
}

/* Of one token alone. */
#define IN_PARTS(name, parts)                                                                                          \
    static void name(const thimble_fully_connected_packed_s8_params *p, const int16_t *x, int8_t *out, int32_t tokens) \
    {                                                                                                                  \
        (void)tokens;                                                                                                  \
        parts(p, x, out);                                                                                              \
    }

IN_PARTS(pairs_in_parts, thimble_fully_connected_pairs_parts_s8)
IN_PARTS(plain_pairs_in_parts, plain_thimble_fully_connected_pairs_parts_s8)
IN_PARTS(quads_in_parts, thimble_fully_connected_quads_parts_s8)
IN_PARTS(plain_quads_in_parts, plain_thimble_fully_connected_quads_parts_s8)

/* Parts of the depth take one token; they are a kernel of their own. */
static void compare(const char *name, kernel *const fast[2], kernel *const plain[2],
                    void (*put)(int32_t row, int32_t column, int32_t columns, const int32_t *w))
{
    uint32_t cases = 0, different = 0;
    for (; cases < 600; cases++) {
        const int32_t depth = cases % 8 == 0 ? 255 : cases % 8 == 1 ? LARGEST : between(1, 140);
        const int32_t rows = between(1, 21), whole = (depth + 3) / 4 * 4;
        int32_t part = draw() % 3 == 0 ? 4 * between(1, whole / 4) : whole;
        part = part < whole && part > 128 ? 128 : part;
        const int32_t tokens = part < whole ? 1 : between(1, 5);
        draw_inputs(depth, tokens);
        draw_weights(put, rows, depth);
        const thimble_fully_connected_packed_s8_params p = products(rows, depth, part, tokens);
        memset(one, 0x55, MOST);
        memset(other, 0x55, MOST);
        fast[part < whole](&p, wide_one, one, tokens);
        plain[part < whole](&p, wide_one, other, tokens);
        different += differs(one, other, MOST);
        if (tokens == 1) {
            const some_rows some = draw_some(rows);
            const thimble_fully_connected_packed_s8_params those =
                thimble_some_packed_rows_s8(&p, some.first, some.count);
            memset(one, 0x55, MOST);
            fast[part < whole](&those, wide_one, one + some.first, 1);
            different += some_differ(one, other, some, 1);
        }
    }
    report(name, cases, different);
}

static void count(const char *name, const char *block_name, kernel *fast,
                  void (*put)(int32_t row, int32_t column, int32_t columns, const int32_t *w))
{
    static const int32_t depths[] = {48, 64, 96, 128, 172, 192};
    for (uint32_t i = 0; i < sizeof depths / sizeof *depths; i++) {
        const int32_t depth = depths[i];
        draw_inputs(depth, 4);
        draw_weights(put, 64, depth);
        draw_constants(64, 0, 0, 8);
        const thimble_fully_connected_packed_s8_params p = {weights, constants, 0, depth, 64, (depth + 3) & ~3, 3};
        start_count();
        for (int32_t call = 0; call < 100; call++) {
            fast(&p, wide_one, one, 1);
        }
        print_count(name, depth, 64, 100);
        start_count();
        for (int32_t call = 0; call < 25; call++) {
            fast(&p, wide_one, one, 4);
        }
        print_count(block_name, depth, 64, 100);
    }
}

void check(void)
{
    kernel *const pairs[2] = {thimble_fully_connected_pairs_s8, pairs_in_parts};
    kernel *const plain_pairs[2] = {plain_thimble_fully_connected_pairs_s8, plain_pairs_in_parts};
    kernel *const quads[2] = {thimble_fully_connected_quads_s8, quads_in_parts};
    kernel *const plain_quads[2] = {plain_thimble_fully_connected_quads_s8, plain_quads_in_parts};
    compare("fully_connected_pairs", pairs, plain_pairs, put_pairs);
    compare("fully_connected_quads", quads, plain_quads, put_quads);
    count("fully_connected_pairs", "fully_connected_pairs_block", thimble_fully_connected_pairs_s8, put_pairs);
    count("fully_connected_quads", "fully_connected_quads_block", thimble_fully_connected_quads_s8, put_quads);
}

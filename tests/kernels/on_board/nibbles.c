/* Products with weights of four bits: random words, with and without biases. */
#include "harness.h"

typedef void kernel(const thimble_fully_connected_nibbles_s8_params *p, const int16_t *x, int8_t *out);

kernel plain_thimble_fully_connected_nibbles_s8;
void plain_thimble_widen_s8(const int8_t *in, int32_t offset, int16_t *out, int32_t depth, int32_t tokens);

static uint32_t weights[2048];
static int32_t constants[64 / 4 * 9];

/* Weights of any value, of -8 and 7, or of one of them in each row, the largest sums. */
static uint32_t draw_word(uint32_t kind, uint32_t signs)
{
    uint32_t word = 0;
    for (int32_t i = 0; i < 8; i++) {
        const uint32_t row_of = 0x31203021u; /* whose row is in which four bits does not matter to the largest sums */
        const uint32_t sign = kind == 1 ? draw() : signs >> (row_of >> 4 * i & 3);
        word |= (kind == 0 ? draw() & 15 : sign & 1 ? 15u : 0u) << 4 * i;
    }
    return word;
}

static void draw_product(int32_t rows, int32_t depth, int32_t biased)
{
    const uint32_t kind = draw() % 3;
    uint32_t *word = weights;
    int32_t *at = constants;
    for (int32_t row = 0; row < rows; row += 4) {
        const uint32_t signs = draw();
        for (int32_t column = 0; column < ((depth + 3) & ~3); column += 2) {
            const uint32_t behind = column + 1 < depth ? 0
                                    : column < depth   ? 0x0f0ff0f0u
                                                       : 0xffffffffu; /* zero weights */
            *word++ = (draw_word(kind, signs) & ~behind) | (0x88888888u & behind);
        }
        for (int32_t i = 0; biased && i < 4; i++) {
            *at++ = 2 * between(-100000, 100000);
        }
        uint32_t shifts = 0;
        for (int32_t i = 0; i < 4; i++) {
            *at++ = draw_multiplier();
            shifts = shifts << 8 | (uint32_t)between(6, draw() % 4 ? 12 : 30);
        }
        *at++ = (int32_t)shifts;
    }
}

void check(void)
{
    uint32_t cases = 0, different = 0;
    for (; cases < 400; cases++) {
        const int32_t rows = between(1, 20), depth = cases % 8 ? between(1, 140) : 257;
        fill(a, depth, -128);
        if (cases % 16 == 0) {
            memset(a, draw() % 2 ? 127 : -128,
                   257); /* 255 * 8 * 257 < 2^19: of more columns the sums would not come apart */
        }
        plain_thimble_widen_s8(a, depth == 257 && a[0] < 0 ? -127 : between(-127, 128), wide_one, depth, 1);
        const int32_t biased = draw() % 2;
        draw_product(rows, depth, biased);
        const thimble_fully_connected_nibbles_s8_params p = {weights, constants, biased,
                                                             depth,   rows,      between(-128, 127)};
        memset(one, 0x55, MOST);
        memset(other, 0x55, MOST);
        thimble_fully_connected_nibbles_s8(&p, wide_one, one);
        plain_thimble_fully_connected_nibbles_s8(&p, wide_one, other);
        different += differs(one, other, MOST);
        const some_rows some = draw_some(rows);
        const thimble_fully_connected_nibbles_s8_params those = thimble_some_nibble_rows_s8(&p, some.first, some.count);
        memset(one, 0x55, MOST);
        thimble_fully_connected_nibbles_s8(&those, wide_one, one + some.first);
        different += some_differ(one, other, some, 1);
    }
    report("fully_connected_nibbles", cases, different);
    static const int32_t depths[] = {48, 64, 96, 128, 172, 192};
    for (uint32_t i = 0; i < sizeof depths / sizeof *depths; i++) {
        fill(a, depths[i], -128);
        plain_thimble_widen_s8(a, 3, wide_one, depths[i], 1);
        draw_product(64, depths[i], 0);
        const thimble_fully_connected_nibbles_s8_params p = {weights, constants, 0, depths[i], 64, 3};
        start_count();
        for (int32_t call = 0; call < 100; call++) {
            thimble_fully_connected_nibbles_s8(&p, wide_one, one);
        }
        print_count("fully_connected_nibbles", depths[i], 64, 100);
    }
}

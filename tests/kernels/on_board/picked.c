/* Products with one or two weights of every four columns. */
#include "harness.h"

typedef void kernel(const thimble_fully_connected_picked_s8_params *p, const int32_t *x, int8_t *out);

kernel plain_thimble_fully_connected_picked_s8;
void plain_thimble_widen_picked_s8(const int8_t *in, int32_t offset, int32_t *out, int32_t depth, int32_t kept);

static uint32_t stream[4096];
static int32_t constants[64 / 4 * 9];

static void draw_constants(int32_t rows, int32_t biased)
{
    int32_t *at = constants;
    for (int32_t row = 0; row < rows; row += 4) {
        for (int32_t i = 0; biased && i < 4; i++) {
            *at++ = 2 * between(-100000, 100000);
        }
        uint32_t shifts = 0;
        for (int32_t i = 0; i < 4; i++) {
            *at++ = draw_multiplier();
            shifts = shifts << 8 | (uint32_t)between(0, 20);
        }
        *at++ = (int32_t)shifts;
    }
}

/* Weights of any value or of the extremes, and any places that there are. */
static void draw_stream(int32_t rows, int32_t words, int32_t kept)
{
    uint32_t *at = stream;
    const int32_t extreme = draw() % 3 == 0;
    for (int32_t row = 0; row < rows; row++) {
        for (int32_t word = 0; word < words; word++) {
            if (word % 4 == 0) {
                *at = 0;
                for (int32_t i = 0; i < 8; i++) {
                    *at |= draw() % (kept == 1 ? 16 : 6) << 4 * i;
                }
                at++;
            }
            *at = 0;
            for (int32_t i = 0; i < 4; i++) {
                *at |= (extreme ? (draw() % 2 ? 127u : 128u) : draw() % 256) << 8 * i;
            }
            at++;
        }
    }
}

static thimble_fully_connected_picked_s8_params draw_product(int32_t rows, int32_t depth, int32_t kept, int32_t biased)
{
    const int32_t words = (depth * kept + 15) / 16;
    draw_constants(rows, biased);
    draw_stream(rows, words, kept);
    return (thimble_fully_connected_picked_s8_params){stream, constants, biased, rows, words, kept, between(-128, 127)};
}

void check(void)
{
    int32_t *const x = (int32_t *)(void *)wide_one, *const same = (int32_t *)(void *)wide_other;
    uint32_t cases = 0, different = 0;
    for (; cases < 300; cases++) {
        const int32_t rows = between(1, 20), depth = between(1, 140), kept = between(1, 2), offset = between(-127, 128);
        fill(a, depth, -128);
        thimble_widen_picked_s8(a, offset, x, depth, kept);
        plain_thimble_widen_picked_s8(a, offset, same, depth, kept);
        different += differs(x, same, THIMBLE_PICKED_BYTES(140, 1));
        const thimble_fully_connected_picked_s8_params p = draw_product(rows, depth, kept, draw() % 2);
        memset(one, 0x55, MOST);
        memset(other, 0x55, MOST);
        thimble_fully_connected_picked_s8(&p, x, one);
        plain_thimble_fully_connected_picked_s8(&p, x, other);
        different += differs(one, other, MOST);
        const some_rows some = draw_some(rows);
        const thimble_fully_connected_picked_s8_params those = thimble_some_picked_rows_s8(&p, some.first, some.count);
        memset(one, 0x55, MOST);
        thimble_fully_connected_picked_s8(&those, x, one + some.first);
        different += some_differ(one, other, some, 1);
    }
    report("fully_connected_picked", cases, different);
    static const int32_t depths[] = {64, 96, 128, 192};
    for (int32_t kept = 1; kept <= 2; kept++) {
        for (uint32_t i = 0; i < sizeof depths / sizeof *depths; i++) {
            const thimble_fully_connected_picked_s8_params p = draw_product(64, depths[i], kept, 0);
            start_count();
            for (int32_t call = 0; call < 100; call++) {
                thimble_fully_connected_picked_s8(&p, x, one);
            }
            print_count(kept == 1 ? "picked_1" : "picked_2", depths[i], 64, 100);
        }
        start_count();
        for (int32_t call = 0; call < 100; call++) {
            thimble_widen_picked_s8(a, 3, x, 128, kept);
        }
        print_count(kept == 1 ? "widen_picked_1" : "widen_picked_2", 128, 1, 100);
    }
}

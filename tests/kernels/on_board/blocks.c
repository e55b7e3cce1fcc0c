/* Products with weights in blocks: streams of random blocks, with and without biases. */
#include "harness.h"

typedef void kernel(const thimble_fully_connected_blocks_s8_params *p, const int32_t *x, int8_t *out);

kernel plain_thimble_fully_connected_blocks4_s8, plain_thimble_fully_connected_blocks8_s8;
void plain_thimble_widen_blocks_s8(const int8_t *in, int32_t offset, int32_t *out, int32_t depth, int32_t columns);

static int32_t stream[8192];

static int32_t word_of(const int32_t *w) /* two columns of two rows, upper row first */
{
    return (int32_t)((uint32_t)(256 * w[0] + w[1]) & 0xffff) | (int32_t)((uint32_t)(256 * w[2] + w[3]) << 16);
}

static int32_t draw_weight(int32_t extreme)
{
    return extreme ? (draw() % 2 ? -127 : 127) : between(-127, 127);
}

/* One block; returns what follows it. */
static int32_t *put_block(int32_t *at, int32_t columns, int32_t extreme)
{
    for (int32_t column = 0; column < columns; column += 2) {
        int32_t ab[4], cd[4];
        for (int32_t i = 0; i < 4; i++) {
            ab[i] = draw_weight(extreme);
            cd[i] = draw_weight(extreme) + (i % 2 ? 128 : 0);
        }
        *at++ = word_of(ab);
        *at++ = word_of(cd);
    }
    return at;
}

/* Random strips: of `groups` blocks `kept` in 256, or exactly `exact` of them; returns how many words. */
static int32_t draw_stream(int32_t rows, int32_t groups, int32_t columns, uint32_t kept, int32_t exact, int32_t biased)
{
    const int32_t step = 4 + 2 * columns, places = 32 / columns, extreme = draw() % 3 == 0;
    int32_t *at = stream, *header = stream + 1, *next_index = stream;
    at += 2;
    *header = 0;
    for (int32_t row = 0; row < rows; row += 4) {
        int32_t block[64], count = 0;
        for (int32_t group = 0; group < groups; group++) {
            const int32_t wanted = exact ? group % (groups / exact) == 0 && count < exact : draw() % 256 < kept;
            const int32_t far = group - (count ? block[count - 1] + 1 : 0) >= 127 / step;
            if (wanted || far) {
                block[count++] = group;
            }
        }
        const int32_t entry = count ? -count & (places - 1) : 8, multiplier = draw_multiplier();
        *header |= (int32_t)((uint32_t)(biased ? 10 : entry) << 28);
        *next_index = -multiplier;
        if (biased) {
            int32_t twice[4];
            for (int32_t i = 0; i < 4; i++) {
                twice[i] = 2 * between(-100000, 100000);
            }
            *at++ = 256 * twice[0] + twice[1];
            *at++ = 256 * twice[1] + twice[2];
            *at++ = entry;
            *at++ = 256 * twice[2] + twice[3];
        }
        for (int32_t i = 0; i < count; i++) {
            const int32_t place = (entry + i) & 3; /* of those that an index tells */
            if (place == 0 || i == 0) {
                *next_index = 0;
            }
            *next_index |= (block[i] - (i ? block[i - 1] + 1 : 0)) * step << 8 * place;
            at = put_block(at, columns, extreme);
            if (place == 3) {
                next_index = at++;
                *next_index = -multiplier;
            }
        }
        uint32_t shifts = 0;
        for (int32_t i = 0; i < 4; i++) {
            shifts = shifts << 8 | (uint32_t)between(8, draw() % 4 ? 12 : 15);
        }
        for (int32_t i = 0; i < 3; i++) {
            *at++ = draw_multiplier();
        }
        next_index = at++;
        *next_index = 0;
        header = at++;
        *header = (int32_t)shifts;
    }
    *header |= (int32_t)(9u << 28);
    return (int32_t)(at - stream);
}

static void compare(const char *name, kernel *fast, kernel *plain, int32_t columns)
{
    uint32_t cases = 0, different = 0;
    for (; cases < 400; cases++) {
        const int32_t rows = 4 * between(1, 5), depth = between(1, 120), offset = draw() % 2 ? 128 : between(-127, 128);
        fill(a, depth, -128);
        memset(wide_one, 0x55, sizeof wide_one);
        memset(wide_other, 0x55, sizeof wide_other);
        int32_t *x = (int32_t *)(void *)wide_one, *same = (int32_t *)(void *)wide_other;
        thimble_widen_blocks_s8(a, offset, x, depth, columns);
        plain_thimble_widen_blocks_s8(a, offset, same, depth, columns);
        different += differs(wide_one, wide_other, sizeof wide_one);
        const uint32_t kept = draw() % 3 ? draw() % 256 : 0;
        draw_stream(rows, (depth + columns - 1) / columns, columns, kept, 0, draw() % 2);
        const thimble_fully_connected_blocks_s8_params p = {stream, between(-128, 127)};
        memset(one, 0x55, MOST);
        memset(other, 0x55, MOST);
        fast(&p, x, one);
        plain(&p, x, other);
        different += differs(one, other, MOST);
    }
    report(name, cases, different);
}

static void count(const char *name, kernel *fast, int32_t columns, int32_t part)
{
    static const int32_t depths[] = {64, 96, 128, 192};
    for (uint32_t i = 0; i < sizeof depths / sizeof *depths; i++) {
        const int32_t depth = depths[i];
        fill(a, depth, -128);
        thimble_widen_blocks_s8(a, 3, (int32_t *)(void *)wide_one, depth, columns);
        draw_stream(64, depth / columns, columns, 0, depth / columns / part, 0);
        const thimble_fully_connected_blocks_s8_params p = {stream, 3};
        start_count();
        for (int32_t call = 0; call < 100; call++) {
            fast(&p, (const int32_t *)(const void *)wide_one, one);
        }
        print_count(name, depth, 64, 100);
    }
}

void check(void)
{
    compare("fully_connected_blocks4", thimble_fully_connected_blocks4_s8, plain_thimble_fully_connected_blocks4_s8, 4);
    compare("fully_connected_blocks8", thimble_fully_connected_blocks8_s8, plain_thimble_fully_connected_blocks8_s8, 8);
    count("blocks4_half", thimble_fully_connected_blocks4_s8, 4, 2);
    count("blocks4_quarter", thimble_fully_connected_blocks4_s8, 4, 4);
    count("blocks8_half", thimble_fully_connected_blocks8_s8, 8, 2);
    count("blocks8_quarter", thimble_fully_connected_blocks8_s8, 8, 4);
    fill(a, 128, -128);
    start_count();
    for (int32_t call = 0; call < 100; call++) {
        thimble_widen_blocks_s8(a, 3, (int32_t *)(void *)wide_one, 128, 8);
    }
    print_count("widen_blocks", 128, 1, 100);
}

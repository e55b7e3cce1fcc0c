#include "harness.h"

void plain_thimble_embedding_pairs_s8(const thimble_embedding_s8_params *p, int32_t token, int8_t *out);
void plain_thimble_embedding_quads_s8(const thimble_embedding_s8_params *p, int32_t token, int8_t *out);
void plain_thimble_embedding_rows_s8(const thimble_embedding_s8_params *p, int32_t token, int8_t *out);

typedef void (*kernel)(const thimble_embedding_s8_params *p, int32_t token, int8_t *out);

static int16_t row_scales[16];
static _Alignas(4) int16_t column_scales[128];
static int8_t bits[512];
static _Alignas(4) int8_t weights[16 * 128];

/* Any bytes; but of pairs 256 a + b is no more than an a of 127 makes. */
static void draw_weights(int32_t in_pairs, int32_t count)
{
    fill(weights, count, -128);
    for (int32_t i = 1; in_pairs && i < count; i += 2) {
        weights[i] = (int8_t)(weights[i] == 127 ? 126 : weights[i]);
    }
}

static void compare(const char *name, kernel fast, kernel plain)
{
    const int32_t in_pairs = name[10] == 'p';
    uint32_t cases = 0, different = 0;
    for (; cases < 400; cases++) {
        const int32_t columns = 8 * between(1, 15), token = between(0, 15), at = between(0, 3);
        const thimble_embedding_s8_params p = {weights, (const uint8_t *)bits, row_scales,        column_scales,
                                               columns, between(1, 2),         between(-128, 127)};
        draw_weights(in_pairs, 16 * 128);
        fill(bits, 512, -128);
        const int32_t small = draw() % 2 ? 1 : 8;
        for (int32_t i = 0; i < 16; i++) {
            row_scales[i] = (int16_t)(between(0, 32767) / small);
        }
        for (int32_t i = 0; i < 128; i++) {
            column_scales[i] = (int16_t)(between(-32768, 32767) / small);
        }
        memset(one, 0x55, 256);
        memset(other, 0x55, 256);
        fast(&p, token, one + at);
        plain(&p, token, other + at);
        different += differs(one, other, 256);
    }
    report(name, cases, different);
}

static void count(const char *name, kernel call, int32_t columns)
{
    const thimble_embedding_s8_params p = {weights, (const uint8_t *)bits, row_scales, column_scales, columns, 1, -7};
    start_count();
    for (int32_t i = 0; i < 100; i++) {
        call(&p, 5, one);
    }
    print_count(name, columns, 1, 100);
}

void check(void)
{
    compare("embedding_pairs", thimble_embedding_pairs_s8, plain_thimble_embedding_pairs_s8);
    compare("embedding_quads", thimble_embedding_quads_s8, plain_thimble_embedding_quads_s8);
    compare("embedding_rows", thimble_embedding_rows_s8, plain_thimble_embedding_rows_s8);
    for (int32_t columns = 64; columns <= 96; columns += 32) {
        count("embedding_pairs", thimble_embedding_pairs_s8, columns);
        count("embedding_quads", thimble_embedding_quads_s8, columns);
        count("embedding_rows", thimble_embedding_rows_s8, columns);
    }
}

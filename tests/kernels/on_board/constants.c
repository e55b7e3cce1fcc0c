/* Kernels linked with -flto and called once each, with arguments that are constants: OFFSET for offsets and zero
 * points, SHIFT for right shifts less one, the same buffer for operands that may be. A compiler then knows that two
 * inputs of assembler are equal, and gives them one register where it may. The plain bodies are compiled apart. */
#include "harness.h"

#define COLUMNS 36
#define CONTEXT 24
#define WRITTEN 4096 /* bytes, more than any kernel writes here */

static uint32_t cases, different;

/* A kernel and its plain body, called with these arguments, `out` among them, write the same. */
#define COMPARE(kernel, to, plain_to, ...)           \
    do {                                             \
        extern __typeof__(kernel) plain_##kernel;    \
        __typeof__(*(to)) *out = to;                 \
        memset(to, 0x55, WRITTEN);                   \
        memset(plain_to, 0x55, WRITTEN);             \
        kernel(__VA_ARGS__);                         \
        out = plain_to;                              \
        plain_##kernel(__VA_ARGS__);                 \
        cases++;                                     \
        different += differs(to, plain_to, WRITTEN); \
    } while (0)

static const thimble_sum_s8_params sum = {
    {1 << 21, OFFSET * (1 << 21), 1 << 30, SHIFT, 1, OFFSET * (1 << 20), 1 << 20, {1 << 30, SHIFT, 2 * OFFSET + 1}},
    COLUMNS};
static const thimble_add_s8_params add = {
    {1 << 21, OFFSET * (1 << 21), 1 << 30, SHIFT, 1, OFFSET * (1 << 20), 1 << 20, {1 << 30, SHIFT, 2 * OFFSET + 1}},
    -128,
    127};
static const thimble_mul_s8_params mul = {OFFSET, OFFSET, OFFSET, 1 << 30, -SHIFT - 1, -128, 127};
static const thimble_norm_s8_params norm = {table,  table,  OFFSET, {1 << 30, 1, SHIFT + 1, 1 << SHIFT, -1},
                                            OFFSET, OFFSET, OFFSET, {1 << 30, SHIFT, 2 * OFFSET + 1},
                                            COLUMNS};
static const thimble_gate_s8_params gate = {table, OFFSET, OFFSET, {1 << 30, SHIFT, 2 * OFFSET + 1}, COLUMNS};
static const thimble_rotary_moved_s8_params moved = {{OFFSET, OFFSET, 2, 8, 4, {1 << 30, SHIFT, 2 * OFFSET + 1}}, a};
static int32_t exp_table[256];
static const thimble_attention_s8_params attention = {table,  exp_table, 1,
                                                      1,      CONTEXT,   16,
                                                      OFFSET, OFFSET,    {1 << 30, SHIFT, 2 * OFFSET + 1},
                                                      -128,   OFFSET,    {1 << 30, 8, 2 * OFFSET + 1}};
static _Alignas(16) int8_t k_cache[2 * MOST], v_cache[2 * MOST], scratch[1024];
static const int32_t no_bias[4];
static const int8_t shifts[4] = {-SHIFT - 1, -SHIFT - 1, -SHIFT - 1, -SHIFT - 1};
static const int32_t constants[] = {1 << 30, 1 << 30, 1 << 30, 1 << 30, SHIFT * 0x01010101};
static const thimble_fully_connected_picked_s8_params picked = {
    (const uint32_t *)(const void *)b, constants, 0, 4, 3, 1, OFFSET};
static const thimble_fully_connected_rows_s8_params rows = {b,  no_bias, constants, shifts, -SHIFT - 1,
                                                            64, 4,       OFFSET,    -128,   127};
static const thimble_fully_connected_s16_params wide = {.weights = (const int16_t *)(const void *)b,
                                                        .multiplier = constants,
                                                        .depth = 64,
                                                        .rows = 4,
                                                        .out_min = -32768,
                                                        .out_max = 32767};

static void attend(void)
{
    extern __typeof__(thimble_append_pairs_s8) plain_thimble_append_pairs_s8, plain_thimble_append_rows_s8;
    thimble_append_pairs_s8(&attention, a, a, k_cache, v_cache, 4, 3);
    plain_thimble_append_pairs_s8(&attention, a, a, k_cache + MOST, v_cache + MOST, 4, 3);
    cases++;
    different += differs(k_cache, k_cache + MOST, MOST) || differs(v_cache, v_cache + MOST, MOST);
    COMPARE(thimble_attention_pairs_s8, one, other, &attention, a, k_cache, v_cache, 4, out, scratch, 3);
    thimble_append_rows_s8(&attention, a, a, k_cache, v_cache, 4, 3);
    plain_thimble_append_rows_s8(&attention, a, a, k_cache + MOST, v_cache + MOST, 4, 3);
    cases++;
    different += differs(k_cache, k_cache + MOST, MOST) || differs(v_cache, v_cache + MOST, MOST);
    COMPARE(thimble_attention_rows_s8, one, other, &attention, a, k_cache, v_cache, 4, out, scratch, 3);
}

void check(void)
{
    fill(a, MOST, -127);
    fill(b, MOST, -127);
    fill(table, 256, -128);
    for (int32_t i = 0; i < 256; i++) {
        exp_table[255 - i] = INT32_MAX >> (i < 30 ? i : 30);
    }
    COMPARE(thimble_widen_s8, wide_one, wide_other, a, OFFSET, out, COLUMNS, 5);
    COMPARE(thimble_sum_s8, one, other, &sum, a, a, out, 2);
    COMPARE(thimble_add_s8, one, other, &add, (thimble_operand){a, 0, 1}, (thimble_operand){a, 0, 1}, out, 0, 1,
            COLUMNS);
    COMPARE(thimble_mul_s8, one, other, &mul, (thimble_operand){a, 0, 1}, (thimble_operand){a, 0, 1}, out, 0, 1,
            COLUMNS);
    COMPARE(thimble_norm_s8, one, other, &norm, a, out, 2);
    COMPARE(thimble_gate_s8, one, other, &gate, a, a, out, 2);
    COMPARE(thimble_rotary_moved_s8, one, other, &moved, a, a + 512, a + 512, out, 2);
    COMPARE(thimble_fully_connected_rows_s8, one, other, &rows, a, out, 3);
    COMPARE(thimble_fully_connected_s16, wide_one, wide_other, &wide, (const int16_t *)(const void *)a, out);
    attend();
    int32_t *const x = (int32_t *)(void *)wide_one, *const plain_x = (int32_t *)(void *)wide_other;
    COMPARE(thimble_widen_blocks_s8, x, plain_x, a, OFFSET, out, COLUMNS, 8);
    COMPARE(thimble_widen_picked_s8, x, plain_x, a, OFFSET, out, COLUMNS, 1);
    COMPARE(thimble_fully_connected_picked_s8, one, other, &picked, x, out);
    report("constants", cases, different);
}

/* Compares the kernels' DSP bodies with their plain C bodies on a Cortex-M4F, and counts instructions.
 *
 * The plain bodies are the same files compiled with THIMBLE_PLAIN_C under names that begin with plain_. Output goes through
 * semihosting: one line a kernel, `KERNEL <name> cases <n> different <n>`, and `COUNT <depth> <rows> <instructions>`. */
#include <stdint.h>
#include <string.h>

#include "thimble_kernels.h"

void plain_thimble_fully_connected_s8(const thimble_fully_connected_s8_params *p, const int16_t *x, int8_t *out);
void plain_thimble_attention_s8(const thimble_attention_s8_params *p, const int8_t *q, const int8_t *k_new,
                                const int8_t *v_new, int8_t *k_cache, int8_t *v_cache, int32_t position, int8_t *out,
                                void *scratch);
void plain_thimble_widen_s8(const int8_t *in, int32_t offset, int16_t *out, int32_t count);
void plain_thimble_add_s8(const thimble_add_s8_params *p, thimble_operand a, thimble_operand b, int8_t *out,
                          int32_t out_stride, int32_t rows, int32_t columns);
void plain_thimble_mul_s8(const thimble_mul_s8_params *p, thimble_operand a, thimble_operand b, int8_t *out,
                          int32_t out_stride, int32_t rows, int32_t columns);
void plain_thimble_table_s8(const int8_t *table, thimble_operand in, int8_t *out, int32_t out_stride, int32_t rows,
                            int32_t columns);

#define MOST 4096

static _Alignas(4) int8_t a[MOST], b[MOST], one[MOST], other[MOST];
static _Alignas(4) int8_t k_one[MOST], k_other[MOST], v_one[MOST], v_other[MOST];
static _Alignas(4) int16_t wide_one[MOST], wide_other[MOST];
static _Alignas(4) int16_t weights[64 * 260];
static _Alignas(4) int32_t exp_table[256];
static _Alignas(4) uint8_t scratch[1024];
static int32_t bias[64], multiplier[64];
static uint8_t right_shift_less_one[64];
static int8_t table[256];
static uint32_t state = 12345;
static char line[128];

/* --- the machine */

static int32_t semihosting(int32_t call, const void *argument)
{
    register int32_t r0 __asm__("r0") = call;
    register const void *r1 __asm__("r1") = argument;
    __asm__ volatile("bkpt 0xab" : "+r"(r0) : "r"(r1) : "memory");
    return r0;
}

static char *text(char *at, const char *words)
{
    while (*words) {
        *at++ = *words++;
    }
    return at;
}

static char *number(char *at, uint32_t value)
{
    char digits[10];
    int32_t count = 0;
    do {
        digits[count++] = (char)('0' + value % 10);
        value /= 10;
    } while (value);
    *at++ = ' ';
    while (count) {
        *at++ = digits[--count];
    }
    return at;
}

static void end_line(char *at)
{
    *at++ = '\n';
    *at = 0;
    semihosting(0x04, line);
}

static void report(const char *name, uint32_t cases, uint32_t different)
{
    char *at = text(text(line, "KERNEL "), name);
    at = number(text(at, " cases"), cases);
    end_line(number(text(at, " different"), different));
}

#define SYST_CSR (*(volatile uint32_t *)0xe000e010)
#define SYST_RVR (*(volatile uint32_t *)0xe000e014)
#define SYST_CVR (*(volatile uint32_t *)0xe000e018)

/* --- draws */

static uint32_t draw(void)
{
    state = state * 1664525u + 1013904223u;
    return state >> 8;
}

static int32_t between(int32_t low, int32_t high)
{
    return low + (int32_t)(draw() % (uint32_t)(high - low + 1));
}

/* Any bytes, or only the extremes. */
static void fill(int8_t *values, int32_t count, int32_t low)
{
    const int32_t extreme = draw() % 4 == 0;
    for (int32_t i = 0; i < count; i++) {
        values[i] = (int8_t)(extreme ? (draw() % 2 ? low : 127) : between(low, 127));
    }
}

static int32_t draw_multiplier(void)
{
    return between(1 << 7, (1 << 8) - 1) * (1 << 23) + (int32_t)(draw() % (1 << 23));
}

/* --- one kernel each */

static void draw_products(int32_t rows, int32_t depth)
{
    const int32_t blocks = (rows + 3) / 4, columns = (depth + 3) / 4 * 4;
    const int32_t extreme = draw() % 3 == 0;
    memset(weights, 0, sizeof weights);
    for (int32_t row = 0; row < rows; row++) {
        for (int32_t column = 0; column < depth; column++) {
            const int32_t value = extreme ? (row % 3 == 0 ? -127 : 127) : between(-127, 127);
            int16_t *at = &weights[row / 4 * columns * 2 + column / 4 * 8 + row % 4 / 2 * 4 + column % 4];
            *at = (int16_t)(*at + (row % 2 ? value : 256 * value));
        }
        bias[row] = between(-100000, 100000);
        multiplier[row] = draw_multiplier();
        right_shift_less_one[row] = (uint8_t)between(0, draw() % 4 ? 20 : 30);
    }
    for (int32_t i = blocks * 4 - rows; i > 0; i--) {
        bias[blocks * 4 - i] = 0;
    }
    fill(a, depth, -128);
    plain_thimble_widen_s8(a, draw() % 2 ? 128 : between(-127, 128), wide_one, depth);
}

static thimble_fully_connected_s8_params products(int32_t rows, int32_t depth)
{
    const int32_t full = draw() % 2 == 0;
    return (thimble_fully_connected_s8_params){
        .weights = weights,
        .twice_bias = draw() % 2 ? bias : 0,
        .multiplier = multiplier,
        .right_shift_less_one = right_shift_less_one,
        .depth = depth,
        .rows = rows,
        .out_zero_point = between(-128, 127),
        .out_min = full ? -128 : between(-128, 0),
        .out_max = full ? 127 : between(1, 127),
    };
}

static void check_fully_connected(void)
{
    uint32_t cases = 0, different = 0;
    for (; cases < 600; cases++) {
        const int32_t rows = between(1, 21), depth = cases % 8 == 0 ? 259 : between(1, 140);
        draw_products(rows, depth);
        const thimble_fully_connected_s8_params p = products(rows, depth);
        memset(one, 0x55, 64);
        memset(other, 0x55, 64);
        thimble_fully_connected_s8(&p, wide_one, one);
        plain_thimble_fully_connected_s8(&p, wide_one, other);
        different += memcmp(one, other, 64) != 0;
    }
    report("fully_connected", cases, different);
}

static void check_attention(void)
{
    uint32_t cases = 0, different = 0;
    for (; cases < 300; cases++) {
        const int32_t head_dim = 4 * between(1, 16), context = between(1, 24), kv_heads = between(1, 2);
        const int32_t group = between(1, 3), count = kv_heads * context * head_dim;
        exp_table[0] = INT32_MAX;
        for (int32_t i = 1; i < 256; i++) {
            exp_table[i] = (int32_t)(((int64_t)exp_table[i - 1] * between(200, 255)) >> 8);
        }
        fill(table, 256, -128);
        const thimble_attention_s8_params p = {
            .mask = table,
            .exp = exp_table,
            .kv_heads = kv_heads,
            .group = group,
            .context = context,
            .head_dim = head_dim,
            .q_offset = between(-127, 128),
            .k_offset = between(-127, 128),
            .score_multiplier = draw_multiplier(),
            .score_shift = -between(0, 14),
            .score_zero_point = between(-128, 127),
            .masked_score = -128,
            .v_offset = between(-127, 128),
            .out_multiplier = draw_multiplier(),
            .out_shift = -between(4, 10),
            .out_zero_point = between(-128, 127),
        };
        fill(k_one, count, -128);
        fill(v_one, count, -128);
        memcpy(k_other, k_one, MOST);
        memcpy(v_other, v_one, MOST);
        fill(a, kv_heads * group * head_dim, -128);
        fill(b, 2 * kv_heads * head_dim, -128);
        memset(one, 0x55, MOST);
        memset(other, 0x55, MOST);
        const int32_t position = between(0, context - 1);
        const int8_t *v_new = b + kv_heads * head_dim;
        thimble_attention_s8(&p, a, b, v_new, k_one, v_one, position, one, scratch);
        plain_thimble_attention_s8(&p, a, b, v_new, k_other, v_other, position, other, scratch);
        different += memcmp(one, other, MOST) || memcmp(k_one, k_other, MOST) || memcmp(v_one, v_other, MOST);
    }
    report("attention", cases, different);
}

static void check_widen(void)
{
    uint32_t cases = 0, different = 0;
    for (; cases < 300; cases++) {
        const int32_t count = between(1, 70), offset = between(-127, 128), start = between(0, 3);
        fill(a, 80, -128);
        memset(wide_one, 0x55, 160);
        memset(wide_other, 0x55, 160);
        thimble_widen_s8(a + start, offset, wide_one, count);
        plain_thimble_widen_s8(a + start, offset, wide_other, count);
        different += memcmp(wide_one, wide_other, 160) != 0;
    }
    report("widen", cases, different);
}

/* Equal shapes, one row, one value a row, or a number. */
static thimble_operand operand(const int8_t *data, int32_t columns)
{
    const int32_t kind = between(0, 5);
    return (thimble_operand){data + between(0, 3), kind < 3 ? columns : kind == 3 ? 0 : kind == 4 ? 1 : 0, kind < 4 ? 1 : 0};
}

static void check_elementwise(void)
{
    uint32_t cases = 0, add = 0, mul = 0, look_up = 0;
    for (; cases < 600; cases++) {
        const int32_t rows = between(1, 4), columns = between(1, 40), stride = columns + between(0, 4), low = between(-128, 0);
        const int32_t at = between(0, 3), full = draw() % 2 == 0;
        fill(a, 256, -128);
        fill(b, 256, -128);
        fill(table, 256, -128);
        const thimble_operand x = operand(a, columns), y = operand(b, columns);
        const int32_t a_larger = draw() % 2 == 0;
        const thimble_add_s8_params sum = {
            .a_offset = between(-127, 128),
            .a_multiplier = a_larger ? 1 << 30 : draw_multiplier(),
            .a_shift = a_larger ? 0 : -between(1, 12),
            .b_offset = between(-127, 128),
            .b_multiplier = a_larger ? draw_multiplier() : 1 << 30,
            .b_shift = a_larger ? -between(1, 12) : 0,
            .b_sign = draw() % 2 ? 1 : -1,
            .out_zero_point = between(-128, 127),
            .out_multiplier = draw_multiplier(),
            .out_shift = -between(0, 24),
            .out_min = full ? -128 : low,
            .out_max = full ? 127 : between(1, 127),
        };
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
        add += memcmp(one, other, 512) != 0;
        thimble_mul_s8(&product, x, y, one + at, stride, rows, columns);
        plain_thimble_mul_s8(&product, x, y, other + at, stride, rows, columns);
        mul += memcmp(one, other, 512) != 0;
        thimble_table_s8(table, x, one + at, stride, rows, columns);
        plain_thimble_table_s8(table, x, other + at, stride, rows, columns);
        look_up += memcmp(one, other, 512) != 0;
    }
    report("add", cases, add);
    report("mul", cases, mul);
    report("table", cases, look_up);
}

static void count(const char *name, int32_t width, int32_t rows, uint32_t start)
{
    const uint32_t ticks = (start - SYST_CVR) & 0xffffff;
    char *at = number(text(text(line, "COUNT "), name), (uint32_t)width);
    at = number(at, (uint32_t)rows);
    end_line(number(at, ticks * 40 / 100)); /* a tick is 40 instructions; 100 calls */
}

static void count_instructions(void)
{
    SYST_RVR = 0xffffff;
    SYST_CVR = 0;
    SYST_CSR = 5;
    for (int32_t depth = 64; depth <= 128; depth += 64) {
        draw_products(64, depth);
        for (int32_t i = 0; i < 64; i++) {
            right_shift_less_one[i] = 8;
        }
        const thimble_fully_connected_s8_params p = {weights, 0, multiplier, right_shift_less_one, depth, 64, 3, -128, 127};
        const uint32_t start = SYST_CVR;
        for (int32_t i = 0; i < 100; i++) {
            thimble_fully_connected_s8(&p, wide_one, one);
        }
        count("fully_connected", depth, 64, start);
    }
    const thimble_operand x = {a, 128, 1}, y = {b, 128, 1};
    const thimble_add_s8_params sum = {5, 1 << 30, 0, -7, 1500000000, -1, 1, 3, 1200000000, -18, -128, 127};
    const thimble_mul_s8_params product = {5, -7, 3, 1500000000, -7, -128, 127};
    uint32_t start = SYST_CVR;
    for (int32_t i = 0; i < 100; i++) {
        thimble_add_s8(&sum, x, y, one, 128, 1, 128);
    }
    count("add", 128, 1, start);
    start = SYST_CVR;
    for (int32_t i = 0; i < 100; i++) {
        thimble_mul_s8(&product, x, y, one, 128, 1, 128);
    }
    count("mul", 128, 1, start);
    start = SYST_CVR;
    for (int32_t i = 0; i < 100; i++) {
        thimble_table_s8(table, x, one, 128, 1, 128);
    }
    count("table", 128, 1, start);
    start = SYST_CVR;
    for (int32_t i = 0; i < 100; i++) {
        thimble_widen_s8(a, 5, wide_one, 128);
    }
    count("widen", 128, 1, start);
}

/* --- the start: RAM is zero after a reset of the emulated board, and nothing is initialized otherwise */

void reset(void);

void reset(void)
{
    *(volatile uint32_t *)0xe000ed88 |= 0xfu << 20; /* the FPU */
    __asm__ volatile("dsb\nisb");
    check_fully_connected();
    check_attention();
    check_widen();
    check_elementwise();
    count_instructions();
    end_line(text(line, "END"));
    semihosting(0x18, (const void *)0x20026);
}

static void fault(void)
{
    end_line(text(line, "FAULT"));
    semihosting(0x18, (const void *)0x20023);
}

__attribute__((section(".vectors"), used)) static const uintptr_t vectors[16] = {
    0x20400000, (uintptr_t)reset, (uintptr_t)fault, (uintptr_t)fault, (uintptr_t)fault, (uintptr_t)fault, (uintptr_t)fault,
};

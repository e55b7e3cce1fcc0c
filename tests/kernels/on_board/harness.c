#include "harness.h"

_Alignas(16) int8_t a[MOST], b[MOST], one[MOST], other[MOST];
_Alignas(16) int16_t wide_one[MOST], wide_other[MOST];
int8_t table[256];

static uint32_t state;
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

void report(const char *name, uint32_t cases, uint32_t different)
{
    char *at = text(text(line, "KERNEL "), name);
    at = number(text(at, " cases"), cases);
    end_line(number(text(at, " different"), different));
}

#define SYST_CSR (*(volatile uint32_t *)0xe000e010)
#define SYST_RVR (*(volatile uint32_t *)0xe000e014)
#define SYST_CVR (*(volatile uint32_t *)0xe000e018)

void start_count(void)
{
    SYST_CSR = 0;
    SYST_RVR = 0xffffff;
    SYST_CVR = 0;
    SYST_CSR = 5;
}

void print_count(const char *name, int32_t columns, int32_t rows, int32_t calls)
{
    const uint32_t ticks = 0xffffff - SYST_CVR;
    char *at = number(text(text(line, "COUNT "), name), (uint32_t)columns);
    at = number(at, (uint32_t)rows);
    end_line(number(at, ticks * INSTRUCTIONS_PER_TICK / (uint32_t)calls));
}

/* --- draws */

uint32_t draw(void)
{
    state = state * 1664525u + 1013904223u;
    return state >> 8;
}

int32_t between(int32_t low, int32_t high)
{
    return low + (int32_t)(draw() % (uint32_t)(high - low + 1));
}

void fill(int8_t *values, int32_t count, int32_t low)
{
    const int32_t extreme = draw() % 4 == 0;
    for (int32_t i = 0; i < count; i++) {
        values[i] = (int8_t)(extreme ? (draw() % 2 ? low : 127) : between(low, 127));
    }
}

int32_t draw_multiplier(void)
{
    return between(1 << 7, (1 << 8) - 1) * (1 << 23) + (int32_t)(draw() % (1 << 23));
}

thimble_product_scale draw_product_scale(int32_t least_shift, int32_t most_shift)
{
    return (thimble_product_scale){draw_multiplier(), between(least_shift, most_shift) - 1, 2 * between(-128, 127) + 1};
}

/* --- the start: RAM is zero after a reset of the emulated board, and nothing is initialized otherwise */

void reset(void);

void reset(void)
{
    *(volatile uint32_t *)0xe000ed88 |= 0xfu << 20; /* the FPU, and Helium's registers */
    __asm__ volatile("dsb\nisb");
    check();
    end_line(text(line, "END"));
    semihosting(0x18, (const void *)0x20026);
}

static void fault(void)
{
    end_line(text(line, "FAULT"));
    semihosting(0x18, (const void *)0x20023);
}

__attribute__((section(".vectors"), used)) static const uintptr_t vectors[16] = {
    STACK_TOP, (uintptr_t)reset, (uintptr_t)fault, (uintptr_t)fault, (uintptr_t)fault, (uintptr_t)fault, (uintptr_t)fault,
};

#include "harness.h"
#ifdef __arm__
#include "semihosting.h"
#else
#include "hosted.h"
#endif

_Alignas(16) int8_t a[MOST], b[MOST], one[MOST], other[MOST];
_Alignas(16) int16_t wide_one[MOST], wide_other[MOST];
int8_t table[256];

static uint32_t state;
static char line[128];
static uint32_t digest;

some_rows draw_some(int32_t rows)
{
    const int32_t first = 4 * between(0, (rows - 1) / 4);
    return (some_rows){first, between(1, rows - first)};
}

uint32_t some_differ(const void *part, const void *whole, some_rows some, int32_t bytes)
{
    const int8_t *from = part, *as = whole;
    const int32_t end = some.first + some.count, padded = (end + 3) & ~3;
    uint32_t others = 0;
    for (int32_t i = 0; i < 128; i++) {
        others |= i < some.first * bytes || i >= padded * bytes ? (uint32_t)(from[i] != 0x55) : 0u;
    }
    return others |
           (uint32_t)(memcmp(from + some.first * bytes, as + some.first * bytes, (size_t)(some.count * bytes)) != 0);
}

void report(const char *name, uint32_t cases, uint32_t different)
{
    char *at = put_text(put_text(line, "KERNEL "), name);
    at = put_number(put_text(at, " cases"), cases);
    end_line(line, put_number(put_text(at, " different"), different));
}

uint32_t differs(const void *fast, const void *plain, size_t bytes)
{
    for (size_t i = 0; i + 4 <= bytes; i += 4) {
        uint32_t word;
        memcpy(&word, (const uint8_t *)fast + i, 4);
        digest = (digest ^ word) * 16777619u;
    }
    return memcmp(fast, plain, bytes) != 0;
}

void start_count(void)
{
    counter_start();
}

void print_count(const char *name, int32_t columns, int32_t rows, int32_t calls)
{
    const uint32_t ticks = counter_elapsed();
    char *at = put_number(put_text(put_text(line, "COUNT "), name), (uint32_t)columns);
    at = put_number(at, (uint32_t)rows);
    end_line(line, put_number(at, ticks * INSTRUCTIONS_PER_TICK / (uint32_t)calls));
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
    const int32_t upper = between(1 << 7, (1 << 8) - 1) * (1 << 23);
    return upper + (int32_t)(draw() % (1 << 23));
}

thimble_product_scale draw_product_scale(int32_t least_shift, int32_t most_shift)
{
    return (thimble_product_scale){draw_multiplier(), between(least_shift, most_shift) - 1, 2 * between(-128, 127) + 1};
}

/* Code that keeps r9 for the table of global offsets, or for somebody else, is called with that in it; KEEP_R9 is for
 * builds of this file and the programs where r9 is not the compiler's. */
#ifdef KEEP_R9
extern const char global_offsets[];

static int32_t r9_is_kept(void)
{
    const char *r9;
    __asm__ volatile("mov %0, r9" : "=r"(r9));
    return r9 == global_offsets;
}
#endif

#if defined(__arm__) || defined(__riscv)
/* What -fstack-protector looks at and calls. */
uintptr_t __stack_chk_guard;
void __stack_chk_fail(void);

void __stack_chk_fail(void)
{
    end_line(line, put_text(line, "STACK SMASHED"));
    leave(1);
}
#endif

/* What -finstrument-functions calls. */
void __cyg_profile_func_enter(void *function, void *caller);
void __cyg_profile_func_exit(void *function, void *caller);

void __cyg_profile_func_enter(void *function, void *caller)
{
    (void)function;
    (void)caller;
}

void __cyg_profile_func_exit(void *function, void *caller)
{
    (void)function;
    (void)caller;
}

static void check_all(void)
{
    enable_coprocessors();
    check();
#ifdef KEEP_R9
    if (!r9_is_kept()) {
        end_line(line, put_text(line, "R9 LOST"));
    }
#endif
    end_line(line, put_number(put_text(line, "DIGEST"), digest));
    end_line(line, put_text(line, "END"));
    leave(0);
}

#ifdef __arm__

/* --- the start: RAM is zero after a reset of the emulated board, and nothing is initialized otherwise */

void reset(void);

void reset(void)
{
#ifdef KEEP_R9
    __asm__ volatile("mov r9, %0" : : "r"(global_offsets));
#endif
    check_all();
}

static void fault(void)
{
    end_line(line, put_text(line, "FAULT"));
    leave(1);
}

__attribute__((section(".vectors"), used)) static const uintptr_t vectors[16] = {
    STACK_TOP,        (uintptr_t)reset, (uintptr_t)fault, (uintptr_t)fault,
    (uintptr_t)fault, (uintptr_t)fault, (uintptr_t)fault,
};

#else

START
{
    check_all();
}

#endif

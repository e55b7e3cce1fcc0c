/* From reset to `measure`, on any of QEMU's MPS2 and MPS3 machines and on its `virt` of RISC-V. A tick of the counter
 * is so many instructions on each; a loop of known length tells how many. */
#include "device.h"
#include "semihosting.h"

extern uint32_t bss_start[], bss_end[], stack_top[];

#define KNOWN_LOOPS 2000000u

static uint32_t ticks_of_known_loops;
static char line[160];

void count_start(void)
{
    counter_start();
}

uint32_t count_ticks(void)
{
    return counter_elapsed();
}

void print_row(const char *name, int32_t first, int32_t second, uint32_t ticks, uint32_t calls)
{
    char *at = put_text(put_text(line, "ROW "), name);
    at = put_number(put_number(at, (uint32_t)first), (uint32_t)second);
    const uint64_t instructions = (uint64_t)ticks * (2u * KNOWN_LOOPS) / ticks_of_known_loops;
    end_line(line, put_number(at, (uint32_t)(instructions / calls)));
}

void print_text(const char *words)
{
    print(words);
}

void end_with(const char *why)
{
    print_text(why);
    print_text("\n");
    leave(1);
    for (;;) {
    }
}

uint32_t draw(void)
{
    static uint32_t state = 12345;
    state = state * 1664525u + 1013904223u;
    return state >> 8;
}

void reset(void);

__attribute__((used)) void reset(void)
{
    enable_coprocessors();
    for (uint32_t *word = bss_start; word < bss_end; word++) {
        *(volatile uint32_t *)word = 0;
    }
    uint32_t loops = KNOWN_LOOPS;
    count_start();
#ifdef __riscv
    __asm__ volatile("1: addi %0, %0, -1\nbnez %0, 1b" : "+r"(loops));
#else
    __asm__ volatile("1: subs %0, #1\nbne 1b" : "+l"(loops) : : "cc");
#endif
    ticks_of_known_loops = count_ticks();
    measure();
    end_line(line, put_text(line, "END"));
    leave(0);
}

__attribute__((used)) void fault(void);

__attribute__((used, aligned(4))) void fault(void)
{
    end_with("FAULT");
}

#ifdef __riscv

/* QEMU begins at the start of RAM. */
__attribute__((section(".vectors"), naked, used)) static void start(void)
{
    __asm__ volatile("la sp, stack_top\nla t0, fault\n.insn i 0x73, 1, x0, t0, 0x305\nj reset");
}

#else

__attribute__((section(".vectors"), used)) static const void *const vectors[16] = {
    stack_top,           (const void *)reset, (const void *)fault, (const void *)fault,
    (const void *)fault, (const void *)fault, (const void *)fault, (const void *)fault,
};

#endif

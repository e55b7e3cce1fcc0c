/* From reset to `measure`, on any of QEMU's MPS2 and MPS3 machines. A tick of SysTick is so many instructions on each; a loop
 * of known length tells how many. */
#include "device.h"

extern uint32_t bss_start[], bss_end[], stack_top[];

#define SYST_CSR (*(volatile uint32_t *)0xe000e010)
#define SYST_RVR (*(volatile uint32_t *)0xe000e014)
#define SYST_CVR (*(volatile uint32_t *)0xe000e018)
#define KNOWN_LOOPS 2000000u

static uint32_t ticks_of_known_loops;
static char line[160];

static int32_t semihosting(int32_t call, const void *argument)
{
    register int32_t r0 __asm__("r0") = call;
    register const void *r1 __asm__("r1") = argument;
    __asm__ volatile("bkpt 0xab" : "+r"(r0) : "r"(r1) : "memory");
    return r0;
}

static char *put_text(char *at, const char *words)
{
    while (*words) {
        *at++ = *words++;
    }
    return at;
}

static char *put_number(char *at, uint32_t value)
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

void count_start(void)
{
    SYST_CSR = 0;
    SYST_RVR = 0xffffff;
    SYST_CVR = 0;
    SYST_CSR = 5;
}

uint32_t count_ticks(void)
{
    return 0xffffff - SYST_CVR;
}

void print_row(const char *name, int32_t first, int32_t second, uint32_t ticks, uint32_t calls)
{
    char *at = put_text(put_text(line, "ROW "), name);
    at = put_number(put_number(at, (uint32_t)first), (uint32_t)second);
    const uint64_t instructions = (uint64_t)ticks * (2u * KNOWN_LOOPS) / ticks_of_known_loops;
    end_line(put_number(at, (uint32_t)(instructions / calls)));
}

void print_text(const char *words)
{
    semihosting(0x04, words);
}

void end_with(const char *why)
{
    print_text(why);
    print_text("\n");
    semihosting(0x18, (const void *)0x20023);
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
    *(volatile uint32_t *)0xe000ed88 |= 0xfu << 20; /* the FPU, and Helium's registers */
    __asm__ volatile("dsb\nisb");
    for (uint32_t *word = bss_start; word < bss_end; word++) {
        *(volatile uint32_t *)word = 0;
    }
    uint32_t loops = KNOWN_LOOPS;
    count_start();
    __asm__ volatile("1: subs %0, #1\nbne 1b" : "+l"(loops) : : "cc");
    ticks_of_known_loops = count_ticks();
    measure();
    end_line(put_text(line, "END"));
    semihosting(0x18, (const void *)0x20026);
}

static void fault(void)
{
    end_with("FAULT");
}

__attribute__((section(".vectors"), used)) static const void *const vectors[16] = {
    stack_top, (const void *)reset, (const void *)fault, (const void *)fault,
    (const void *)fault, (const void *)fault, (const void *)fault, (const void *)fault,
};

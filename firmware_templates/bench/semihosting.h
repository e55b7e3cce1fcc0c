/* What a program that measures prints through the debugger, and how it counts: for Cortex-M and RV32 under QEMU. */
#ifndef THIMBLE_SEMIHOSTING_H
#define THIMBLE_SEMIHOSTING_H

#include <stdint.h>

#include "lines.h"

#ifdef __riscv

static inline int32_t semihosting(int32_t call, const void *argument)
{
    register int32_t a0 __asm__("a0") = call;
    register const void *a1 __asm__("a1") = argument;
    /* Three instructions of four bytes in one page are a call. */
    __asm__ volatile(".option push\n.option norvc\n.p2align 4\n"
                     "slli x0, x0, 0x1f\nebreak\nsrai x0, x0, 7\n"
                     ".option pop"
                     : "+r"(a0)
                     : "r"(a1)
                     : "memory");
    return a0;
}

/* minstret; its number, since older assemblers know the instruction and newer ones want an extension's name. */
static inline uint32_t retired(void)
{
    register uint32_t a0 __asm__("a0");
    __asm__ volatile(".insn i 0x73, 2, %0, x0, -1278" : "=r"(a0)); /* csrr a0, 0xb02 */
    return a0;
}

static uint32_t retired_at_start;

static inline void counter_start(void)
{
    retired_at_start = retired();
}

static inline uint32_t counter_elapsed(void)
{
    return retired() - retired_at_start;
}

static inline void enable_coprocessors(void) {}

#else

#define SYST_CSR (*(volatile uint32_t *)0xe000e010)
#define SYST_RVR (*(volatile uint32_t *)0xe000e014)
#define SYST_CVR (*(volatile uint32_t *)0xe000e018)

static inline int32_t semihosting(int32_t call, const void *argument)
{
    register int32_t r0 __asm__("r0") = call;
    register const void *r1 __asm__("r1") = argument;
    __asm__ volatile("bkpt 0xab" : "+r"(r0) : "r"(r1) : "memory");
    return r0;
}

/* SysTick counts down from 2^24 − 1. */
static inline void counter_start(void)
{
    SYST_CSR = 0;
    SYST_RVR = 0xffffff;
    SYST_CVR = 0;
    SYST_CSR = 5;
}

static inline uint32_t counter_elapsed(void)
{
    return 0xffffff - SYST_CVR;
}

/* The FPU, and Helium's registers. */
static inline void enable_coprocessors(void)
{
    *(volatile uint32_t *)0xe000ed88 |= 0xfu << 20;
    __asm__ volatile("dsb\nisb");
}

#endif

static inline void print(const char *words)
{
    semihosting(0x04, words);
}

/* Ends the emulation, as a success or not. */
static inline void leave(int32_t failed)
{
    semihosting(0x18, (const void *)(failed ? 0x20023 : 0x20026));
}

static inline void end_line(char *line, char *at)
{
    *at++ = '\n';
    *at = 0;
    print(line);
}

#endif

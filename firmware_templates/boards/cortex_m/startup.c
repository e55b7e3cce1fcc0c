/* From reset to main: memory, FPU, faults. */
#include "cortex_m.h"

#include "board.h"

extern uint32_t data_start[], data_end[], data_load[], bss_start[];
extern const vector vectors[];

int main(void);

#if __ARM_ARCH == 7
/* No access to the megabyte below the stack; the default memory map elsewhere. Boards' RAM starts at a multiple of it.
 */
static void forbid_below_stack(void)
{
    const uint32_t log2_size = 20;
    if (MPU_TYPE == 0) {
        return;
    }
    MPU_RNR = 0;
    MPU_RBAR = (uint32_t)(uintptr_t)stack_bottom - (1u << log2_size);
    MPU_RASR = 1u << 28 | (log2_size - 1) << 1 | 1u; /* execute never, access none, enable */
    MPU_CTRL = 5;                                    /* enable, with the default map behind it */
}
#elif __ARM_ARCH >= 8
/* The core itself refuses a stack pointer below the stack. */
static void forbid_below_stack(void)
{
    __asm volatile("msr msplim, %0" ::"r"(stack_bottom));
}
#else
/* Armv6-M without an MPU: what lies below RAM does not answer. */
static void forbid_below_stack(void) {}
#endif

/* As after a reset, whatever a boot loader left: no interrupt enabled or waiting, and no timer that makes one. */
static void silence(void)
{
    SYST_CSR = 0;
    SCB_ICSR = 1u << 25 | 1u << 27; /* SysTick and PendSV wait no longer */
#if __ARM_ARCH >= 7
    const uint32_t irqs = 240;
    if (MPU_TYPE) {
        MPU_CTRL = 0;
    }
#else
    const uint32_t irqs = 32;
#endif
    for (uint32_t irq = 0; irq < irqs; irq += 32) {
        NVIC_ICER(irq) = UINT32_MAX;
        NVIC_ICPR(irq) = UINT32_MAX;
    }
}

/* Onto the main stack, with interrupts off: a boot loader may have jumped here from a thread, with a stack of its own.
 */
__attribute__((naked)) void reset_handler(void)
{
    __asm volatile(".syntax unified\n"
                   "cpsid i\n"
                   "movs r0, #0\n"
#if __ARM_ARCH >= 8
                   "msr msplim, r0\n"
#endif
                   "msr control, r0\n"
                   "isb\n"
                   "ldr r0, =stack_top\n"
                   "mov sp, r0\n"
                   "ldr r0, =start_up\n"
                   "bx r0\n"
                   ".ltorg\n");
}

/* Runs on the stack that it paints: everything below the stack pointer, and the guard above it. */
__attribute__((used, noreturn)) static void start_up(void)
{
    silence();
    uint32_t *stack_pointer;
    __asm volatile("mov %0, sp" : "=r"(stack_pointer));
    for (uint32_t *word = stack_bottom; word < stack_pointer; word++) {
        *(volatile uint32_t *)word = STACK_PAINT;
    }
    for (uint32_t *word = stack_top; word < stack_top + STACK_GUARD_WORDS; word++) {
        *(volatile uint32_t *)word = STACK_PAINT;
    }

    const uint32_t *from = data_load;
    for (uint32_t *to = data_start; to < data_end; to++) {
        *(volatile uint32_t *)to = *from++;
    }
    /* The model's memory too: kernels read a few words to which nothing was written, without effect on what they
     * compute, and RAM with ECC may answer that with a fault. */
    for (uint32_t *word = bss_start; word < ram_end; word++) {
        *(volatile uint32_t *)word = 0;
    }

    SCB_SHPR3 = 0xFFu << 24;                 /* SysTick last: a fault while it is being entered can be taken */
    SCB_VTOR = (uint32_t)(uintptr_t)vectors; /* Cortex-M0 has none, and ignores it */
#if __ARM_ARCH >= 7
    SCB_SHCSR |= 0xFu << 16; /* memory, bus, usage and, in Armv8-M, secure faults have handlers of their own */
    SCB_CPACR |= 0xFu << 20; /* the FPU and Helium, where there are any */
#endif
    forbid_below_stack();
    __asm volatile("dsb\n isb\n cpsie i" ::: "memory");

    main();
    for (;;) {
        __asm volatile("wfi");
    }
}

size_t board_stack_size(void)
{
    return (size_t)((uintptr_t)stack_top - (uintptr_t)stack_bottom);
}

const void *board_stack_overwritten(void)
{
    for (size_t i = 0; i < STACK_GUARD_WORDS; i++) {
        const volatile uint32_t *const words[] = {stack_bottom + i, stack_top + i};
        for (size_t end = 0; end < 2; end++) {
            if (*words[end] != STACK_PAINT) {
                return (const void *)(uintptr_t)words[end];
            }
        }
    }
    return NULL;
}

size_t board_stack_peak(void)
{
    const volatile uint32_t *word = stack_bottom;
    while (word < stack_top && *word == STACK_PAINT) {
        word++;
    }
    return (size_t)((uintptr_t)stack_top - (uintptr_t)word);
}

/* Faults are told on the UART, then board_fault() decides what to do; unless it does something, the processor stops:
 *   FAULT <kind> pc=… lr=… sp=… cfsr=… hfsr=… address=…
 */
#include "board.h"
#include "cortex_m.h"

/* MSTKERR, STKERR, MLSPERR, LSPERR, and in Armv8-M STKOF */
#define CFSR_STACKING ((1u << 4) | (1u << 12) | (1u << 5) | (1u << 13) | (1u << 20))
#define CFSR_MEMORY 0xFFu
#define CFSR_BUS 0xFF00u
#define CFSR_MMARVALID (1u << 7)
#define CFSR_BFARVALID (1u << 15)
#define FRAME_WORDS 8 /* r0-r3, r12, lr, pc, xpsr */

/* The handler's own stack: the program's may be what failed. */
#define FAULT_STACK_WORDS 64
__attribute__((used)) static uint64_t fault_stack[FAULT_STACK_WORDS / 2];

static void put(const char *text)
{
    size_t length = 0;
    while (text[length]) {
        length++;
    }
    board_write(text, length);
}

static void put_hex(uint32_t value)
{
    for (int i = 0; i < 8; i++, value <<= 4) {
        board_write(&"0123456789abcdef"[value >> 28], 1);
    }
}

__attribute__((weak)) void board_fault(void) {}

__attribute__((weak, noreturn)) void board_reset(void)
{
    __asm volatile("dsb" ::: "memory");
    SCB_AIRCR = 0x05FA0004u;
    for (;;) {
    }
}

/* Puts the line, and stops. */
__attribute__((noreturn)) static void tell(const char *kind, const uint32_t *values)
{
    static const char *const names[] = {" pc=", " lr=", " sp=", " cfsr=", " hfsr=", " address="};
    put("\nFAULT ");
    put(kind);
    for (int i = 0; i < 6; i++) {
        put(names[i]);
        put_hex(values[i]);
    }
    put("\n");
    SYST_CSR = 0;
    board_fault();
    for (;;) {
        __asm volatile("cpsid i\n wfi");
    }
}

/* `is_main`: the stack pointer is that of the main stack, not of a thread of its own (PSP). */
__attribute__((used, noreturn)) static void report(uintptr_t stack_pointer, uint32_t is_main)
{
#if __ARM_ARCH >= 7
    uint32_t cfsr = SCB_CFSR, hfsr = SCB_HFSR, memory_address = SCB_MMFAR, bus_address = SCB_BFAR;
#else
    uint32_t cfsr = 0, hfsr = 0, memory_address = 0, bus_address = 0; /* Armv6-M does not tell */
#endif
    uintptr_t bottom = (uintptr_t)stack_bottom, top = (uintptr_t)(is_main ? stack_top : ram_end);
    uint32_t address = cfsr & CFSR_MMARVALID ? memory_address : cfsr & CFSR_BFARVALID ? bus_address : 0;
    static const struct {
        uint32_t bits;
        const char *name;
    } kinds[] = {{CFSR_STACKING, "stack-overflow"},
                 {CFSR_MEMORY, "memory"},
                 {CFSR_BUS, "bus"},
                 {UINT32_MAX, "usage"},
                 {0, "hard"}};
    size_t kind = 0;
    if (stack_pointer >= bottom) {
        while (kind < 4 && !(cfsr & kinds[kind].bits)) {
            kind++;
        }
    }
    static const uint32_t no_frame[FRAME_WORDS];
    const uint32_t *frame = kind && stack_pointer + FRAME_WORDS * 4 <= top ? (const uint32_t *)stack_pointer : no_frame;
    tell(kinds[kind].name, (const uint32_t[]){frame[6], frame[5], (uint32_t)stack_pointer, cfsr, hfsr, address});
}

void board_fault_memory(const char *kind, const void *address)
{
    __asm volatile("cpsid i" ::: "memory");
    tell(kind, (const uint32_t[]){0, 0, 0, 0, 0, (uint32_t)(uintptr_t)address});
}

/* Leaves the program's stack first: it may lie outside of RAM. Bit 2 of what lr holds in a handler says which stack the
 * frame lies on. */
__attribute__((naked)) void fault_handler(void)
{
    __asm volatile(".syntax unified\n"
                   "cpsid i\n"
                   "mrs r0, msp\n"
                   "movs r1, #4\n"
                   "mov r2, lr\n"
                   "bics r1, r1, r2\n" /* not 0: the main stack */
                   "bne 1f\n"
                   "mrs r0, psp\n"
                   "1:\n"
                   "ldr r2, =fault_stack + %c0\n"
                   "mov sp, r2\n"
                   "ldr r2, =report\n"
                   "bx r2\n"
                   ".ltorg\n" ::"i"(FAULT_STACK_WORDS * 4));
}

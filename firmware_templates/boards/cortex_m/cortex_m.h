/* Core registers of Armv6-M, Armv7-M and Armv8-M (Arm DDI 0419, DDI 0403, DDI 0553), what the linker script defines,
 * and what the parts of a board's code give one another. */
#ifndef THIMBLE_CORTEX_M_H
#define THIMBLE_CORTEX_M_H

#include <stdbool.h>
#include <stdint.h>

#include "board_facts.h"

#define REGISTER(address) (*(volatile uint32_t *)(uintptr_t)(address))
#define REGISTER16(address) (*(volatile uint16_t *)(uintptr_t)(address))
#define REGISTER8(address) (*(volatile uint8_t *)(uintptr_t)(address))

#define SYST_CSR REGISTER(0xE000E010u) /* SysTick control: 1 enable, 2 interrupt, 4 processor clock */
#define SYST_RVR REGISTER(0xE000E014u) /* reload value, 24 bits */
#define SYST_CVR REGISTER(0xE000E018u) /* current value, counts down */
#define NVIC_ISER(irq) REGISTER(0xE000E100u + (irq) / 32 * 4)
#define NVIC_ICER(irq) REGISTER(0xE000E180u + (irq) / 32 * 4)
#define NVIC_ISPR(irq) REGISTER(0xE000E200u + (irq) / 32 * 4)
#define NVIC_ICPR(irq) REGISTER(0xE000E280u + (irq) / 32 * 4)
#define NVIC_IPR(irq) REGISTER(0xE000E400u + (irq) / 4 * 4)
#define SCB_ICSR REGISTER(0xE000ED04u)
#define SCB_VTOR REGISTER(0xE000ED08u)
#define SCB_AIRCR REGISTER(0xE000ED0Cu)
#define SCB_SHPR3 REGISTER(0xE000ED20u)
#define SCB_SHCSR REGISTER(0xE000ED24u)
#define SCB_CFSR REGISTER(0xE000ED28u)
#define SCB_HFSR REGISTER(0xE000ED2Cu)
#define SCB_MMFAR REGISTER(0xE000ED34u)
#define SCB_BFAR REGISTER(0xE000ED38u)
#define SCB_CPACR REGISTER(0xE000ED88u)
#define MPU_TYPE REGISTER(0xE000ED90u)
#define MPU_CTRL REGISTER(0xE000ED94u)
#define MPU_RNR REGISTER(0xE000ED98u)
#define MPU_RBAR REGISTER(0xE000ED9Cu)
#define MPU_RASR REGISTER(0xE000EDA0u)

#define ICSR_SYSTICK_PENDING (1u << 26)
#define STACK_PAINT 0xA5A5A5A5u

/* The stack lies at the bottom of RAM: an overflow leaves RAM, where access is forbidden, and overwrites no data. Its
 * lowest words, and as many above it, guard it: they stay as start-up painted them. */
extern uint32_t stack_bottom[], stack_top[], ram_end[];
#define STACK_GUARD_WORDS 4

/* Interrupts off, and whether they were; and as they were. */
static inline uint32_t interrupts_off(void)
{
    uint32_t before;
    __asm volatile("mrs %0, primask\n cpsid i" : "=r"(before)::"memory");
    return before;
}

static inline void interrupts_as_before(uint32_t before)
{
    __asm volatile("msr primask, %0" ::"r"(before) : "memory");
}

typedef void (*vector)(void);

void reset_handler(void);
void fault_handler(void);
void systick_handler(void);

/* What the clocks are once they run. */
typedef struct {
    uint32_t core_hz; /* of the processor */
    uint32_t uart_hz; /* what the UART divides into bauds */
} board_clocks;

/* A board's own: starts its clocks and sets flash and caches up for them. A clock that does not start in time is done
 * without, as on a broken crystal, or in an emulator that has none. */
board_clocks clock_init(void);

/* Waits until these bits of a register are set, or for so many looks; whether they are. */
static inline bool wait_for(uintptr_t address, uint32_t bits, uint32_t looks)
{
    while (looks-- && (REGISTER(address) & bits) != bits) {
    }
    return (REGISTER(address) & bits) == bits;
}

/* A UART's driver: its pins, its speed, an interrupt for each received byte. */
void uart_init(uint32_t uart_hz);
void uart_handler(void);
void uart_put(uint8_t byte);

/* Called by the driver's interrupt. Before it takes a byte or an error out of the UART it asks whether there is room;
 * if not, it leaves all as it is and returns, the interrupt is off, and it runs again once a byte was read. Then it
 * hands over the byte that came, or says that some were lost, in the order in which that happened. */
bool receive_has_room(void);
void receive_keep(uint8_t byte);
void receive_lost(void);

/* Starts the counter behind board_ticks(); returns its rate in Hz. */
uint32_t counter_init(uint32_t core_hz);

#endif

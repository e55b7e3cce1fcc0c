/* Core registers of Armv7-M (Arm DDI 0403), and what the linker script defines. */
#ifndef CORTEX_M_H
#define CORTEX_M_H

#include <stdint.h>

#define REGISTER(address) (*(volatile uint32_t *)(uintptr_t)(address))

#define SYST_CSR REGISTER(0xE000E010u) /* SysTick control: 1 enable, 2 interrupt, 4 processor clock */
#define SYST_RVR REGISTER(0xE000E014u) /* reload value, 24 bits */
#define SYST_CVR REGISTER(0xE000E018u) /* current value, counts down */
#define NVIC_ISER0 REGISTER(0xE000E100u)
#define SCB_ICSR REGISTER(0xE000ED04u)
#define SCB_VTOR REGISTER(0xE000ED08u)
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

/* The stack lies at the bottom of RAM: an overflow leaves RAM, where the MPU forbids access, and overwrites no data. */
extern uint32_t stack_bottom[], stack_top[];

typedef void (*vector)(void);

void reset_handler(void);
void fault_handler(void);
void systick_handler(void);

/* Starts SysTick as a free-running counter of the processor clock. */
void systick_init(void);

#endif

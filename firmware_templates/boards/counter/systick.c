/* SysTick's 24 bits, extended to 64 by counting its wraps. */
#include "counter.h"

#include "cortex_m.h"

#define PERIOD (1u << 24)

static volatile uint32_t wraps;

void systick_init(void)
{
    SYST_RVR = PERIOD - 1;
    SYST_CVR = 0;
    SYST_CSR = 7;
}

void systick_handler(void)
{
    wraps++;
}

uint64_t systick_ticks(void)
{
    const uint32_t before = interrupts_off();
    uint32_t count = SYST_CVR;
    uint32_t high = wraps;
    if (SCB_ICSR & ICSR_SYSTICK_PENDING) { /* it wrapped and the handler has not run yet */
        count = SYST_CVR;
        high++;
    }
    interrupts_as_before(before);
    return ((uint64_t)high << 24) + (PERIOD - 1 - count);
}

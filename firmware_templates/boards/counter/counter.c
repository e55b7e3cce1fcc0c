/* Cycles of the processor: DWT.CYCCNT (Arm DDI 0403, C1.8) where it counts, SysTick where it does not, as in emulators
 * without a DWT. Both run at the processor's clock. */
#include "counter.h"

#include "board.h"
#include "cortex_m.h"

#define DEMCR REGISTER(0xE000EDFCu)
#define DWT_CTRL REGISTER(0xE0001000u)
#define DWT_CYCCNT REGISTER(0xE0001004u)
#define DWT_LAR REGISTER(0xE0001FB0u)
#define DEMCR_TRCENA (1u << 24)
#define CTRL_CYCCNTENA 1u
#define CTRL_NOCYCCNT (1u << 25)
#define UNLOCK 0xC5ACCE55u

static bool counts_cycles;
static wide_count cycles;

static bool start_cycles(void)
{
#if __ARM_ARCH >= 7
    DEMCR |= DEMCR_TRCENA;
    DWT_LAR = UNLOCK; /* Cortex-M7 has a lock; elsewhere nothing is there */
    DWT_CYCCNT = 0;
    DWT_CTRL |= CTRL_CYCCNTENA;
    if (DWT_CTRL & CTRL_NOCYCCNT) {
        return false;
    }
    uint32_t before = DWT_CYCCNT;
    __asm volatile("nop\n nop\n nop\n nop\n nop\n nop\n nop\n nop" ::: "memory");
    return DWT_CYCCNT != before;
#else
    return false;
#endif
}

uint32_t counter_init(uint32_t core_hz)
{
    counts_cycles = start_cycles();
    if (!counts_cycles) {
        systick_init();
    }
    return core_hz;
}

const char *board_counter(void)
{
    return counts_cycles ? "dwt" : "systick";
}

/* Between two calls the 32 bits wrap once at most: at 480 MHz after 8.9 s, and every token asks twice. */
uint64_t board_ticks(void)
{
    return counts_cycles ? widened(&cycles, DWT_CYCCNT) : systick_ticks();
}

/* TIMER0 of Nordic's nRF51, at 16 MHz as its processor, which has neither a DWT nor a SysTick (reference manual 3.0,
 * chapter 18). */
#include "board.h"
#include "cortex_m.h"

#define TIMER0 0x40008000u
#define TIMER_START REGISTER(TIMER0 + 0x000u)
#define TIMER_CLEAR REGISTER(TIMER0 + 0x00Cu)
#define TIMER_CAPTURE0 REGISTER(TIMER0 + 0x040u)
#define TIMER_MODE REGISTER(TIMER0 + 0x504u)
#define TIMER_BITMODE REGISTER(TIMER0 + 0x508u)
#define TIMER_PRESCALER REGISTER(TIMER0 + 0x510u)
#define TIMER_CC0 REGISTER(TIMER0 + 0x540u)
#define BITMODE_32 3u

static uint32_t last, wraps;

uint32_t counter_init(uint32_t core_hz)
{
    TIMER_MODE = 0;
    TIMER_BITMODE = BITMODE_32;
    TIMER_PRESCALER = 0;
    TIMER_CLEAR = 1;
    TIMER_START = 1;
    return core_hz;
}

void systick_handler(void) {}

const char *board_counter(void)
{
    return "timer";
}

/* Between two calls the 32 bits wrap once at most: after 268 s, and every token asks twice. */
uint64_t board_ticks(void)
{
    TIMER_CAPTURE0 = 1;
    uint32_t now = TIMER_CC0;
    wraps += now < last;
    last = now;
    return (uint64_t)wraps << 32 | now;
}

/* The nRF51 runs at 16 MHz from reset; the crystal makes that exact. */
#include "nrf.h"

board_clocks clock_init(void)
{
    crystal_init();
    return (board_clocks){BOARD_CLOCK_HZ, 16000000u};
}

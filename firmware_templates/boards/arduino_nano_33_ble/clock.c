/* The nRF52840 runs at 64 MHz from reset; the crystal makes that exact. Its flash has a cache for instructions (product
 * specification 1.7, 4.3.1 "Instruction cache"), off after reset. The boot loader may have left interrupts of its own
 * on, for which there are no vectors here. */
#include "nrf.h"

#define NVMC_ICACHECNF REGISTER(0x4001E540u)

board_clocks clock_init(void)
{
    NVIC_ICER(0) = 0xFFFFFFFFu;
    NVIC_ICER(32) = 0xFFFFFFFFu;
    NVMC_ICACHECNF = 1;
    crystal_init();
    return (board_clocks){BOARD_CLOCK_HZ, 16000000u};
}

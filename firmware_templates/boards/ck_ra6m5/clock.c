/* RA6M5 at 200 MHz from the board's crystal of 24 MHz (user's manual R01UH0891: clocks 8, flash 47, SRAM 45). Where
 * crystal or PLL does not start, all goes on at the 8 MHz of after reset. */
#include "cortex_m.h"

#define SYSC 0x4001E000u
#define SCKDIVCR REGISTER(SYSC + 0x020u)
#define SCKSCR REGISTER8(SYSC + 0x026u)
#define PLLCCR REGISTER16(SYSC + 0x028u)
#define PLLCR REGISTER8(SYSC + 0x02Au)
#define MOSCCR REGISTER8(SYSC + 0x032u)
#define OSCSF REGISTER8(SYSC + 0x03Cu)
#define MOSCWTCR REGISTER8(SYSC + 0x0A2u)
#define PRCR REGISTER16(SYSC + 0x3FEu)
#define MOMCR REGISTER8(SYSC + 0x413u)
#define FCACHEE REGISTER16(0x4001C100u)
#define FCACHEIV REGISTER16(0x4001C104u)
#define FLWT REGISTER8(0x4001C11Cu)
#define SRAMPRCR REGISTER8(0x40002004u)
#define SRAMWTSC REGISTER8(0x40002008u)

#define PRCR_CLOCKS 0xA501u
#define PRCR_CLOSED 0xA500u
#define SRAMPRCR_OPEN 0xF1u
#define SRAMPRCR_CLOSED 0xF0u
#define MOMCR_20_TO_24_MHZ 0u
#define MOSCWTCR_LONGEST 9u
#define OSCSF_CRYSTAL (1u << 3)
#define OSCSF_PLL (1u << 5)
#define PLL_24_TO_200 (2u | (2u * 25 - 1) << 8) /* crystal / 3 * 25 */
#define SCKSCR_PLL 5u
/* Core 200, buses 100, PCLKA 100, PCLKB, PCLKC and flash 50, PCLKD 100 MHz. */
#define DIVIDERS (2u << 28 | 0u << 24 | 1u << 16 | 1u << 12 | 2u << 8 | 2u << 4 | 1u)
#define FLWT_3_WAITS 3u
#define LOOKS 500000u
#define MOCO_HZ 8000000u

static bool started(uint8_t bit)
{
    for (uint32_t looks = LOOKS; looks && !(OSCSF & bit); looks--) {
    }
    return OSCSF & bit;
}

static bool start_pll(void)
{
    MOMCR = MOMCR_20_TO_24_MHZ;
    MOSCWTCR = MOSCWTCR_LONGEST;
    MOSCCR = 0;
    if (!started(OSCSF_CRYSTAL)) {
        return false;
    }
    PLLCCR = PLL_24_TO_200;
    PLLCR = 0;
    if (!started(OSCSF_PLL)) {
        return false;
    }
    SRAMPRCR = SRAMPRCR_OPEN;
    SRAMWTSC = 1; /* a wait for SRAM0 above 100 MHz */
    SRAMPRCR = SRAMPRCR_CLOSED;
    FLWT = FLWT_3_WAITS;
    SCKDIVCR = DIVIDERS;
    (void)SCKDIVCR;
    SCKSCR = SCKSCR_PLL;
    (void)SCKSCR;
    return true;
}

board_clocks clock_init(void)
{
    PRCR = PRCR_CLOCKS;
    bool fast = start_pll();
    PRCR = PRCR_CLOSED;
    FCACHEIV = 1;
    for (uint32_t looks = LOOKS; looks && (FCACHEIV & 1u); looks--) {
    }
    FCACHEE = 1;
    return fast ? (board_clocks){BOARD_CLOCK_HZ, BOARD_CLOCK_HZ / 2} : (board_clocks){MOCO_HZ, MOCO_HZ};
}

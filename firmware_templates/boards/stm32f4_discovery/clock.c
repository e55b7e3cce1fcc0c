/* STM32F407 at 168 MHz from the board's 8 MHz crystal (RM0090: flash 3.5.1, power 5.4, clocks 7.3), and USART2 on PA2
 * and PA3. Where the crystal or the PLL does not start, all goes on at the internal 16 MHz. */
#include "cortex_m.h"

#define RCC 0x40023800u
#define RCC_CR REGISTER(RCC + 0x00u)
#define RCC_PLLCFGR REGISTER(RCC + 0x04u)
#define RCC_CFGR REGISTER(RCC + 0x08u)
#define RCC_AHB1ENR REGISTER(RCC + 0x30u)
#define RCC_APB1ENR REGISTER(RCC + 0x40u)
#define PWR_CR REGISTER(0x40007000u)
#define FLASH_ACR REGISTER(0x40023C00u)
#define GPIOA_MODER REGISTER(0x40020000u)
#define GPIOA_AFRL REGISTER(0x40020020u)

#define CR_HSEON (1u << 16)
#define CR_HSERDY (1u << 17)
#define CR_PLLON (1u << 24)
#define CR_PLLRDY (1u << 25)
#define PLL_8_TO_168 \
    (8u | 336u << 6 | 0u << 16 | 1u << 22 | 7u << 24) /* 8 / 8 * 336 / 2; from the crystal; 48 MHz for USB */
#define CFGR_APB1_BY_4 (5u << 10)
#define CFGR_APB2_BY_2 (4u << 13)
#define CFGR_PLL 2u
#define CFGR_PLL_IN_USE (2u << 2)
#define ACR_5_WAITS_AND_CACHES (5u | 7u << 8) /* prefetch, instruction and data cache */
#define LOOKS 200000u                         /* over 50 ms at 16 MHz; a crystal starts in 2 */
#define HSI_HZ 16000000u

static bool start_pll(void)
{
    RCC_APB1ENR |= 1u << 28; /* power control */
    (void)RCC_APB1ENR;       /* its clock runs two cycles later */
    PWR_CR |= 1u << 14;      /* voltage scale 1, for more than 144 MHz */
    RCC_CR |= CR_HSEON;
    if (!wait_for(RCC + 0x00u, CR_HSERDY, LOOKS)) {
        return false;
    }
    RCC_PLLCFGR = PLL_8_TO_168;
    RCC_CR |= CR_PLLON;
    if (!wait_for(RCC + 0x00u, CR_PLLRDY, LOOKS)) {
        return false;
    }
    FLASH_ACR = ACR_5_WAITS_AND_CACHES;
    (void)FLASH_ACR; /* it has them before the clock rises */
    RCC_CFGR = CFGR_APB1_BY_4 | CFGR_APB2_BY_2 | CFGR_PLL;
    return wait_for(RCC + 0x08u, CFGR_PLL_IN_USE, LOOKS);
}

board_clocks clock_init(void)
{
    bool fast = start_pll();
    if (!fast) {
        RCC_CFGR = 0;
    }
    RCC_AHB1ENR |= 1u << 0;  /* GPIOA */
    RCC_APB1ENR |= 1u << 17; /* USART2 */
    GPIOA_MODER = (GPIOA_MODER & ~(0xFu << 4)) | 0xAu << 4;
    GPIOA_AFRL = (GPIOA_AFRL & ~(0xFFu << 8)) | 0x77u << 8;
    return fast ? (board_clocks){BOARD_CLOCK_HZ, BOARD_CLOCK_HZ / 4} : (board_clocks){HSI_HZ, HSI_HZ};
}

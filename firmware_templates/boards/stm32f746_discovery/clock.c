/* STM32F746 at 216 MHz from the board's 25 MHz oscillator (RM0385: flash 3.3.2, power 4.1.4, clocks 5.2), and USART1 on
 * PA9 and PB7. Where the oscillator or the PLL does not start, all goes on at the internal 16 MHz. */
#include "caches.h"
#include "cortex_m.h"

#define RCC 0x40023800u
#define RCC_CR REGISTER(RCC + 0x00u)
#define RCC_PLLCFGR REGISTER(RCC + 0x04u)
#define RCC_CFGR REGISTER(RCC + 0x08u)
#define RCC_AHB1ENR REGISTER(RCC + 0x30u)
#define RCC_APB1ENR REGISTER(RCC + 0x40u)
#define RCC_APB2ENR REGISTER(RCC + 0x44u)
#define PWR_CR1 REGISTER(0x40007000u)
#define PWR_CSR1 0x40007004u
#define FLASH_ACR REGISTER(0x40023C00u)
#define GPIOA_MODER REGISTER(0x40020000u)
#define GPIOA_AFRH REGISTER(0x40020024u)
#define GPIOB_MODER REGISTER(0x40020400u)
#define GPIOB_AFRL REGISTER(0x40020420u)

#define CR_HSEON (1u << 16)
#define CR_HSERDY (1u << 17)
#define CR_PLLON (1u << 24)
#define CR_PLLRDY (1u << 25)
#define PLL_25_TO_216 \
    (25u | 432u << 6 | 0u << 16 | 1u << 22 | 9u << 24) /* 25 / 25 * 432 / 2; from the oscillator; 48 MHz for USB */
#define CFGR_APB1_BY_4 (5u << 10)
#define CFGR_APB2_BY_2 (4u << 13)
#define CFGR_PLL 2u
#define CFGR_PLL_IN_USE (2u << 2)
#define OVER_DRIVE (1u << 16)
#define OVER_DRIVE_IN_USE (1u << 17)
#define ACR_7_WAITS_AND_ART (7u | 3u << 8) /* prefetch and the accelerator, for code read through the ITCM bus */
#define LOOKS 200000u                      /* over 50 ms at 16 MHz; an oscillator starts in 2 */
#define HSI_HZ 16000000u

static bool start_pll(void)
{
    RCC_APB1ENR |= 1u << 28; /* power control */
    RCC_CR |= CR_HSEON;
    if (!wait_for(RCC + 0x00u, CR_HSERDY, LOOKS)) {
        return false;
    }
    RCC_PLLCFGR = PLL_25_TO_216;
    RCC_CR |= CR_PLLON;
    PWR_CR1 |= OVER_DRIVE; /* for more than 180 MHz */
    if (!wait_for(PWR_CSR1, OVER_DRIVE, LOOKS)) {
        return false;
    }
    PWR_CR1 |= OVER_DRIVE_IN_USE;
    if (!wait_for(PWR_CSR1, OVER_DRIVE_IN_USE, LOOKS) || !wait_for(RCC + 0x00u, CR_PLLRDY, LOOKS)) {
        return false;
    }
    FLASH_ACR = ACR_7_WAITS_AND_ART;
    (void)FLASH_ACR; /* it has them before the clock rises */
    RCC_CFGR = CFGR_APB1_BY_4 | CFGR_APB2_BY_2 | CFGR_PLL;
    return wait_for(RCC + 0x08u, CFGR_PLL_IN_USE, LOOKS);
}

board_clocks clock_init(void)
{
    caches_init();
    bool fast = start_pll();
    if (!fast) {
        RCC_CFGR = 0;
    }
    RCC_AHB1ENR |= 3u;      /* GPIOA, GPIOB */
    RCC_APB2ENR |= 1u << 4; /* USART1 */
    GPIOA_MODER = (GPIOA_MODER & ~(3u << 18)) | 2u << 18;
    GPIOA_AFRH = (GPIOA_AFRH & ~(15u << 4)) | 7u << 4;
    GPIOB_MODER = (GPIOB_MODER & ~(3u << 14)) | 2u << 14;
    GPIOB_AFRL = (GPIOB_AFRL & ~(15u << 28)) | 7u << 28;
    return fast ? (board_clocks){BOARD_CLOCK_HZ, BOARD_CLOCK_HZ / 2} : (board_clocks){HSI_HZ, HSI_HZ};
}
